//! Tidy: all rules over all files.
//!
//! A rule takes one file (or, where it must, the whole tree) and gives findings. What a rule needs
//! to know of Rust it gets from [`source::RustFile`], in which comments and strings are blanked
//! out, so that a word in a comment is not taken for code.

pub mod circles;
pub mod citations;
pub mod comments;
pub mod docs;
pub mod invariants;
pub mod migrations;
pub mod names;
pub mod owners;
pub mod rings;
pub mod sizes;
pub mod source;
pub mod tree;
pub mod vocabulary;
pub mod words;

use std::fmt;

use sizes::Sizes;
use source::RustFile;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, relative to the root, with slashes.
    pub path: String,
    /// The line from 1; 0 for the file as a whole.
    pub line: usize,
    /// The rule's name.
    pub rule: &'static str,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl Finding {
    /// A finding in this line.
    pub fn new(rule: &'static str, path: &str, line: usize, text: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule,
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {} [{}]",
            self.path, self.line, self.text, self.rule
        )
    }
}

/// A text file of the tree.
#[derive(Clone, Debug)]
pub struct TextFile {
    /// Relative to the root, with slashes.
    pub path: String,
    /// The whole content.
    pub text: String,
}

impl TextFile {
    /// A file with this path and content.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }

    /// Whether the path ends so; `extension` is without its dot.
    pub fn has_extension(&self, extension: &str) -> bool {
        self.path
            .rsplit_once('.')
            .is_some_and(|(_, found)| found == extension)
    }
}

/// What tidy has to say of a tree.
#[derive(Clone, Debug)]
pub struct Report {
    /// Everything that is not as it should be, sorted.
    pub findings: Vec<Finding>,
    /// How long files are.
    pub sizes: Sizes,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        write!(f, "{} findings; {}", self.findings.len(), self.sizes)
    }
}

/// Applies every rule to every file.
pub fn check(files: &[TextFile]) -> Report {
    let mut findings = Vec::new();
    let mut rust = Vec::new();
    for file in files {
        findings.extend(words::machine_paths(file));
        if file.path.ends_with("Cargo.toml") {
            findings.extend(rings::dependencies(file));
            findings.extend(owners::dependencies(file));
            findings.extend(words::lints(file));
        } else if file.has_extension("sql") {
            findings.extend(migrations::one_statement(file));
        } else if file.has_extension("rs") {
            rust.push(RustFile::new(file));
        }
    }
    RustFile::mark_tests(&mut rust);
    for file in &rust {
        findings.extend(rust_file(file));
    }
    findings.extend(circles::check(&rust));
    findings.extend(citations::check(files, &rust));
    findings.extend(vocabulary::check(&rust));
    findings.extend(migrations::numbers(files));
    findings.extend(invariants::check(files, &rust));
    findings.extend(invariants::check_security(files, &rust));
    findings.sort();
    Report {
        findings,
        sizes: Sizes::of(&rust),
    }
}

/// Applies every rule that looks at one file of Rust.
fn rust_file(file: &RustFile) -> Vec<Finding> {
    let rules = [
        rings::imports,
        owners::named_by_its_owner,
        owners::sql_in_stores,
        owners::ambient,
        sizes::files,
        sizes::functions,
        names::names,
        docs::opens_with_docs,
        comments::width,
        words::forbidden,
    ];
    rules.iter().flat_map(|rule| rule(file)).collect()
}
