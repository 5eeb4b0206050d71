//! `seawall migrate`: the arguments.

use clap::Subcommand;

use super::Output;

/// Bring the database's schema up to date.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum MigrateCommand {
    /// Show the steps that are to be applied, with their SQL
    Plan,
    /// Apply all steps; servers of this release and of the one before it may go on running
    Apply,
    /// List the steps and when each was applied
    Status(Output),
}
