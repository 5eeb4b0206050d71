//! Comments wrap where a reader's window ends.

use super::Finding;
use super::source::RustFile;

/// The most columns that a line with a comment has.
pub const COLUMNS: usize = 100;

/// Checks the lines that are comments. A line without a blank behind its mark, such as a long path
/// or an address, cannot be wrapped, and neither can a line of a table.
pub fn width(file: &RustFile) -> Vec<Finding> {
    let mut in_example = false;
    let prose = file.text.lines().enumerate().filter(|(_, line)| {
        let is_comment = line.trim_start().starts_with("//");
        in_example ^= is_comment && line.contains("```");
        is_comment && !in_example
    });
    let too_long = prose.filter(|(_, line)| line.chars().count() > COLUMNS && can_wrap(line));
    let text = format!("a comment has at most {COLUMNS} columns");
    too_long
        .map(|(index, _)| Finding::new("comments", &file.path, index + 1, text.clone()))
        .collect()
}

fn can_wrap(line: &str) -> bool {
    let text = line.trim_start().trim_start_matches(['/', '!']).trim();
    text.contains(' ') && !text.starts_with('|')
}
