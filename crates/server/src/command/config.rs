//! `seawall config`: checks a configuration as `serve` would, or writes the commented example or
//! the schema.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

use super::CommonOptions;
use crate::compose;
use crate::config::HEAD;
use crate::terminal::Terminal;

/// Check or write a configuration.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigCommand {
    /// Check a configuration file together with the environment, as `serve` would
    Check {
        /// The file; without it, that of --config, or the environment alone
        file: Option<PathBuf>,
    },
    /// Write a configuration with all keys, their documentation and their defaults
    Example,
    /// Write the shape of the configuration as a JSON Schema, for editors
    Schema,
}

impl ConfigCommand {
    /// Does it.
    pub fn run(&self, common: &CommonOptions, terminal: Terminal) -> Result<()> {
        match self {
            Self::Example => terminal.write(&compose::layout()?.example(HEAD)?)?,
            Self::Schema => {
                let schema = serde_json::to_string_pretty(compose::layout()?.schema())?;
                terminal.say(schema)?;
            }
            Self::Check { file } => {
                let common = CommonOptions {
                    config: file.clone().or_else(|| common.config.clone()),
                    ..common.clone()
                };
                common.load(None)?;
                let what = common
                    .config
                    .map_or("environment".to_owned(), |file| file.display().to_string());
                terminal.say(format_args!("{what}: ok"))?;
            }
        }
        Ok(())
    }
}
