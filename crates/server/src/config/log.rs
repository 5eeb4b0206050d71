//! The section `log`.

use schemars::JsonSchema;
use seawall_config::{RuleViolation, Section};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// The log, which goes to standard error.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// How a line is written: auto is text on a terminal and json elsewhere.
    pub format: LogFormat,

    /// What is written: `error`, `warn`, `info`, `debug` or `trace`, also by part, such as
    /// `info,seawall_kernel=debug`. The one line per request has the part `request`.
    pub level: String,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            level: "info".to_owned(),
        }
    }
}

impl LogConfig {
    /// The filter that `level` describes.
    pub fn filter(&self) -> Result<EnvFilter, String> {
        EnvFilter::builder()
            .with_regex(false)
            .parse(&self.level)
            .map_err(|error| error.to_string())
    }
}

impl Section for LogConfig {
    fn validate(&self) -> Vec<RuleViolation> {
        // A single unknown word is a valid filter (a target switched to trace), which is never
        // meant.
        let word = !self.level.is_empty() && self.level.chars().all(char::is_alphanumeric);
        let known = ["off", "error", "warn", "info", "debug", "trace"];
        let unknown = word && !known.contains(&self.level.to_ascii_lowercase().as_str());
        if !unknown && self.filter().is_ok() && !self.level.is_empty() {
            return Vec::new();
        }
        vec![RuleViolation::new(
            "level",
            "expected error, warn, info, debug or trace, or a list such as info,hyper=debug",
        )]
    }
}
