//! Tells the program what it was built from: the commit, if it is built in a checkout, and the
//! compiler.

use std::path::Path;
use std::process::Command;

#[expect(
    clippy::disallowed_methods,
    reason = "cargo talks to build scripts by environment variables"
)]
fn main() {
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    println!(
        "cargo:rustc-env=SEAWALL_RUSTC={}",
        output(&compiler, &["--version"])
    );
    // Packagers who build from an archive may give the commit by themselves.
    println!("cargo:rerun-if-env-changed=SEAWALL_BUILD_COMMIT");
    let given = std::env::var("SEAWALL_BUILD_COMMIT").ok();
    let commit = given.unwrap_or_else(|| output("git", &["rev-parse", "--short=12", "HEAD"]));
    println!("cargo:rustc-env=SEAWALL_COMMIT={commit}");
    println!("cargo:rerun-if-changed=build.rs");
    let head = output("git", &["rev-parse", "--git-path", "logs/HEAD"]);
    if Path::new(&head).exists() {
        println!("cargo:rerun-if-changed={head}");
    }
}

/// The first line that a program writes; nothing if it fails.
fn output(program: &str, arguments: &[&str]) -> String {
    let run = Command::new(program).args(arguments).output();
    let text = run
        .ok()
        .filter(|run| run.status.success())
        .map(|run| run.stdout)
        .unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}
