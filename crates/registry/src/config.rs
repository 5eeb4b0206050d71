//! What the registry can be set to. Sizes of storage belong to `storage`, not here.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The section `registry` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// After so many hours without a request an unfinished upload is removed (distribution §7.20).
    pub upload_expiry_hours: u32,
    /// The largest blob that a push may bring, in bytes; `storage.max_blob_bytes` holds, too.
    pub max_blob_bytes: Option<u64>,
    /// The chunk length in bytes that clients are asked not to go below (distribution §7.2). It is
    /// advice: shorter chunks are taken all the same.
    pub chunk_min_length: Option<u64>,
    /// How many uploads one user may have under way, counting those with a request in the last hour
    /// (distribution §14.17); without it, any number.
    pub max_uploads_per_user: Option<NonZeroU32>,
    /// How many days a deleted manifest and its blobs are kept, hidden from everybody.
    pub time_machine_days: u32,
    /// The most tags or repositories in one page of a listing; below 1000 counts as 1000, since old
    /// clients do not follow to the next page (distribution §11.4).
    pub max_page: u32,
    /// What is taken of manifests that say what is not so here.
    pub manifests: Rules,
}

/// How strict pushes of manifests are judged. What exists elsewhere can be moved here unchanged by the defaults, except
/// for indexes that name what is nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Whether a manifest is refused that gives another size than content that is here has (distribution §9.14).
    pub refuse_wrong_sizes: bool,
    /// Whether an index may name what is not here (distribution §9.8).
    pub accept_sparse_indexes: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            upload_expiry_hours: 168,
            max_blob_bytes: None,
            chunk_min_length: None,
            max_uploads_per_user: NonZeroU32::new(1000),
            time_machine_days: 14,
            max_page: 1000,
            manifests: Rules::default(),
        }
    }
}

impl Config {
    /// [`Config::upload_expiry_hours`] as a duration.
    pub(crate) fn upload_expiry(&self) -> Duration {
        Duration::from_hours(u64::from(self.upload_expiry_hours))
    }

    /// [`Config::time_machine_days`] as a duration.
    pub(crate) fn time_machine(&self) -> Duration {
        Duration::from_secs(u64::from(self.time_machine_days) * 24 * 3600)
    }

    /// [`Config::max_page`], never below 1000, and never so large that a page becomes a burden.
    pub(crate) fn page_cap(&self) -> u32 {
        self.max_page.clamp(1000, 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_section_is_the_default_and_a_typo_is_named() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.upload_expiry(), Duration::from_hours(7 * 24));
        assert!(serde_json::from_str::<Config>(r#"{"upload_expiry": 1}"#).is_err());
    }
}
