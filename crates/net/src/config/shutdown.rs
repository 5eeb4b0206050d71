//! The section `shutdown`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the server stops on SIGTERM or SIGINT. A second signal stops it at once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// For how many seconds the server still takes connections after it has said that it is not
    /// ready any more, so that a load balancer can notice.
    pub delay_seconds: u32,

    /// How many seconds running requests are given to end before their connections are closed.
    pub grace_seconds: u32,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            delay_seconds: 0,
            grace_seconds: 30,
        }
    }
}

impl Shutdown {
    /// The time between being unready and taking no more connections.
    pub fn delay(&self) -> Duration {
        Duration::from_secs(self.delay_seconds.into())
    }

    /// The time that running requests are given.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds.into())
    }
}
