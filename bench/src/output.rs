//! What the program says: figures to standard output, progress to standard error. Nothing else
//! writes to either, so that the table can be piped away while progress stays on the terminal.

use std::fmt::Display;
use std::io::{self, Write};

/// Writes text to standard output. A reader that has gone, as `head` does, is no failure.
pub(crate) fn say(text: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes a line of progress to standard error. A failure to write has nowhere to be reported.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
