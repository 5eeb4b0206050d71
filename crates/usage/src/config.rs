//! The section `usage` of the configuration.

use std::time::Duration;

use schemars::JsonSchema;
use seawall_config::{NumberRange, RuleViolation, Section};
use serde::{Deserialize, Serialize};

/// The activity log and the counts of pulls.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether the feature is on. Switched off, it costs nothing and its tables stay as they are.
    pub enabled: bool,

    /// How often counts of pulls are written, in seconds, from 1 to 600. What a killed process had
    /// counted since is lost.
    pub flush_seconds: u32,

    /// How long the activity log is kept, in days, from 1 to 3650.
    pub activity_days: u32,

    /// How long the counts of pulls are kept, in days, from 1 to 36500.
    pub pull_count_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            flush_seconds: 5,
            activity_days: 90,
            pull_count_days: 1095,
        }
    }
}

const DAY: Duration = Duration::from_hours(24);

impl Section for Config {
    fn validate(&self) -> Vec<RuleViolation> {
        RuleViolation::ranges(&[
            NumberRange::new("flush_seconds", self.flush_seconds, 1, 600),
            NumberRange::new("activity_days", self.activity_days, 1, 3650),
            NumberRange::new("pull_count_days", self.pull_count_days, 1, 36_500),
        ])
    }
}

impl Config {
    pub(crate) fn flush(&self) -> Duration {
        Duration::from_secs(self.flush_seconds.clamp(1, 600).into())
    }

    pub(crate) fn activity(&self) -> Duration {
        DAY * self.activity_days.clamp(1, 3650)
    }

    pub(crate) fn pull_count_days(&self) -> i64 {
        self.pull_count_days.clamp(1, 36_500).into()
    }
}
