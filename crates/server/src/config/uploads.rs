//! The section `uploads`; `compose` hands its values to the crate that acts on them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Invalid;

/// Uploads of blobs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Uploads {
    /// After how many hours without a byte an unfinished upload is given up.
    pub expire_after_hours: u32,

    /// How many uploads one user may have under way, counting those with a request in the last hour.
    pub max_per_user: u32,

    /// The largest blob that is taken, in bytes. Without it: 20 GiB.
    #[schemars(extend("examples" = [10_737_418_240_u64]))]
    pub max_blob_bytes: Option<u64>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            expire_after_hours: 168,
            max_per_user: 1_000,
            max_blob_bytes: None,
        }
    }
}

impl Uploads {
    pub(super) fn validate(&self) -> Vec<Invalid> {
        let mut found = Vec::new();
        if !(1..=8_760).contains(&self.expire_after_hours) {
            found.push(Invalid::new(
                "uploads.expire_after_hours",
                "expected a number from 1 to 8760",
            ));
        }
        if !(1..=1_000_000).contains(&self.max_per_user) {
            found.push(Invalid::new(
                "uploads.max_per_user",
                "expected a number from 1 to 1000000",
            ));
        }
        if self.max_blob_bytes == Some(0) {
            found.push(Invalid::new(
                "uploads.max_blob_bytes",
                "expected a number of bytes above 0",
            ));
        }
        found
    }
}
