//! A manifest that was parsed and judged, ready to be stored.

use bytes::Bytes;
use seawall_types::manifest::{Descriptor, Manifest};
use seawall_types::media_type::MediaType;
use seawall_types::reference::Reference;
use seawall_types::{Algorithm, Digest, Error, Reason, Result};

use super::EdgeKind;
use crate::config::ManifestsConfig;
use crate::referrer;

/// A reference that a manifest makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ManifestEdge {
    /// How.
    pub(super) kind: EdgeKind,
    /// To what.
    pub(super) digest: Digest,
    /// How long the manifest says that it is.
    pub(super) size: u64,
    /// Whether it has to be here.
    pub(super) required: bool,
}

/// A manifest that was parsed and judged, ready to be stored.
#[derive(Debug, Clone)]
pub(crate) struct NewManifest {
    pub(super) digest: Digest,
    pub(super) media_type: MediaType,
    pub(super) body: Bytes,
    pub(super) artifact_type: Option<String>,
    pub(super) subject: Option<Digest>,
    /// How long its layers say that they are, in bytes, summed up.
    pub(super) layers_size: u64,
    /// Of what type its config says that it is.
    pub(super) config_media_type: Option<String>,
    pub(super) pointers: Vec<ManifestEdge>,
    /// The descriptor by which it is listed among its subject's referrers.
    pub(super) referrer: Option<String>,
    pub(super) rules: ManifestsConfig,
}

impl NewManifest {
    /// Parses and judges bytes that were pushed as `target`: with a tag their digest is SHA-256,
    /// with a digest it must be that one (protocol §9.3, §9.4).
    ///
    /// Errors: `DigestMismatch`, and those of [`Manifest::parse`].
    pub(crate) fn new(
        content_type: Option<&MediaType>,
        body: Bytes,
        target: &Reference,
    ) -> Result<Self> {
        let digest = match target {
            Reference::Tag(_) => Digest::of(Algorithm::Sha256, &body),
            Reference::Digest(said) => {
                let digest = Digest::of(said.algorithm(), &body);
                if digest != *said {
                    let words = "the manifest does not hash to the digest it was pushed under";
                    return Err(Error::new(Reason::DigestMismatch, words));
                }
                digest
            }
        };
        let manifest = Manifest::parse(content_type, &body)?;
        let subject = manifest.subject.as_ref().map(|subject| subject.digest);
        let referrer = subject
            .map(|_| referrer::describe(&manifest, &digest, body.len()))
            .transpose()?;
        Ok(Self {
            digest,
            pointers: pointers(&manifest),
            layers_size: layers_size(&manifest),
            config_media_type: config_media_type(&manifest),
            media_type: manifest.media_type,
            body,
            artifact_type: manifest.artifact_type,
            subject,
            referrer,
            rules: ManifestsConfig::default(),
        })
    }

    /// The same, to be judged by these rules.
    pub(crate) fn under(mut self, rules: ManifestsConfig) -> Self {
        self.rules = rules;
        self
    }

    /// What the bytes hash to.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What the manifest is about.
    pub(crate) fn subject(&self) -> Option<&Digest> {
        self.subject.as_ref()
    }
}

/// What the layers of a manifest say that they are long; no more than the database can count.
fn layers_size(manifest: &Manifest) -> u64 {
    let sizes = manifest.layers.iter().map(|layer| layer.size);
    let sum = sizes.fold(0u64, u64::saturating_add);
    sum.min(i64::MAX.unsigned_abs())
}

fn config_media_type(manifest: &Manifest) -> Option<String> {
    let config = manifest.config.as_ref()?;
    Some(config.media_type.clone())
}

fn pointers(manifest: &Manifest) -> Vec<ManifestEdge> {
    let point = |kind, required: fn(&Descriptor) -> bool| {
        move |descriptor: &Descriptor| ManifestEdge {
            kind,
            digest: descriptor.digest,
            size: descriptor.size,
            required: required(descriptor),
        }
    };
    let config = manifest
        .config
        .iter()
        .map(point(EdgeKind::Config, |_| true));
    let layers = manifest
        .layers
        .iter()
        .map(point(EdgeKind::Layer, Descriptor::must_exist));
    let children = manifest
        .manifests
        .iter()
        .map(point(EdgeKind::Child, |_| true));
    let subject = manifest
        .subject
        .iter()
        .map(point(EdgeKind::Subject, |_| false));
    config
        .chain(layers)
        .chain(children)
        .chain(subject)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_types::media_type::{OCI_MANIFEST, OCI_NONDISTRIBUTABLE};
    use seawall_types::tag::Tag;

    fn digest(text: &str) -> Digest {
        Digest::of(Algorithm::Sha256, text.as_bytes())
    }

    fn image() -> Bytes {
        let descriptor = |media_type: &str, name: &str| serde_json::json!({"mediaType": media_type, "digest": digest(name), "size": 7});
        let mut foreign = descriptor(OCI_NONDISTRIBUTABLE, "foreign");
        foreign["urls"] = serde_json::json!(["https://store.example.com/1"]);
        let image = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor("application/x", "config"),
            "layers": [descriptor("application/y", "layer"), foreign],
            "subject": descriptor(OCI_MANIFEST, "subject"),
            "annotations": {"a": "b"},
        });
        Bytes::from(image.to_string())
    }

    #[test]
    fn only_what_has_to_be_here_is_required() {
        let tag = Reference::from(Tag::parse("v1").unwrap());
        let draft = NewManifest::new(None, image(), &tag).unwrap();
        let required: Vec<_> = draft
            .pointers
            .iter()
            .map(|pointer| (pointer.kind, pointer.required))
            .collect();
        assert_eq!(
            required,
            [
                (EdgeKind::Config, true),
                (EdgeKind::Layer, true),
                (EdgeKind::Layer, false),
                (EdgeKind::Subject, false),
            ]
        );
        assert_eq!(draft.subject(), Some(&digest("subject")));
        assert_eq!(draft.layers_size, 14);
        assert_eq!(draft.config_media_type.as_deref(), Some("application/x"));
        assert_eq!(draft.digest().algorithm(), Algorithm::Sha256);
        let listed: serde_json::Value =
            serde_json::from_str(draft.referrer.as_deref().unwrap()).unwrap();
        assert_eq!(listed["artifactType"], "application/x");
        assert_eq!(listed["annotations"]["a"], "b");
        assert_eq!(listed["size"], image().len());
    }

    #[test]
    fn bytes_must_be_those_of_the_digest() {
        let long = Reference::from(Digest::of(Algorithm::Sha512, &image()));
        let draft = NewManifest::new(None, image(), &long).unwrap();
        assert_eq!(draft.digest().algorithm(), Algorithm::Sha512);
        let other = Reference::from(digest("other"));
        let error = NewManifest::new(None, image(), &other).unwrap_err();
        assert_eq!(error.reason, Reason::DigestMismatch);
    }
}
