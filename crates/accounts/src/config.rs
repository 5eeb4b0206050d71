//! The section `tokens` of the configuration.

use std::time::Duration;

use schemars::JsonSchema;
use seawall_config::{NumberRange, RuleViolation, Section};
use serde::{Deserialize, Serialize};

/// The tokens that clients get from `/v2/auth`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a token may be used, in seconds, from 60 to 86400. A token is never proof of a
    /// permission, so a long life costs no safety: what its holder may do is looked up each time.
    pub lifetime_seconds: u32,

    /// Whether a client that asks for a refresh token gets one. `docker login` asks, and then keeps
    /// it in place of the password, which other tools that read its file (Jib, oras-py, Kubernetes'
    /// pull secrets) do not understand. Switched off, it keeps name and password. What was given
    /// out before stays good until it ends or is revoked.
    pub refresh_tokens: bool,

    /// How long a refresh token may be used, in days, from 1 to 3650. It ends sooner when the
    /// password changes or the user is disabled. A change counts for those that are given out from
    /// then on.
    pub refresh_lifetime_days: u32,

    /// After how many days a new key signs, from 1 to 3650. Tokens of the old key stay good.
    pub key_rotation_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lifetime_seconds: 300,
            refresh_tokens: false,
            refresh_lifetime_days: 90,
            key_rotation_days: 30,
        }
    }
}

const DAY: Duration = Duration::from_hours(24);

impl Section for Config {
    fn validate(&self) -> Vec<RuleViolation> {
        RuleViolation::ranges(&[
            // Docker takes a shorter life for 60 seconds, whatever it is told, so that its token
            // would be refused half-way.
            NumberRange::new("lifetime_seconds", self.lifetime_seconds, 60, 86_400),
            NumberRange::new("refresh_lifetime_days", self.refresh_lifetime_days, 1, 3650),
            NumberRange::new("key_rotation_days", self.key_rotation_days, 1, 3650),
        ])
    }
}

impl Config {
    pub(crate) fn lifetime(&self) -> Duration {
        Duration::from_secs(self.lifetime_seconds.clamp(60, 86_400).into())
    }

    pub(crate) fn refresh_lifetime(&self) -> Duration {
        DAY * self.refresh_lifetime_days.clamp(1, 3650)
    }

    pub(crate) fn key_rotation(&self) -> Duration {
        DAY * self.key_rotation_days.clamp(1, 3650)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound_and_the_limits_are_said() {
        assert!(Config::default().validate().is_empty());
        let odd = Config {
            lifetime_seconds: 59,
            refresh_lifetime_days: 0,
            refresh_tokens: true,
            key_rotation_days: 9999,
        };
        assert_eq!(odd.validate().len(), 3);
        assert_eq!(odd.lifetime(), Duration::from_mins(1));
    }
}
