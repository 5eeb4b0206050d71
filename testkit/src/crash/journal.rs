//! What one client sent and what became of it, kept for the excerpt of a failure.

use std::collections::VecDeque;
use std::fmt::Write;

/// How many lines are kept; the state is in the world, this is for people.
const KEPT: usize = 20_000;

/// How many lines an excerpt ends with, whatever they are about.
const LAST: usize = 12;

/// A client's journal.
#[derive(Debug, Default)]
pub(super) struct ClientJournal {
    lines: VecDeque<String>,
    written: u64,
}

impl ClientJournal {
    /// Writes one line.
    pub(super) fn note(&mut self, kill: u64, text: &str) {
        self.written += 1;
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        let line = format!("{:>6} [after kill {kill}] {text}", self.written);
        self.lines.push_back(line);
    }

    /// All that is about one of these words, and the end.
    pub(super) fn excerpt(&self, words: &[String]) -> String {
        let end = self.lines.len().saturating_sub(LAST);
        let mut text = String::new();
        for (index, line) in self.lines.iter().enumerate() {
            let about = words.iter().any(|word| line.contains(word.as_str()));
            if about || index >= end {
                let _ = writeln!(text, "  {line}");
            }
        }
        text
    }
}
