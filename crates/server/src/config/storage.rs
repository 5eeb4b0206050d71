//! The section `storage`; `compose` hands its values to the crate that acts on them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Invalid;

/// Where the bytes of blobs are kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// The places that hold blobs, by name. Without any, there is one named `local`: the folder `blobs` of the data directory. A
    /// name is recorded with every blob, so never rename one, and never give its name to another.
    #[schemars(extend("examples" = [{"local": {"kind": "filesystem", "path": "blobs"}}]))]
    pub locations: BTreeMap<String, Location>,

    /// The location to which new blobs are written; needed where there are several.
    pub default: Option<String>,
}

/// One place that holds blobs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum Location {
    /// Files in a directory.
    Filesystem {
        /// The directory; a relative path starts at the data directory. Uploads are renamed, so all of it is on one file system.
        path: PathBuf,
    },
}

impl Storage {
    pub(super) fn validate(&self) -> Vec<Invalid> {
        let mut found = Vec::new();
        for name in self.locations.keys() {
            let fits = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
            };
            if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
                let path = format!("storage.locations.{name}");
                found.push(Invalid::new(
                    path,
                    "expected a name of 1 to 64 of a-z, 0-9, - and _",
                ));
            }
        }
        let known = |name: &String| {
            self.locations.contains_key(name) || (self.locations.is_empty() && name == "local")
        };
        match &self.default {
            Some(name) if !known(name) => {
                let expected = "expected the name of one of storage.locations";
                found.push(Invalid::new("storage.default", expected));
            }
            None if self.locations.len() > 1 => {
                let expected = "expected the name of the location that takes new blobs, since there are several";
                found.push(Invalid::new("storage.default", expected));
            }
            _ => {}
        }
        found
    }
}
