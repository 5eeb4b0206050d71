//! The binary: parses the command line and runs the command.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use seawall::command::{Command, CommandLine};
use seawall::terminal::Terminal;

/// The system's allocator gives memory back late and is slower under many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A wrong command line ends the process with 2 here.
    let line = CommandLine::parse();
    match run(&line) {
        Ok(code) => code,
        Err(error) => {
            Terminal.complain(format_args!("seawall: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(line: &CommandLine) -> Result<ExitCode> {
    match &line.command {
        Command::Config(command) => command.run(&line.common, Terminal)?,
        Command::Version(command) => command.run(Terminal)?,
        Command::Serve(_)
        | Command::User(_)
        | Command::Namespace(_)
        | Command::Repo(_)
        | Command::Grant(_)
        | Command::Migrate(_)
        | Command::Verify(_) => anyhow::bail!("this command is not part of this build"),
    }
    Ok(ExitCode::SUCCESS)
}
