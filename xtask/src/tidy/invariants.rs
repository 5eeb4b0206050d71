//! Every invariant that ARCHITECTURE.md states is held up by a test that exists, and so is what the
//! security page says.

use std::collections::HashSet;

use super::source::RustFile;
use super::{Finding, TextFile};

const RULE: &str = "invariants";

/// Where the invariants are.
pub const FILE: &str = "ARCHITECTURE.md";

/// Where tests stand beside what they hold up, as `module::a_test` in a line of its own or of a
/// table.
pub const SECURITY: &str = "docs/security.md";

/// An item of the numbered list under the heading "Invariants".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// Its text, on one line.
    pub text: String,
}

impl Invariant {
    /// The names in `(test: a::b, c)` at its end.
    pub fn tests(&self) -> Vec<&str> {
        let text = self.text.trim_end_matches(['.', '*', ' ']);
        let Some(inner) = text.strip_suffix(')') else {
            return Vec::new();
        };
        let Some((_, names)) = inner
            .rsplit_once("(test: ")
            .or_else(|| inner.rsplit_once("(tests: "))
        else {
            return Vec::new();
        };
        names
            .split(',')
            .map(|name| name.trim().trim_matches('`'))
            .collect()
    }
}

/// The invariants that a text states.
pub fn listed(text: &str) -> Vec<Invariant> {
    let mut found: Vec<Invariant> = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('#') {
            inside = line
                .trim_start_matches('#')
                .trim()
                .starts_with("Invariants");
        } else if inside {
            let numbered = line.split_once(". ").filter(|(number, _)| {
                !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
            });
            if let Some((_, rest)) = numbered {
                found.push(Invariant {
                    line: index + 1,
                    text: rest.trim().to_owned(),
                });
            } else if let (Some(last), true) = (found.last_mut(), line.starts_with(' ')) {
                last.text.push(' ');
                last.text.push_str(line.trim());
            }
        }
    }
    found
}

/// Checks that the invariants are there, that each names a test, and that each test exists: as a
/// function somewhere in the tree or, for what is tested from outside, as a script.
pub fn check(files: &[TextFile], rust: &[RustFile]) -> Vec<Finding> {
    let Some(architecture) = files.iter().find(|file| file.path == FILE) else {
        return vec![Finding::new(RULE, FILE, 0, "the file is missing")];
    };
    let invariants = listed(&architecture.text);
    if invariants.is_empty() {
        let text = "no numbered list under a heading \"Invariants\"";
        return vec![Finding::new(RULE, FILE, 0, text)];
    }
    let functions = functions(rust);
    let exists = |test: &str| {
        let name = test.rsplit("::").next().unwrap_or(test);
        functions.contains(name) || files.iter().any(|file| file.path == test)
    };
    let mut findings = Vec::new();
    for invariant in &invariants {
        let tests = invariant.tests();
        if tests.is_empty() {
            let text = "an invariant ends with `(test: path::name)`";
            findings.push(Finding::new(RULE, FILE, invariant.line, text));
        }
        for test in tests.into_iter().filter(|test| !exists(test)) {
            let text = format!("no test is called `{test}`");
            findings.push(Finding::new(RULE, FILE, invariant.line, text));
        }
    }
    findings
}

fn functions(rust: &[RustFile]) -> HashSet<String> {
    let all = rust.iter().flat_map(RustFile::functions);
    all.map(|function| function.name).collect()
}

/// Checks that each test exists that the security page names: whatever has `::` between backquotes.
pub fn check_security(files: &[TextFile], rust: &[RustFile]) -> Vec<Finding> {
    let Some(page) = files.iter().find(|file| file.path == SECURITY) else {
        return vec![Finding::new(RULE, SECURITY, 0, "the file is missing")];
    };
    let functions = functions(rust);
    let mut findings = Vec::new();
    for (index, line) in page.text.lines().enumerate() {
        let quoted = line.split('`').skip(1).step_by(2);
        for test in quoted.filter(|text| text.contains("::") && !text.contains(' ')) {
            let name = test.rsplit("::").next().unwrap_or(test);
            if !functions.contains(name) {
                let text = format!("no test is called `{test}`");
                findings.push(Finding::new(RULE, SECURITY, index + 1, text));
            }
        }
    }
    findings
}
