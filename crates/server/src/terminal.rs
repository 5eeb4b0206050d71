//! Standard output and standard error of the command line, and what can be asked at a terminal.
//! Everything that the program says, except the log, goes through here.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use seawall_types::Secret;

/// The terminal, or whatever stands in its place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminal;

impl Terminal {
    /// Writes a line to standard output. A reader that has gone, as `head` does, is no failure.
    pub fn say(self, text: impl Display) -> io::Result<()> {
        let mut out = io::stdout().lock();
        forgive(writeln!(out, "{text}").and_then(|()| out.flush()))
    }

    /// Writes text to standard output as it is.
    pub fn write(self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        forgive(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }

    /// Writes a line to standard error. A failure to write has nowhere to be reported.
    pub fn write_error(self, text: impl Display) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Whether a person is at the input and sees the questions.
    pub fn is_interactive(self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether a person sees what is said.
    pub fn shows_output(self) -> bool {
        io::stdout().is_terminal()
    }

    /// Asks for a line, with its echo: for confirmations, not for secrets.
    pub fn ask(self, question: &str) -> io::Result<String> {
        write!(io::stderr().lock(), "{question} ")?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Asks for a line without its echo. The terminal is set back even if reading fails.
    pub fn ask_secret(self, question: &str) -> io::Result<Secret> {
        write!(io::stderr().lock(), "{question} ")?;
        let input = io::stdin();
        let before = tcgetattr(&input)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Flush, &silent)?;
        let line = self.read_line();
        tcsetattr(&input, OptionalActions::Flush, &before)?;
        // The person's own line end was not echoed either.
        writeln!(io::stderr().lock())?;
        line.map(Secret::new)
    }

    /// Reads all of standard input up to the first line's end, as `--password-stdin` means it.
    pub fn read_line(self) -> io::Result<String> {
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn forgive(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
