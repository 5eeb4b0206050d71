//! Manifests: the only bytes of clients that this server understands (protocol §9.6–9.14,
//! §9.19, §14.3).
//!
//! The bytes are stored and served as they came; what is parsed here is what the server must know
//! of them. Other programs will read the same bytes more leniently, and a manifest that two
//! programs read differently is an attack (CVE-2021-41190). So whatever could be read in two ways
//! is refused: repeated keys at any depth, keys that differ from a known one by case only, an image
//! with the members of an index and the reverse, members of schema 1, numbers that are not whole.
//!
//! Parsing is one pass over the text (`strict`); members that are not known are checked and
//! thrown away, not built, so that memory stays proportional to what is kept. Types of configs and
//! layers are never judged.

mod body;
mod descriptor;
mod strict;

use std::collections::BTreeMap;

pub use descriptor::Descriptor;

use crate::digest::DigestError;
use crate::error::{Error, Reason};
use crate::media_type::{self, MediaType};

/// The longest manifest in bytes: what clients are willing to read (protocol §4.11, §9.9).
pub const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// How deep objects and arrays may be nested, the manifest itself being the first.
pub const MAX_DEPTH: usize = 64;

/// The most descriptors in one manifest: config, layers, manifests and subject together.
pub const MAX_DESCRIPTORS: usize = 10_000;

/// What a manifest describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ManifestKind {
    /// A config and layers.
    Image,
    /// Other manifests.
    Index,
}

impl ManifestKind {
    /// The kind of a manifest of this type; `None` if this server does not take manifests of it.
    pub fn of(media_type: &MediaType) -> Option<Self> {
        match media_type.as_str() {
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => Some(Self::Image),
            media_type::OCI_INDEX | media_type::DOCKER_LIST => Some(Self::Index),
            _ => None,
        }
    }
}

/// What the server knows of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// The type under which it is stored and served.
    pub media_type: MediaType,
    /// Whether it is an image or an index.
    pub kind: ManifestKind,
    /// The config; always there in an image, never in an index.
    pub config: Option<Descriptor>,
    /// The layers of an image, possibly none.
    pub layers: Vec<Descriptor>,
    /// The entries of an index, possibly none. An entry may turn out to be a blob (protocol
    /// §9.8).
    pub manifests: Vec<Descriptor>,
    /// What it refers to, which need not exist.
    pub subject: Option<Descriptor>,
    /// Its own artifact type, else the type of the config; `None` for an index without one
    /// (protocol §10.4).
    pub artifact_type: Option<String>,
    /// Its annotations, exactly.
    pub annotations: BTreeMap<String, String>,
}

/// Why a manifest was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More than [`MAX_MANIFEST_BYTES`].
    #[error("a manifest has at most {MAX_MANIFEST_BYTES} bytes")]
    TooLarge,
    /// Not one JSON object in strict UTF-8.
    #[error("the manifest is not valid JSON: {0}")]
    Json(String),
    /// A member that is missing or is not what it should be.
    #[error("the manifest is malformed: {0}")]
    Malformed(String),
    /// Something that other programs may read in another way.
    #[error("the manifest is ambiguous: {0}")]
    Ambiguous(String),
    /// A digest that is malformed or of an unsupported algorithm.
    #[error("the manifest holds a bad digest: {0}")]
    Digest(DigestError),
    /// Neither the header nor the body names a type.
    #[error("the manifest's media type is missing")]
    NoMediaType,
    /// Header and body contradict each other.
    #[error("Content-Type {header} and mediaType {body} of the manifest differ")]
    MediaTypeMismatch {
        /// What the header says.
        header: String,
        /// What the body says.
        body: String,
    },
    /// A type of manifest that this server does not take.
    #[error("manifests of this media type are not supported: {0}")]
    UnsupportedMediaType(String),
    /// Docker's schema 1.
    #[error(
        "Docker image manifests of schema 1 are not supported: push schema 2 or an OCI manifest"
    )]
    Schema1,
}

impl From<ManifestError> for Error {
    fn from(error: ManifestError) -> Self {
        let reason = match &error {
            ManifestError::TooLarge => Reason::TooLarge,
            _ => Reason::ManifestInvalid,
        };
        Self::new(reason, error.to_string())
    }
}

impl Manifest {
    /// Parses and judges a manifest pushed with this `Content-Type`.
    pub fn parse(content_type: Option<&MediaType>, body: &[u8]) -> Result<Self, ManifestError> {
        body::parse(content_type, body)
    }
}
