//! Media types (protocol §12.1): what a manifest, config or layer says it is.
//!
//! Only the type of a manifest is ever judged. What configs and layers call themselves is their
//! makers' business, so a media type is compared as it was written: nothing is lower-cased, and
//! parameters are the only thing that is cut off (§9.6).

use std::borrow::Cow;
use std::fmt;

use crate::text::text_form;

/// The longest media type in bytes, without parameters.
pub const MAX_MEDIA_TYPE_BYTES: usize = 255;

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The OCI empty descriptor's content, `{}`.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// OCI layer, uncompressed.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// OCI layer, gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// OCI layer, zstd.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// OCI layer that may not be distributed, uncompressed (deprecated); `+gzip` and `+zstd` exist as
/// well.
pub const OCI_NONDISTRIBUTABLE: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
/// Docker image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker layer, gzip.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker layer fetched from elsewhere.
pub const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
/// Docker schema 1, which is refused (§9.19).
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// Docker schema 1 with signatures, which is refused (§9.19).
pub const DOCKER_SCHEMA1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// A text that is not a media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a media type is type/subtype, of at most {MAX_MEDIA_TYPE_BYTES} bytes")]
pub struct MediaTypeError;

/// A media type without parameters, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(Cow<'static, str>);

impl MediaType {
    /// [`OCI_MANIFEST`] as a value.
    pub const OCI_MANIFEST: Self = Self(Cow::Borrowed(OCI_MANIFEST));
    /// [`OCI_INDEX`] as a value.
    pub const OCI_INDEX: Self = Self(Cow::Borrowed(OCI_INDEX));
    /// [`DOCKER_MANIFEST`] as a value.
    pub const DOCKER_MANIFEST: Self = Self(Cow::Borrowed(DOCKER_MANIFEST));
    /// [`DOCKER_LIST`] as a value.
    pub const DOCKER_LIST: Self = Self(Cow::Borrowed(DOCKER_LIST));

    /// Parses `type/subtype`, each of the characters of RFC 6838 §4.2, and drops parameters and
    /// surrounding blanks.
    pub fn parse(text: &str) -> Result<Self, MediaTypeError> {
        let bare = text
            .split(';')
            .next()
            .unwrap_or_default()
            .trim_matches([' ', '\t']);
        if bare.len() > MAX_MEDIA_TYPE_BYTES {
            return Err(MediaTypeError);
        }
        let (kind, subtype) = bare.split_once('/').ok_or(MediaTypeError)?;
        if is_restricted_name(kind) && is_restricted_name(subtype) {
            Ok(Self(Cow::Owned(bare.to_owned())))
        } else {
            Err(MediaTypeError)
        }
    }

    /// The media type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a layer of this type may be kept elsewhere ([`is_foreign_layer`]).
    pub fn is_foreign_layer(&self) -> bool {
        is_foreign_layer(&self.0)
    }
}

/// Whether a layer of this type is foreign or non-distributable, so that it need not be here if it
/// says where it is (§12.2).
pub fn is_foreign_layer(media_type: &str) -> bool {
    media_type == DOCKER_FOREIGN_LAYER
        || media_type
            .strip_prefix(OCI_NONDISTRIBUTABLE)
            .is_some_and(|compression| matches!(compression, "" | "+gzip" | "+zstd"))
}

/// `restricted-name` of RFC 6838 §4.2, but for its length.
fn is_restricted_name(name: &str) -> bool {
    let first = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    first
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
}

impl AsRef<str> for MediaType {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for MediaType {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for MediaType {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_form!(MediaType, MediaTypeError);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_and_blanks_are_cut_off() {
        for text in ["a/b", " a/b ", "a/b;charset=utf-8", "a/b ; x=\"y/z;\""] {
            assert_eq!(MediaType::parse(text).unwrap(), "a/b");
        }
        assert_eq!(MediaType::parse(OCI_INDEX).unwrap(), MediaType::OCI_INDEX);
        assert_eq!(MediaType::parse("Text/HTML").unwrap(), "Text/HTML");
        assert_eq!(
            MediaType::parse("appliciation/vnd.sylabs.sif.layer.tar")
                .unwrap()
                .as_str()
                .len(),
            37
        );
    }

    #[test]
    fn the_grammar_refuses() {
        let long = format!("a/{}", "b".repeat(254));
        for text in [
            "", "/", "a", "a/", "/b", "a/b/c", "a b/c", "+a/b", "a/\n", "a/b,c/d", "*/*", "ä/b",
            &long,
        ] {
            assert_eq!(MediaType::parse(text), Err(MediaTypeError), "{text:?}");
        }
    }

    #[test]
    fn foreign_layers() {
        for text in [DOCKER_FOREIGN_LAYER, OCI_NONDISTRIBUTABLE] {
            assert!(MediaType::parse(text).unwrap().is_foreign_layer());
        }
        assert!(is_foreign_layer(
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
        ));
        assert!(!is_foreign_layer(
            "application/vnd.oci.image.layer.nondistributable.v1.tarx"
        ));
        assert!(!is_foreign_layer(OCI_LAYER) && !is_foreign_layer(DOCKER_LAYER));
    }

    proptest! {
        #[test]
        fn media_types_lead_back(text in "[a-z0-9]{1,12}/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,100}") {
            let media_type = MediaType::parse(&text).unwrap();
            prop_assert_eq!(media_type.as_str(), &text);
            let json = serde_json::to_string(&media_type).unwrap();
            prop_assert_eq!(serde_json::from_str::<MediaType>(&json).unwrap(), media_type);
        }
    }
}
