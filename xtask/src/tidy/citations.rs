//! What a comment cites stands in the tree: a numbered requirement of docs/protocol.md (`protocol
//! §7.14`), a section of an RFC, a decision by its number.

use std::collections::HashSet;

use super::source::RustFile;
use super::{Finding, TextFile};

const RULE: &str = "citations";

/// Where the requirements stand that `§` refers to.
pub const PROTOCOL: &str = "docs/protocol.md";

/// Where the decisions stand, each in a file that begins with its number.
pub const DECISIONS: &str = "docs/decisions/";

/// Checks the citations in every file of Rust and in every document.
pub fn check(files: &[TextFile], rust: &[RustFile]) -> Vec<Finding> {
    let Some(protocol) = files.iter().find(|file| file.path == PROTOCOL) else {
        return vec![Finding::new(RULE, PROTOCOL, 0, "the file is missing")];
    };
    let sections = sections(&protocol.text);
    let decisions = decisions(files);
    let documents = files.iter().filter(|file| file.has_extension("md"));
    let texts = rust.iter().map(|file| (&file.path, &file.text));
    let texts = texts.chain(documents.map(|file| (&file.path, &file.text)));
    let mut findings = Vec::new();
    for (path, text) in texts.filter(|(path, _)| !path.starts_with("xtask/")) {
        for (index, line) in text.lines().enumerate() {
            let wrong = cited_sections(line).filter(|number| !sections.contains(number));
            findings.extend(wrong.map(|number| {
                let text = format!("§{number} does not stand in {PROTOCOL}");
                Finding::new(RULE, path, index + 1, text)
            }));
            let wrong = cited_decisions(line).filter(|number| !decisions.contains(number));
            findings.extend(wrong.map(|number| {
                let text = format!("decision {number} does not stand in {DECISIONS}");
                Finding::new(RULE, path, index + 1, text)
            }));
        }
    }
    findings
}

/// The numbers of the headings and of the requirements of a text.
pub fn sections(text: &str) -> HashSet<String> {
    let number = |line: &str| {
        let line = line.trim_start_matches(['#', '*', ' ']);
        let number = leading_number(line);
        (!number.is_empty()).then_some(number)
    };
    let begins = |line: &&str| line.starts_with('#') || line.starts_with("**");
    text.lines().filter(begins).filter_map(number).collect()
}

/// The sections that a line cites, but for those of RFCs.
fn cited_sections(line: &str) -> impl Iterator<Item = String> {
    let of_an_rfc = |before: &str| {
        let word = before.trim_end().rsplit_once("RFC ").map(|(_, rest)| rest);
        word.is_some_and(|rest| {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            rest.chars()
                .all(|c| " §.,–".contains(c) || c.is_ascii_digit())
        })
    };
    let cited = line.match_indices('§').filter_map(move |(at, mark)| {
        let (before, after) = (line.get(..at)?, line.get(at + mark.len()..)?);
        let number = leading_number(after);
        (!number.is_empty() && !of_an_rfc(before)).then_some(number)
    });
    cited.collect::<Vec<_>>().into_iter()
}

fn cited_decisions(line: &str) -> impl Iterator<Item = u32> {
    let cited = line.match_indices("decision ").filter_map(|(at, word)| {
        let after = line.get(at + word.len()..)?;
        leading_number(after).parse().ok()
    });
    cited.collect::<Vec<_>>().into_iter()
}

/// Digits and dots between digits at the beginning of a text.
fn leading_number(text: &str) -> String {
    let is_number = |c: &char| c.is_ascii_digit() || *c == '.';
    let number: String = text.chars().take_while(is_number).collect();
    number.trim_end_matches('.').to_owned()
}

/// The numbers of the decisions that are written down.
fn decisions(files: &[TextFile]) -> HashSet<u32> {
    let names = files
        .iter()
        .filter_map(|file| file.path.strip_prefix(DECISIONS));
    names
        .filter_map(|name| leading_number(name).parse().ok())
        .collect()
}
