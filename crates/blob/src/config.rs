//! Where blobs live.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The section `storage` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Locations by name. The name is stored with every blob, so it must never change while blobs are there. Without
    /// any, there is one named `local` in the folder `blobs` of the data directory.
    pub locations: BTreeMap<String, Location>,
    /// The location that takes new blobs; may be left out where there is only one.
    pub default: Option<String>,
    /// The largest blob that is taken, in bytes.
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

/// One place that can keep blobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Location {
    /// A directory. Uploads and blobs must be on one file system, since a finished upload is renamed.
    Filesystem {
        /// The directory; a relative path starts at the data directory.
        path: PathBuf,
    },
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// `default` names no location.
    #[error("storage.default is {0:?}, but there is no such location in storage.locations")]
    NoSuchDefault(String),
    /// Several locations and none chosen.
    #[error("storage.default must say which of the locations takes new blobs")]
    DefaultMissing,
    /// A name that cannot be stored.
    #[error("storage.locations: {0:?} is no name: 1 to 64 of a-z, 0-9, '-', '_'")]
    Name(String),
}

impl Config {
    /// Says what is wrong with it, if anything.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for name in self.locations.keys() {
            let fits = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
            };
            if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
                return Err(ConfigError::Name(name.clone()));
            }
        }
        match &self.default {
            Some(name) if self.resolved(Path::new("")).contains_key(name) => Ok(()),
            Some(name) => Err(ConfigError::NoSuchDefault(name.clone())),
            None if self.locations.len() > 1 => Err(ConfigError::DefaultMissing),
            None => Ok(()),
        }
    }

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
        config.validate().unwrap();
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
        config.validate().unwrap();
        assert_eq!(config.chosen(), "fast");
        let expected = Location::Filesystem {
            path: "/data/nvme".into(),
        };
        assert_eq!(config.resolved(Path::new("/data"))["fast"], expected);
    }

    #[test]
    fn mistakes_are_named() {
        let two = r#""locations": {"a": {"kind": "filesystem", "path": "a"}, "b": {"kind": "filesystem", "path": "b"}}"#;
        assert_eq!(
            parse(&format!("{{{two}}}")).validate(),
            Err(ConfigError::DefaultMissing)
        );
        let wrong = parse(&format!("{{{two}, \"default\": \"c\"}}"));
        assert_eq!(
            wrong.validate(),
            Err(ConfigError::NoSuchDefault("c".into()))
        );
        let name = parse(r#"{"locations": {"A b": {"kind": "filesystem", "path": "a"}}}"#);
        assert_eq!(name.validate(), Err(ConfigError::Name("A b".into())));
        assert!(serde_json::from_str::<Config>(r#"{"location": {}}"#).is_err());
    }
}
