//! The place of one stored blob.
//!
//! A place is read from a row and never derived from a digest: object stores do not rename, the
//! digest is not known when an upload begins, and foreign stores are adopted with the keys they
//! have. A key from a row is still checked before it becomes a path, since a row may have been
//! written by anything that reaches the database.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Error;

/// A location's name and an immutable key in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobPlace {
    /// The name of a configured location, at most 64 bytes.
    pub location: String,
    /// A relative path of `/`-separated parts, at most 255 bytes.
    pub key: String,
}

impl BlobPlace {
    /// A place for a new blob.
    pub(crate) fn fresh(location: &str, id: Uuid) -> Self {
        let id = id.to_string();
        Self {
            location: location.to_owned(),
            key: format!("{}/{id}", &id[..2]),
        }
    }

    /// The key, if it cannot lead out of its location.
    pub(crate) fn checked_key(&self) -> Result<&str, Error> {
        let fits =
            |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
        if self.key.len() <= 255 && self.key.split('/').all(fits) {
            Ok(&self.key)
        } else {
            Err(Error::Corrupt(format!("{self} is no place for a blob")))
        }
    }
}

impl fmt::Display for BlobPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.location, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_inside() {
        let key = |key: &str| {
            BlobPlace {
                location: "local".into(),
                key: key.into(),
            }
            .checked_key()
            .is_ok()
        };
        assert!(
            key("ab/abcdef") && key("docker/registry/v2/blobs/sha256/ab/abc/data") && key("a..b")
        );
        assert!(
            !key("")
                && !key("/etc/passwd")
                && !key("a//b")
                && !key("../x")
                && !key("a/../b")
                && !key("a/.")
        );
        assert!(!key("a\0b") && !key(&"a".repeat(256)));
    }

    #[test]
    fn fresh_keys_say_nothing_of_the_digest() {
        let place = BlobPlace::fresh("local", Uuid::from_u128(0xab << 120 | 7));
        assert_eq!(
            place.to_string(),
            "local:ab/ab000000-0000-0000-0000-000000000007"
        );
    }
}
