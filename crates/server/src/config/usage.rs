//! The section `usage`; `compose` hands its values to the crate that acts on them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The activity log and the counts of pulls.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    /// Whether the feature is on. Switched off, it costs nothing and its tables stay as they are.
    pub enabled: bool,
}

impl Default for Usage {
    fn default() -> Self {
        Self { enabled: true }
    }
}
