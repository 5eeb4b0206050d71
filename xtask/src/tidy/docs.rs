//! Every file says first what it is for.

use super::Finding;
use super::source::RustFile;

/// Checks that the file begins with a module's documentation, which is more than a mark.
pub fn opens_with_docs(file: &RustFile) -> Vec<Finding> {
    let first = file.text.lines().next().unwrap_or_default();
    if first
        .strip_prefix("//!")
        .is_some_and(|text| text.trim().len() > 10)
    {
        return Vec::new();
    }
    let text = "a file begins with `//!`: what it is for and what it must never do";
    vec![Finding::new("docs", &file.path, 1, text)]
}
