//! The command line of these rules: `cargo run -p xtask -- tidy`.

use std::io::Write as _;
use std::process::ExitCode;

use xtask::tidy;

fn main() -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    if std::env::args().nth(1).as_deref() != Some("tidy") {
        writeln!(out, "usage: cargo run -p xtask -- tidy")?;
        return Ok(ExitCode::from(2));
    }
    let report = tidy::check(&tidy::tree::read(&tidy::tree::root())?);
    writeln!(out, "{report}")?;
    Ok(if report.findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
