//! Imports go inward only (ARCHITECTURE.md): types ◄ config, limit ◄ meta, blob, cache, net ◄
//! kernel ◄ accounts ◄ registry ◄ features ◄ server; no feature imports another.

use super::source::{RustFile, has_word};
use super::{Finding, TextFile};

const RULE: &str = "rings";

/// The ring of the features: every crate that has no ring of its own.
const FEATURES: u8 = 6;

/// A ring beyond all others: tools, which the product may not import.
const TOOLS: u8 = 8;

/// The ring of a crate, by the name of its folder or package.
fn ring(name: &str) -> u8 {
    match name {
        "types" => 0,
        "config" | "limit" => 1,
        "meta" | "blob" | "cache" | "net" => 2,
        "kernel" => 3,
        "accounts" => 4,
        "registry" => 5,
        "server" => 7,
        "testkit" | "xtask" | "storm" | "bench" => TOOLS,
        _ => FEATURES,
    }
}

/// The crate a path belongs to, by its folder.
pub fn crate_of(path: &str) -> Option<&str> {
    let mut parts = path.split('/');
    match parts.next()? {
        "crates" => parts.next(),
        tool @ ("testkit" | "xtask" | "bench") => Some(tool),
        _ => None,
    }
}

/// The folder of a package or library name: `seawall-meta` and `seawall_meta` are `meta`, and the
/// binary `seawall` is `server`.
fn folder_of(name: &str) -> Option<&str> {
    match name {
        "seawall" => Some("server"),
        "xtask" => Some("xtask"),
        _ => name
            .strip_prefix("seawall-")
            .or_else(|| name.strip_prefix("seawall_")),
    }
}

/// Why `from` may not import `to`, if it may not. Tests may use the testkit, which knows all.
fn objection(from: &str, to: &str, in_tests: bool) -> Option<String> {
    let allowed = match (from, to) {
        ("xtask", _) | (_, "xtask") => false,
        _ if from == to => true,
        ("types", "testkit") => false,
        (_, "testkit") => in_tests,
        _ => ring(to) < ring(from),
    };
    (!allowed).then(|| format!("{from} may not import {to}: imports go inward only"))
}

/// Checks the workspace's crates among the dependencies of a `Cargo.toml`.
pub fn dependencies(file: &TextFile) -> Vec<Finding> {
    let Some(from) = crate_of(&file.path) else {
        return Vec::new();
    };
    let check = |dependency: Dependency<'_>| {
        let to = folder_of(dependency.name)?;
        let text = objection(from, to, dependency.dev)?;
        Some(Finding::new(RULE, &file.path, dependency.line, text))
    };
    listed(&file.text).into_iter().filter_map(check).collect()
}

/// Checks every path in code that begins with one of the workspace's crates.
pub fn imports(file: &RustFile) -> Vec<Finding> {
    let Some(from) = crate_of(&file.path) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (line, code) in file.code_lines() {
        for to in crates_named(code) {
            if let Some(text) = objection(from, to, file.is_test_line(line)) {
                findings.push(Finding::new(RULE, &file.path, line, text));
            }
        }
    }
    findings
}

fn crates_named(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("seawall_") && has_word(code, word))
        .filter_map(folder_of)
}

/// A line of a dependency table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency<'a> {
    /// The name under which it is imported.
    pub name: &'a str,
    /// Whether only tests see it.
    pub dev: bool,
    /// The line, from 1.
    pub line: usize,
}

/// The dependencies that a `Cargo.toml` lists, in tables and sub-tables. Those of the workspace are
/// not listed by anyone yet.
pub fn listed(text: &str) -> Vec<Dependency<'_>> {
    let mut found = Vec::new();
    let mut table = "";
    for (index, raw) in text.lines().enumerate() {
        let (line, raw) = (index + 1, raw.trim());
        if let Some(header) = raw.strip_prefix('[') {
            table = header.trim_end_matches(']');
            if let Some((parent, name)) = table.rsplit_once('.')
                && is_dependency_table(parent)
            {
                found.push(Dependency {
                    name,
                    dev: parent.contains("dev-"),
                    line,
                });
            }
            continue;
        }
        let name = raw
            .split(['=', '.', ' '])
            .next()
            .unwrap_or_default()
            .trim_matches('"');
        if is_dependency_table(table) && !name.is_empty() && !name.starts_with('#') {
            found.push(Dependency {
                name,
                dev: table.contains("dev-"),
                line,
            });
        }
    }
    found
}

fn is_dependency_table(table: &str) -> bool {
    let last = table.rsplit('.').next().unwrap_or_default();
    !table.starts_with("workspace")
        && ["dependencies", "dev-dependencies", "build-dependencies"].contains(&last)
}
