//! What the rules know of a Rust file: its code without comments and strings, its strings, and
//! which of its lines are tests.
//!
//! This is a scanner, not a parser. It has to know comments (which nest), strings (which may be
//! raw), and that a quote may begin a character or a lifetime.

use std::ops::Range;

use super::TextFile;

/// A string literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// What is between its quotes, escapes as they are written.
    pub text: String,
}

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of `fn`, from 1.
    pub line: usize,
    /// How many lines it has from `fn` to its last brace.
    pub lines: usize,
}

/// A file of Rust.
#[derive(Clone, Debug)]
pub struct RustFile {
    /// Relative to the root, with slashes.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// The text with comments and the insides of strings turned into blanks; lines stay lines.
    pub code: String,
    /// All string literals.
    pub strings: Vec<Literal>,
    tests: Vec<Range<usize>>,
    only_tests: bool,
}

impl RustFile {
    /// Scans the file.
    pub fn new(file: &TextFile) -> Self {
        let mut scanner = Scanner::new(&file.text);
        scanner.run();
        let code = String::from_utf8_lossy(&scanner.code).into_owned();
        let tests = test_lines(&file.text, &code);
        let (path, text) = (file.path.clone(), file.text.clone());
        Self {
            path,
            text,
            code,
            strings: scanner.strings,
            tests,
            only_tests: false,
        }
    }

    /// Marks the files that other files declare as modules of their tests.
    pub fn mark_tests(files: &mut [Self]) {
        let declared: Vec<_> = files.iter().flat_map(Self::test_modules).collect();
        for file in files {
            let stem = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
            let is_within = |module: &String| {
                stem.strip_prefix(module.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            file.only_tests = declared.iter().any(is_within);
        }
    }

    /// The paths, without their ending, of modules that are declared for tests only and lie
    /// in files of their own.
    fn test_modules(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs");
        let folder = ["lib", "main", "mod"]
            .into_iter()
            .find_map(|root| {
                stem.strip_suffix(root)
                    .and_then(|rest| rest.strip_suffix('/'))
            })
            .unwrap_or(stem);
        let mut modules = Vec::new();
        for (_, end) in test_attributes(&self.text, &self.code) {
            let rest = self.code.get(end..).unwrap_or_default();
            let item = rest.split([';', '{']).next().unwrap_or_default();
            let ends_there = rest
                .get(item.len()..)
                .is_some_and(|rest| rest.starts_with(';'));
            let name = item.rsplit_once("mod ").map(|(_, name)| name.trim());
            if let Some(name) = name.filter(|_| ends_there) {
                modules.push(format!("{folder}/{name}"));
            }
        }
        modules
    }

    /// The lines of code, numbered from 1.
    pub fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }

    /// The lines on which the word stands in code, with nothing of a name around it.
    pub fn lines_with(&self, word: &str) -> Vec<usize> {
        self.code_lines()
            .filter(|(_, code)| has_word(code, word))
            .map(|(line, _)| line)
            .collect()
    }

    /// Whether the file as a whole serves tests: it is one, or it only measures or shows something.
    pub fn is_test_file(&self) -> bool {
        let in_folder = |folder: &str| {
            self.path.starts_with(&format!("{folder}/"))
                || self.path.contains(&format!("/{folder}/"))
        };
        ["tests", "benches", "examples", "testkit", "fuzz"]
            .into_iter()
            .any(in_folder)
            || self.only_tests
            || self.path.ends_with("_tests.rs")
            || self.path.ends_with("/tests.rs")
    }

    /// Whether the line belongs to a test.
    pub fn is_test_line(&self, line: usize) -> bool {
        self.is_test_file() || self.tests.iter().any(|range| range.contains(&line))
    }

    /// All functions that have a body.
    pub fn functions(&self) -> Vec<Function> {
        let bytes = self.code.as_bytes();
        let mut functions = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            let before = at.checked_sub(1).and_then(|index| bytes.get(index));
            let rest = self.code.get(at + 3..).unwrap_or_default();
            let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
            if before.is_some_and(|b| is_name(char::from(*b))) || name.is_empty() {
                continue;
            }
            if let Some(end) = body_end(&self.code, at) {
                let (line, last) = (line_of(&self.code, at), line_of(&self.code, end));
                functions.push(Function {
                    name,
                    line,
                    lines: last - line + 1,
                });
            }
        }
        functions
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The line of a byte offset, from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

/// Whether `word` stands in `line` with nothing of a name on either side.
pub fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line
            .get(at + word.len()..)
            .and_then(|text| text.chars().next());
        !before.is_some_and(is_name) && !after.is_some_and(is_name)
    })
}

