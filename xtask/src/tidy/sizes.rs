//! How long things get. The tail matters more than the average: one file that is never read to its
//! end costs more than ten that are a little long.

use std::fmt;

use super::Finding;
use super::source::RustFile;

/// The most lines of a file.
pub const MAX_FILE_LINES: usize = 600;

/// The most lines of a function, tests included.
pub const MAX_FUNCTION_LINES: usize = 80;

/// Checks the length of a file.
pub fn files(file: &RustFile) -> Vec<Finding> {
    let lines = file.text.lines().count();
    if lines <= MAX_FILE_LINES {
        return Vec::new();
    }
    let text = format!("{lines} lines; a file has at most {MAX_FILE_LINES}");
    vec![Finding::new("sizes", &file.path, 0, text)]
}

/// Checks the length of every function.
pub fn functions(file: &RustFile) -> Vec<Finding> {
    let too_long = |lines: usize| lines > MAX_FUNCTION_LINES;
    let found = file
        .functions()
        .into_iter()
        .filter(|function| too_long(function.lines));
    found
        .map(|function| {
            let (name, lines) = (&function.name, function.lines);
            let text =
                format!("fn {name} has {lines} lines; a function has at most {MAX_FUNCTION_LINES}");
            Finding::new("sizes", &file.path, function.line, text)
        })
        .collect()
}

/// How long the files are that are not tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// How many files there are.
    pub files: usize,
    /// Half of the files have no more lines.
    pub median: usize,
    /// Nine in ten files have no more lines.
    pub p90: usize,
    /// The lines of the longest.
    pub longest: usize,
}

impl Sizes {
    /// Measures files that are not tests.
    pub fn of(files: &[RustFile]) -> Self {
        let measured = files.iter().filter(|file| !file.is_test_file());
        let mut lines: Vec<_> = measured.map(|file| file.text.lines().count()).collect();
        lines.sort_unstable();
        let rank = |share: usize| {
            lines
                .get((lines.len() * share).div_ceil(100).saturating_sub(1))
                .copied()
        };
        Self {
            files: lines.len(),
            median: rank(50).unwrap_or(0),
            p90: rank(90).unwrap_or(0),
            longest: lines.last().copied().unwrap_or(0),
        }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            files,
            median,
            p90,
            longest,
        } = self;
        write!(
            f,
            "{files} files of Rust, lines: median {median}, p90 {p90}, longest {longest}"
        )
    }
}
