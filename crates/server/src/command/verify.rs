//! `seawall verify`: checks that every blob is there and is what its digest says.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::{CommonOptions, OutputFormat, OutputOptions};
use crate::command_context::CommandContext;
use crate::terminal::Terminal;
use crate::verify::{VerifyReport, verify_storage};

/// Check that every blob is there and is what its digest says.
///
/// Reads every blob, checks every reference, and changes nothing. Works beside a running server.
/// The exit code is 1 if damage was found.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct VerifyCommand {
    /// Look only at names and sizes, without reading the blobs
    #[arg(long)]
    pub quick: bool,

    /// How to write what was found.
    #[command(flatten)]
    pub output: OutputOptions,
}

impl VerifyCommand {
    /// Does it.
    pub async fn run(self, common: &CommonOptions, terminal: Terminal) -> Result<ExitCode> {
        let report = CommandContext::work(common, terminal, async |context| {
            Ok(verify_storage(&context.op, !self.quick).await?)
        })
        .await?;
        match self.output.format {
            OutputFormat::Json => terminal.say(serde_json::to_string_pretty(&report)?)?,
            OutputFormat::Table => tell(terminal, &report)?,
        }
        Ok(if report.damage.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn tell(terminal: Terminal, report: &VerifyReport) -> Result<()> {
    for damage in &report.damage {
        terminal.say(format_args!("damaged: {}: {}", damage.what, damage.why))?;
    }
    for orphan in &report.orphans {
        terminal.say(format_args!("orphan (no damage): {orphan}"))?;
    }
    let VerifyReport {
        blobs,
        bytes,
        manifests,
        ..
    } = report;
    let damaged = report.damage.len();
    terminal.say(format_args!(
        "{blobs} blobs ({bytes} bytes) and {manifests} manifests examined, {damaged} damaged"
    ))?;
    Ok(())
}
