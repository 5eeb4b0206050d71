//! The binary: parses the command line and runs the command.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use seawall::command::{Command, CommandLine};
use seawall::serve;
use seawall::terminal::Terminal;

/// The system's allocator gives memory back late and is slower under many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long threads that still wait for the system are waited for at the end.
const LAST_THREADS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // What is kept is the owner's alone: the database holds password hashes, the directory keys.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    // Huge pages would make the first byte of each 2 MiB cost all of them, at rest and for each
    // connection. Where the system has none of them, it has nothing to say.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // A wrong command line ends the process with 2 here.
    let line = CommandLine::parse();
    match run(&line) {
        Ok(code) => code,
        Err(error) => {
            Terminal.write_error(format_args!("seawall: {}", told(&error)));
            ExitCode::FAILURE
        }
    }
}

fn run(line: &CommandLine) -> Result<ExitCode> {
    let common = &line.common;
    match &line.command {
        Command::Config(command) => return done(command.run(common, Terminal)),
        Command::Version(command) => return done(command.run(Terminal)),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        match &line.command {
            Command::Serve(command) => done(serve::serve(common, command.listen, Terminal).await),
            Command::User(command) => done(command.run(common, Terminal).await),
            Command::Namespace(command) => done(command.run(common, Terminal).await),
            Command::Repo(command) => done(command.run(common, Terminal).await),
            Command::Grant(command) => done(command.run(common, Terminal).await),
            Command::Jobs(command) => done(command.run(common, Terminal).await),
            Command::Migrate(command) => done(command.run(common, Terminal).await),
            Command::Verify(command) => command.run(common, Terminal).await,
            Command::Config(_) | Command::Version(_) => Ok(ExitCode::SUCCESS),
        }
    });
    // What must end has ended. A thread that waits for a disk or a name server may do so for ever.
    runtime.shutdown_timeout(LAST_THREADS);
    ended
}

/// The error with its causes, in the words that are meant for people. The reason of an operation's
/// error is a word for programs.
fn told(error: &anyhow::Error) -> String {
    let words = |cause: &(dyn std::error::Error + 'static)| {
        let own = cause.downcast_ref::<seawall_types::Error>();
        own.map_or_else(|| cause.to_string(), |error| error.public.to_string())
    };
    error.chain().map(words).collect::<Vec<_>>().join(": ")
}

fn done(result: Result<()>) -> Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}
