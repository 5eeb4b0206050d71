//! `seawall migrate`: bring the database's schema up to date.

use anyhow::Result;
use clap::Subcommand;
use serde::Serialize;

use super::{CommonOptions, OutputOptions};
use crate::compose::{self, Runtime};
use crate::terminal::Terminal;

/// Bring the database's schema up to date.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum MigrateCommand {
    /// Show the steps that are to be applied, with their SQL
    Plan,
    /// Apply all steps; servers of this release and of the one before it may go on running
    Apply,
    /// List the steps and whether each was applied
    Status(OutputOptions),
}

/// One step as it is listed.
#[derive(Debug, Serialize)]
struct ListedStep {
    step: String,
    state: &'static str,
}

impl MigrateCommand {
    /// Does it.
    pub async fn run(self, common: &CommonOptions, terminal: Terminal) -> Result<()> {
        let config = common.load(None)?;
        let runtime = Runtime::machine();
        crate::lock::make_private(&config.data)?;
        let meta = compose::open_meta(&config, &config.data, &runtime).await?;
        let migrator = compose::migrator(&meta);
        match self {
            Self::Plan => {
                for (step, sql) in migrator.plan().await? {
                    terminal.say(format_args!("-- {step}\n{sql};\n"))?;
                }
            }
            Self::Apply => {
                let applied = migrator.apply().await?;
                applied
                    .iter()
                    .try_for_each(|step| terminal.say(format_args!("applied {step}")))?;
                let count = applied.len();
                terminal.say(format_args!(
                    "{count} steps applied; the schema is up to date"
                ))?;
            }
            Self::Status(output) => {
                let status = migrator.status().await?;
                let steps: Vec<_> = [
                    (status.applied, "applied"),
                    (status.missing, "missing"),
                    (status.unknown, "of a later release"),
                ]
                .into_iter()
                .flat_map(|(steps, state)| {
                    steps
                        .into_iter()
                        .map(move |step| ListedStep { step, state })
                })
                .collect();
                let row = |step: &ListedStep| vec![step.step.clone(), step.state.to_owned()];
                terminal.list(output, &steps, (&["STEP", "STATE"], row))?;
            }
        }
        meta.close().await;
        Ok(())
    }
}
