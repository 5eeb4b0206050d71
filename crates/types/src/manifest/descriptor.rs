//! Descriptors: how a manifest refers to content (protocol §9.11, §9.14, §12.2).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::digest::Digest;
use crate::media_type::is_foreign_layer;

/// A reference to content by its digest.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    /// What the content says it is; never judged, possibly not even a well-formed media type, at
    /// most 255 bytes.
    pub media_type: String,
    /// What the content hashes to.
    pub digest: Digest,
    /// The length of the content in bytes, at most `i64::MAX`.
    pub size: u64,
    /// Where else the content may be had. Only ever stored and given back, never fetched.
    pub urls: Vec<String>,
    /// The type of the artifact that the content is.
    pub artifact_type: Option<String>,
    /// Whatever the maker had to say.
    pub annotations: BTreeMap<String, String>,
    /// For which platform the content is, as it was written; optional and never judged.
    pub platform: Option<Value>,
}

impl Descriptor {
    /// Whether the content has to be here before a manifest may refer to it. Only a foreign or
    /// non-distributable layer that says where it is may be missing (protocol §12.2); a layer
    /// of a normal type with addresses may not.
    pub fn must_exist(&self) -> bool {
        !(is_foreign_layer(&self.media_type) && self.urls.iter().any(|url| is_web_address(url)))
    }
}

/// `http` or `https` with something behind it and without a fragment, as Docker's registry demands
/// of such layers.
fn is_web_address(url: &str) -> bool {
    let rest = ["https://", "http://"]
        .into_iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains('#'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;
    use crate::media_type::{DOCKER_FOREIGN_LAYER, OCI_LAYER_GZIP, OCI_NONDISTRIBUTABLE};

    fn layer(media_type: &str, urls: &[&str]) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest: Digest::of(Algorithm::Sha256, b""),
            size: 0,
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            artifact_type: None,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    #[test]
    fn only_foreign_layers_with_an_address_may_be_missing() {
        let url = "https://store.example.com/blobs/1";
        assert!(!layer(OCI_NONDISTRIBUTABLE, &[url]).must_exist());
        assert!(!layer(DOCKER_FOREIGN_LAYER, &["ftp://x", url]).must_exist());
        assert!(layer(OCI_NONDISTRIBUTABLE, &[]).must_exist());
        assert!(layer(OCI_LAYER_GZIP, &[url]).must_exist());
        for url in [
            "",
            "javascript:alert(1)",
            "https://",
            "https:///x",
            "https://x/#y",
            "file:///etc",
        ] {
            assert!(layer(DOCKER_FOREIGN_LAYER, &[url]).must_exist(), "{url}");
        }
    }
}
