//! The section `cache`; `compose` hands its value to the kernel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Invalid;

/// The most memory that may be asked for: 1 TiB.
const MOST: u64 = 1 << 40;

/// What was read before, kept in the memory of the process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// How many bytes all caches together may take. With 0 nothing is remembered: every answer is the same, and every pull asks
    /// the database.
    pub bytes: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self { bytes: 128 << 20 }
    }
}

impl Cache {
    pub(super) fn validate(&self) -> Vec<Invalid> {
        if self.bytes <= MOST {
            return Vec::new();
        }
        let words = format!("expected a number of bytes up to {MOST}");
        vec![Invalid::new("cache.bytes", words)]
    }
}