/// Where the body ends of the item that begins at `start`; `None` if a semicolon ends it first.
fn body_end(code: &str, start: usize) -> Option<usize> {
    let mut nested = 0_usize;
    let mut braces = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested = nested.saturating_sub(1),
            b';' if nested == 0 && braces == 0 => return None,
            b'{' => braces += 1,
            b'}' if braces == 1 => return Some(at),
            b'}' => braces = braces.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

/// Where attributes begin and end that leave an item to tests: `#[cfg(test)]`, or a feature for
/// tests like `#[cfg(feature = "test-fixture")]`.
fn test_attributes(text: &str, code: &str) -> Vec<(usize, usize)> {
    let starts = code.match_indices("#[cfg(").map(|(at, _)| at);
    let attribute = |at: usize| {
        let end = at + code.get(at..)?.find(']')? + 1;
        // The feature's name is blank in the code; both have the same offsets.
        let attribute = text.get(at..end)?;
        (has_word(attribute, "test") && !attribute.contains("not(")).then_some((at, end))
    };
    starts.filter_map(attribute).collect()
}

/// The lines of items that are left to tests.
fn test_lines(text: &str, code: &str) -> Vec<Range<usize>> {
    let lines = |(at, end): (usize, usize)| {
        let last = body_end(code, end)?;
        Some(line_of(code, at)..line_of(code, last) + 1)
    };
    test_attributes(text, code)
        .into_iter()
        .filter_map(lines)
        .collect()
}

/// Blanks out comments and strings.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    code: Vec<u8>,
    strings: Vec<Literal>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        let code = Vec::with_capacity(text.len());
        Self {
            text: text.as_bytes(),
            at: 0,
            line: 1,
            code,
            strings: Vec::new(),
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn starts_with(&self, prefix: &[u8]) -> bool {
        self.text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(prefix))
    }

    /// Takes one byte, as it is or as a blank; line ends stay.
    fn take(&mut self, visible: bool) {
        let Some(byte) = self.peek(0) else { return };
        self.line += usize::from(byte == b'\n');
        self.code
            .push(if visible || byte == b'\n' { byte } else { b' ' });
        self.at += 1;
    }

    fn take_blank(&mut self, count: usize) {
        (0..count).for_each(|_| self.take(false));
    }

    fn run(&mut self) {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'/' if self.starts_with(b"//") => self.line_comment(),
                b'/' if self.starts_with(b"/*") => self.block_comment(),
                b'"' => self.string(0, false),
                b'\'' => self.quote(),
                _ if self.begins_name() => self.name(),
                _ => self.take(true),
            }
        }
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|b| b != b'\n') {
            self.take(false);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.peek(0).is_some() {
            if self.starts_with(b"/*") {
                depth += 1;
                self.take_blank(2);
            } else if self.starts_with(b"*/") {
                depth -= 1;
                self.take_blank(2);
                if depth == 0 {
                    return;
                }
            } else {
                self.take(false);
            }
        }
    }

    fn begins_name(&self) -> bool {
        self.peek(0)
            .is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
    }

    /// A name, or the prefix of a raw string (`r`, `br`, `cr` and any number of hashes).
    fn name(&mut self) {
        for prefix in [&b"r"[..], b"br", b"cr"] {
            if !self.starts_with(prefix) {
                continue;
            }
            let rest = self.text.get(self.at + prefix.len()..).unwrap_or_default();
            let hashes = rest.iter().take_while(|b| **b == b'#').count();
            if rest.get(hashes) == Some(&b'"') {
                self.take_blank(prefix.len() + hashes);
                self.string(hashes, true);
                return;
            }
        }
        while self
            .peek(0)
            .is_some_and(|b| b == b'_' || b.is_ascii_alphanumeric())
        {
            self.take(true);
        }
    }

    /// A string from its first quote on.
    fn string(&mut self, hashes: usize, raw: bool) {
        let line = self.line;
        self.take(true);
        let start = self.at;
        let mut end = vec![b'"'];
        end.resize(1 + hashes, b'#');
        while self.peek(0).is_some() && !self.starts_with(&end) {
            let escape = !raw && self.peek(0) == Some(b'\\');
            self.take_blank(1 + usize::from(escape));
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        self.strings.push(Literal {
            line,
            text: String::from_utf8_lossy(text).into_owned(),
        });
        self.take(true);
        self.take_blank(hashes);
    }

    /// A character or a lifetime.
    fn quote(&mut self) {
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        let rest = String::from_utf8_lossy(rest.get(..rest.len().min(8)).unwrap_or_default());
        let mut chars = rest.chars();
        match (chars.next(), chars.next()) {
            (Some('\\'), _) => {
                // The quote, the backslash and what it escapes; then on to the closing quote.
                self.take_blank(3);
                while self.peek(0).is_some_and(|b| b != b'\'' && b != b'\n') {
                    self.take(false);
                }
                self.take_blank(1);
            }
            (Some(c), Some('\'')) => self.take_blank(1 + c.len_utf8() + 1),
            _ => self.take(true),
        }
    }
}
