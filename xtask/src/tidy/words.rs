//! Words that must not stay: unfinished business, silenced lints, and traces of the machine on
//! which something was written.

use super::rings::crate_of;
use super::source::{RustFile, has_word};
use super::{Finding, TextFile};

/// What must not stand in code.
const IN_CODE: &[(&str, &str)] = &[
    ("todo!", "finish it or leave it out"),
    ("unimplemented!", "finish it or leave it out"),
    ("#[ignore", "a test that does not run proves nothing"),
    (
        "#[allow(",
        "use #[expect(…, reason = …)], which complains when it is needed no more",
    ),
    (
        "#![allow(",
        "use #[expect(…, reason = …)], which complains when it is needed no more",
    ),
];

/// What must not stand in a comment either, put together here so that this file passes.
const UNFINISHED: &str = concat!("FIX", "ME");

/// Checks a file of Rust. The tidy crate itself has to spell out what it forbids, but in strings.
pub fn forbidden(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, code) in file.code_lines() {
        let found = IN_CODE.iter().filter(|(word, _)| code.contains(word));
        findings.extend(found.map(|(word, advice)| {
            Finding::new("words", &file.path, line, format!("{word}: {advice}"))
        }));
    }
    let is_lock = |code: &str| has_word(code, "Mutex") || has_word(code, "RwLock");
    for (line, code) in file.code_lines() {
        if code.contains("std::sync") && is_lock(code) && !file.is_test_line(line) {
            let text = "take parking_lot's locks: a panic elsewhere must not poison them";
            findings.push(Finding::new("words", &file.path, line, text));
        }
    }
    for (index, text) in file.text.lines().enumerate() {
        if has_word(text, UNFINISHED) {
            let text =
                format!("{UNFINISHED}: do it, or write down elsewhere that it is to be done");
            findings.push(Finding::new("words", &file.path, index + 1, text));
        }
    }
    findings
}

/// Checks any text file for absolute paths of one machine.
pub fn machine_paths(file: &TextFile) -> Vec<Finding> {
    let roots = ["work", "farm", "root"].map(|name| format!("/{name}/"));
    let mut findings = Vec::new();
    for (index, text) in file.text.lines().enumerate() {
        if let Some(root) = roots.iter().find(|root| text.contains(root.as_str())) {
            let text = format!("`{root}` is a path of somebody's machine");
            findings.push(Finding::new("paths", &file.path, index + 1, text));
        }
    }
    findings
}

/// Checks that a crate takes the workspace's lints.
pub fn lints(file: &TextFile) -> Vec<Finding> {
    let mut lines = file.text.lines().map(str::trim);
    let inherits = lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true");
    if inherits || crate_of(&file.path).is_none() {
        return Vec::new();
    }
    let text = "a crate has `[lints]` with `workspace = true`";
    vec![Finding::new("lints", &file.path, 0, text)]
}
