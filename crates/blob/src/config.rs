//! The configuration of storage locations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use seawall_config::{RuleViolation, Section};
use serde::{Deserialize, Serialize};

/// Where the bytes of blobs are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The places that hold blobs, by name. Without any, there is one named `local`: the folder
    /// `blobs` of the data directory. A name is recorded with every blob, so never rename one, and
    /// never give its name to another.
    #[schemars(extend("examples" = [{"local": {"kind": "filesystem", "path": "blobs"}}]))]
    pub locations: BTreeMap<String, Location>,

    /// The location to which new blobs are written; needed where there are several.
    pub default: Option<String>,

    /// The largest blob that is taken, in bytes. The program that opens the store sets it: for
    /// operators it is a key of uploads.
    #[serde(skip)]
    pub max_blob_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            locations: BTreeMap::new(),
            default: None,
            max_blob_bytes: 20 * 1024 * 1024 * 1024,
        }
    }
}

/// One place that holds blobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Location {
    /// Files in a directory.
    Filesystem {
        /// The directory; a relative path starts at the data directory. Uploads are renamed, so all
        /// of it is on one file system.
        path: PathBuf,
    },
}

impl Section for Config {
    fn validate(&self) -> Vec<RuleViolation> {
        let mut found = Vec::new();
        for name in self.locations.keys() {
            let fits = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
            };
            if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
                let expected = "expected a name of 1 to 64 of a-z, 0-9, - and _";
                found.push(RuleViolation::new(format!("locations.{name}"), expected));
            }
        }
        match &self.default {
            Some(name) if !self.resolved(Path::new("")).contains_key(name) => {
                let expected = "expected the name of one of storage.locations";
                found.push(RuleViolation::new("default", expected));
            }
            None if self.locations.len() > 1 => {
                let expected = "expected the name of the location that takes new blobs, since there are several";
                found.push(RuleViolation::new("default", expected));
            }
            _ => {}
        }
        found
    }
}

impl Config {
    /// All locations with absolute paths, as far as `data` is one.
    pub(crate) fn resolved(&self, data: &Path) -> BTreeMap<String, Location> {
        if self.locations.is_empty() {
            return BTreeMap::from([(
                "local".to_owned(),
                Location::Filesystem {
                    path: data.join("blobs"),
                },
            )]);
        }
        let resolve = |location: &Location| match location {
            Location::Filesystem { path } => Location::Filesystem {
                path: data.join(path),
            },
        };
        self.locations
            .iter()
            .map(|(name, location)| (name.clone(), resolve(location)))
            .collect()
    }

    /// The name of the location that takes new blobs, of a valid configuration.
    pub(crate) fn chosen(&self) -> String {
        let only = || self.locations.keys().next().cloned();
        self.default
            .clone()
            .or_else(only)
            .unwrap_or_else(|| "local".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn nothing_means_one_local_directory() {
        let config = parse("{}");
        assert_eq!(config.validate(), []);
        assert_eq!(config.chosen(), "local");
        let expected = Location::Filesystem {
            path: "/data/blobs".into(),
        };
        assert_eq!(
            config.resolved(Path::new("/data")).get("local"),
            Some(&expected)
        );
        assert_eq!(config.max_blob_bytes, 21_474_836_480);
    }

    #[test]
    fn relative_paths_start_at_the_data_directory() {
        let config = parse(r#"{"locations": {"fast": {"kind": "filesystem", "path": "nvme"}}}"#);
        assert_eq!(config.validate(), []);
        assert_eq!(config.chosen(), "fast");
        let expected = Location::Filesystem {
            path: "/data/nvme".into(),
        };
        assert_eq!(config.resolved(Path::new("/data"))["fast"], expected);
    }

    #[test]
    fn mistakes_are_named() {
        let paths = |text: &str| -> Vec<String> {
            let found = parse(text).validate();
            found.into_iter().map(|invalid| invalid.path).collect()
        };
        let two = r#""locations": {"a": {"kind": "filesystem", "path": "a"}, "b": {"kind": "filesystem", "path": "b"}}"#;
        assert_eq!(paths(&format!("{{{two}}}")), ["default"]);
        assert_eq!(
            paths(&format!("{{{two}, \"default\": \"c\"}}")),
            ["default"]
        );
        let odd = r#"{"locations": {"A b": {"kind": "filesystem", "path": "a"}}}"#;
        assert_eq!(paths(odd), ["locations.A b"]);
        assert!(serde_json::from_str::<Config>(r#"{"location": {}}"#).is_err());
    }
}
