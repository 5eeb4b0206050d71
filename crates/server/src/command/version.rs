//! `seawall version`.

use std::fmt;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::{OutputFormat, OutputOptions};
use crate::terminal::Terminal;

/// The version alone.
pub const SHORT: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from; empty if it was not built in a checkout.
pub const COMMIT: &str = env!("SEAWALL_COMMIT");

/// The compiler.
pub const COMPILER: &str = env!("SEAWALL_RUSTC");

/// Show the version and what it was built from.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct VersionCommand {
    /// How to write it.
    #[command(flatten)]
    pub output: OutputOptions,
}

impl VersionCommand {
    /// Does it.
    pub fn run(self, terminal: Terminal) -> Result<()> {
        match self.output.format {
            OutputFormat::Table => terminal.say(LongVersion)?,
            OutputFormat::Json => {
                let commit = (!COMMIT.is_empty()).then_some(COMMIT);
                terminal.say(json!({"version": SHORT, "commit": commit, "rustc": COMPILER}))?;
            }
        }
        Ok(())
    }
}

/// All of it in one line.
struct LongVersion;

impl fmt::Display for LongVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "seawall {SHORT}")?;
        if !COMMIT.is_empty() {
            write!(formatter, " ({COMMIT})")?;
        }
        write!(formatter, ", {COMPILER}")
    }
}
