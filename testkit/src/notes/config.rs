//! The section `notes`.

use schemars::JsonSchema;
use seawall_config::{NumberRange, RuleViolation, Section};
use serde::{Deserialize, Serialize};

/// Notes about blobs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The most notes that are shown of a repository, from 1 to 100.
    pub max_listed: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_listed: 10 }
    }
}

impl Section for Config {
    fn validate(&self) -> Vec<RuleViolation> {
        RuleViolation::ranges(&[NumberRange::new("max_listed", self.max_listed, 1, 100)])
    }
}
