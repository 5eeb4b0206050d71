//! Names that say nothing: a module is named for what it is about, not for how its author felt
//! about it.

use super::Finding;
use super::source::RustFile;

/// What no file, folder or module is called.
const FORBIDDEN: &[&str] = &[
    "utils", "util", "common", "helper", "helpers", "manager", "managers", "handler", "handlers",
    "misc", "impl", "impls",
];

/// Checks the parts of the path and the modules declared in the file.
pub fn names(file: &RustFile) -> Vec<Finding> {
    let finding = |line, name: &str| {
        let text = format!("`{name}` says nothing: name it for what it is about");
        Finding::new("names", &file.path, line, text)
    };
    let stem = file.path.trim_end_matches(".rs");
    let parts = stem.split('/').filter(|part| FORBIDDEN.contains(part));
    let mut findings: Vec<_> = parts.map(|part| finding(0, part)).collect();
    for (line, code) in file.code_lines() {
        let declared = code.split_once("mod ").map(|(_, rest)| rest.trim_start());
        let name = declared.and_then(|rest| rest.split([' ', ';', '{']).next());
        if let Some(name) = name.filter(|name| FORBIDDEN.contains(name)) {
            findings.push(finding(line, name));
        }
    }
    findings
}
