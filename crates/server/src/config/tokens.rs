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

    /// Whether a client that asks for a refresh token gets one. `docker login` asks, and then keeps it in place of the password,
    /// which other tools that read its file (Jib, oras-py, Kubernetes' pull secrets) do not understand. Switched off, it keeps name
    /// and password. What was given out before stays good until it ends or is revoked.
    pub refresh_tokens: bool,

    /// How long a refresh token may be used, in days. A change counts for those that are given out from then on.
    pub refresh_lifetime_days: u32,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            lifetime_seconds: 300,
            refresh_tokens: false,
            refresh_lifetime_days: 90,
        }
    }
}

impl Tokens {
    pub(super) fn validate(&self) -> Vec<Invalid> {
        // Docker treats a shorter life as 60 seconds whatever it is told, so that its token would be refused half-way.
        let rules = [
            ("lifetime_seconds", self.lifetime_seconds, 60, 86_400),
            ("refresh_lifetime_days", self.refresh_lifetime_days, 1, 3650),
        ];
        Invalid::ranges("tokens", &rules)
    }
}
