//! The section `tokens` of the configuration.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The tokens that clients get from `/v2/auth`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a token may be used, in seconds, from 60 to 86400. A token is never proof of a
    /// permission, so a long life costs no safety: what its holder may do is looked up each time.
    pub token_lifetime_seconds: u64,

    /// Whether who asks for a refresh token gets one. Those given out before are good either way.
    pub refresh_tokens: bool,

    /// How long a refresh token may be used, in days, from 1 to 3650. It ends sooner when the
    /// password changes or the user is disabled.
    pub refresh_lifetime_days: u32,

    /// After how many days a new key signs, from 1 to 3650. Tokens of the old key stay good.
    pub key_rotation_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            token_lifetime_seconds: 300,
            refresh_tokens: false,
            refresh_lifetime_days: 90,
            key_rotation_days: 30,
        }
    }
}

const DAY: Duration = Duration::from_hours(24);

impl Config {
    /// What is wrong with it: pairs of a key and what was expected there.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut problems = Vec::new();
        // Docker takes a shorter life for 60 seconds, whatever it is told, so that its token would
        // be refused half-way.
        if !(60..=86_400).contains(&self.token_lifetime_seconds) {
            problems.push((
                "token_lifetime_seconds",
                "expected a number from 60 to 86400",
            ));
        }
        if !(1..=3650).contains(&self.refresh_lifetime_days) {
            problems.push(("refresh_lifetime_days", "expected a number from 1 to 3650"));
        }
        if !(1..=3650).contains(&self.key_rotation_days) {
            problems.push(("key_rotation_days", "expected a number from 1 to 3650"));
        }
        problems
    }

    pub(crate) fn lifetime(&self) -> Duration {
        Duration::from_secs(self.token_lifetime_seconds.clamp(60, 86_400))
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
        assert!(Config::default().problems().is_empty());
        let odd = Config {
            token_lifetime_seconds: 59,
            refresh_lifetime_days: 0,
            refresh_tokens: true,
            key_rotation_days: 9999,
        };
        assert_eq!(odd.problems().len(), 3);
        assert_eq!(odd.lifetime(), Duration::from_mins(1));
    }
}
