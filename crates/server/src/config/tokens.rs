//! The section `tokens`; `compose` hands its values to the crate that acts on them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Invalid;

/// The tokens that clients get from `/v2/auth`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// How long a token may be used, in seconds, 60 at least. A token is never proof of a permission, so a long life costs no
    /// safety: what its holder may do is looked up each time.
    pub lifetime_seconds: u32,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            lifetime_seconds: 300,
        }
    }
}

impl Tokens {
    pub(super) fn validate(&self) -> Vec<Invalid> {
        // Docker treats a shorter life as 60 seconds whatever it is told, so that its token would be refused half-way.
        if (60..=86_400).contains(&self.lifetime_seconds) {
            return Vec::new();
        }
        vec![Invalid::new(
            "tokens.lifetime_seconds",
            "expected a number from 60 to 86400",
        )]
    }
}
