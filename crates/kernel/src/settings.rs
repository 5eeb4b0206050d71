//! What an installation is set to, as the kernel and all above it read it: the sections `access`
//! and `cache` of the configuration, and what the program adds.

use std::time::Duration;

use schemars::JsonSchema;
use seawall_config::{RuleViolation, Section};
use serde::{Deserialize, Serialize};

/// What may be done without having been granted it first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessSettings {
    /// Whether public repositories can be pulled without logging in.
    pub anonymous_pull: bool,

    /// Whether an administrator's push makes a namespace that does not exist, as an organization.
    pub create_namespace_on_push: bool,

    /// Whether a push makes the repository if it does not exist. What a push makes is private.
    pub create_repository_on_push: bool,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            anonymous_pull: true,
            create_namespace_on_push: true,
            create_repository_on_push: true,
        }
    }
}

impl Section for AccessSettings {}

/// What was read before, kept in the memory of the process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// How many bytes all caches together may take. With 0 nothing is remembered: every answer is
    /// the same, and every pull asks the database.
    pub bytes: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { bytes: 128 << 20 }
    }
}

/// The most memory that may be asked for: 1 TiB.
const MOST_CACHE: u64 = 1 << 40;

impl Section for CacheConfig {
    fn validate(&self) -> Vec<RuleViolation> {
        if self.bytes <= MOST_CACHE {
            return Vec::new();
        }
        let expected = format!("expected a number of bytes up to {MOST_CACHE}");
        vec![RuleViolation::new("bytes", expected)]
    }
}

/// How slowly a body may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyTimeouts {
    /// How long it may stand still.
    pub idle: Duration,
    /// How many bytes a second must come on average, over each `idle` of waiting for them; 0 for
    /// any.
    pub bytes_per_second: u32,
}

/// What the whole installation is set to; the same on every replica.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What may be done without having been granted it first.
    pub access: AccessSettings,
    /// The address under which clients reach us, without a path; the request's host otherwise.
    pub public_url: Option<String>,
    /// How slowly a body may come before the request ends.
    pub patience: BodyTimeouts,
    /// How long a blob stays without a manifest that refers to it.
    pub blob_lease: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            access: AccessSettings::default(),
            public_url: None,
            patience: BodyTimeouts {
                idle: Duration::from_mins(1),
                bytes_per_second: 1024,
            },
            blob_lease: Duration::from_hours(24),
        }
    }
}
