//! The errors of a configuration, each with what is needed to correct it: the place, the
//! key's path, what was expected. A value that may be a secret is never repeated.

use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `FILE:LINE:COLUMN`, the name of an environment variable, or the name of an option of
    /// the command line.
    pub place: String,
    /// The key's path; empty for what concerns the whole file.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(formatter, "{}: {}", self.place, self.message)
        } else {
            write!(formatter, "{}: {}: {}", self.place, self.path, self.message)
        }
    }
}

/// Everything that is wrong with a configuration, as far as it could be told at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// One at least.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the configuration is not valid")?;
        for problem in &self.problems {
            write!(formatter, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

/// Turns a deserialiser's message into words for people. `path` is the path that the message may
/// begin with.
pub(crate) fn reword(raw: &str, path: &str) -> String {
    // The deserialiser's own idea of the path may be shorter than ours.
    let text = match raw.split_once(": ") {
        Some((head, rest)) if !head.is_empty() && path.starts_with(head) => rest,
        _ => raw,
    };
    let text = text.split(" at line ").next().unwrap_or(text);
    if let Some(rest) = text.strip_prefix("unknown field `") {
        return unknown_key(rest);
    }
    if let Some(rest) = text.strip_prefix("missing field ") {
        return format!("expected the key {rest} as well");
    }
    let numbers = ["u8", "u16", "u32", "u64", "usize"];
    let mut text = hide_text(text);
    for number in numbers {
        if let Some(rest) = text.strip_suffix(&format!("expected {number}")) {
            text = format!("{rest}expected a whole number");
        }
    }
    if let Some(rest) = text.find("expected struct ") {
        text = format!("{}expected a section with keys of its own", &text[..rest]);
    }
    text
}

/// `rest` is `NAME`, expected one of `A`, `B`` as serde writes it behind its opening quote.
fn unknown_key(rest: &str) -> String {
    let mut quoted = rest.split('`').step_by(2);
    let name = quoted.next().unwrap_or_default().to_owned();
    let known: Vec<&str> = quoted.filter(|word| !word.is_empty()).collect();
    unknown(&name, &known)
}

/// The message about an unknown key, with the nearest known one.
pub(crate) fn unknown(name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(near) => format!("unknown key; did you mean `{near}`?"),
        None => format!("unknown key; known here: {}", known.join(", ")),
    }
}

/// The known name nearest to `name`, if one is near enough to have been meant.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Takes a text out of the message that might be a URL with a password in it.
fn hide_text(text: &str) -> String {
    let Some((before, rest)) = text.split_once("string \"") else {
        return text.to_owned();
    };
    match rest.rfind("\", expected") {
        Some(end) if rest[..end].contains(['@', '/', ':']) => {
            format!("{before}a text{}", &rest[end + 1..])
        }
        _ => text.to_owned(),
    }
}
