//! The descriptor by which a manifest is listed among its subject's referrers (protocol §10.4).

use std::collections::BTreeMap;

use seawall_types::manifest::Manifest;
use seawall_types::{Digest, Error, Result};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

/// The descriptor of a manifest of `size` bytes, as JSON: its artifact type, if it has one, and all
/// its annotations.
pub(crate) fn describe(manifest: &Manifest, digest: &Digest, size: usize) -> Result<String> {
    let descriptor = Descriptor {
        media_type: manifest.media_type.as_str(),
        digest,
        size,
        artifact_type: manifest.artifact_type.as_deref(),
        annotations: &manifest.annotations,
    };
    serde_json::to_string(&descriptor).map_err(Error::internal)
}
