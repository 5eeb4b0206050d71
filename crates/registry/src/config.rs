//! What the registry can be set to: three sections of the configuration.

use std::time::Duration;

use schemars::JsonSchema;
use seawall_config::{NumberRange, RuleViolation, Section};
use serde::{Deserialize, Serialize};

/// The sections of this crate.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The section `uploads`.
    pub uploads: UploadsConfig,
    /// The section `manifests`.
    pub manifests: ManifestsConfig,
    /// The section `listings`.
    pub listings: ListingsConfig,
}

/// Uploads of blobs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UploadsConfig {
    /// After how many hours without a byte an unfinished upload is given up, from 1 to 8760.
    pub expire_after_hours: u32,

    /// How many uploads one user may have under way, counting those with a request in the last
    /// hour.
    pub max_per_user: u32,

    /// The largest blob that is taken, in bytes. Without it: 20 GiB.
    #[schemars(extend("examples" = [10_737_418_240_u64]))]
    pub max_blob_bytes: Option<u64>,

    /// The length in bytes that clients are asked not to go below with their chunks. It is advice:
    /// shorter chunks are taken all the same.
    #[schemars(extend("examples" = [5_242_880]))]
    pub chunk_min_bytes: Option<u64>,
}

/// Manifests: which are taken that say what is not so here, and how long deleted ones are kept.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManifestsConfig {
    /// A manifest that gives another size than content that is here has: accept takes it, with a
    /// Warning in the answer, since older programs made many of them; refuse does not.
    pub sizes: ContentPolicy,

    /// An index that names what is not in its repository, such as a mirror's of some platforms:
    /// accept or refuse.
    pub sparse_indexes: ContentPolicy,

    /// How many days a deleted manifest and its blobs are kept, hidden from all callers, from 0 to
    /// 3650.
    pub keep_deleted_days: u32,
}

/// What becomes of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentPolicy {
    /// It is taken.
    Accept,
    /// It is not.
    Refuse,
}

/// Lists of tags and repositories.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListingsConfig {
    /// The most tags or repositories in one page, from 1000 to 10000: old clients do not follow to
    /// the next page, so a smaller one would cut their lists short.
    pub max_page: u32,
}

impl Default for UploadsConfig {
    fn default() -> Self {
        Self {
            expire_after_hours: 168,
            max_per_user: 1_000,
            max_blob_bytes: None,
            chunk_min_bytes: None,
        }
    }
}

impl Default for ManifestsConfig {
    fn default() -> Self {
        Self {
            sizes: ContentPolicy::Accept,
            sparse_indexes: ContentPolicy::Refuse,
            keep_deleted_days: 14,
        }
    }
}

impl Default for ListingsConfig {
    fn default() -> Self {
        Self { max_page: 1_000 }
    }
}

impl Section for UploadsConfig {
    fn validate(&self) -> Vec<RuleViolation> {
        let mut found = RuleViolation::ranges(&[
            NumberRange::new("expire_after_hours", self.expire_after_hours, 1, 8_760),
            NumberRange::new("max_per_user", self.max_per_user, 1, 1_000_000),
        ]);
        let lengths = [
            ("max_blob_bytes", self.max_blob_bytes),
            ("chunk_min_bytes", self.chunk_min_bytes),
        ];
        for (key, _) in lengths.iter().filter(|(_, length)| *length == Some(0)) {
            found.push(RuleViolation::new(
                *key,
                "expected a number of bytes above 0",
            ));
        }
        found
    }
}

impl Section for ManifestsConfig {
    fn validate(&self) -> Vec<RuleViolation> {
        RuleViolation::ranges(&[NumberRange::new(
            "keep_deleted_days",
            self.keep_deleted_days,
            0,
            3650,
        )])
    }
}

impl Section for ListingsConfig {
    fn validate(&self) -> Vec<RuleViolation> {
        RuleViolation::ranges(&[NumberRange::new("max_page", self.max_page, 1_000, 10_000)])
    }
}

impl UploadsConfig {
    /// How long an upload may rest.
    pub(crate) fn expiry(&self) -> Duration {
        Duration::from_hours(self.expire_after_hours.into())
    }
}

impl ManifestsConfig {
    /// How long deleted manifests are kept: how far the time machine goes back.
    pub(crate) fn time_machine(self) -> Duration {
        Duration::from_hours(24) * self.keep_deleted_days
    }
}

impl ListingsConfig {
    /// The most entries of a page, within its range however the value was made.
    pub(crate) fn page_cap(&self) -> u32 {
        self.max_page.clamp(1_000, 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_section_is_the_default_and_a_typo_is_named() {
        let uploads: UploadsConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(uploads.expiry(), Duration::from_hours(7 * 24));
        assert!(uploads.validate().is_empty());
        assert!(serde_json::from_str::<UploadsConfig>(r#"{"expire_after": 1}"#).is_err());
    }

    #[test]
    fn the_limits_are_said() {
        let uploads = UploadsConfig {
            expire_after_hours: 0,
            max_per_user: 0,
            max_blob_bytes: Some(0),
            chunk_min_bytes: Some(0),
        };
        assert_eq!(uploads.validate().len(), 4);
        let listings = ListingsConfig { max_page: 10 };
        assert_eq!((listings.validate().len(), listings.page_cap()), (1, 1_000));
    }
}
