//! Images made for tests: small, deterministic, told apart by a seed.

use seawall_types::digest::{Algorithm, Digest};
use serde_json::{Value, json};

/// The media type of OCI images.
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// One layer's bytes.
pub type Layer = Vec<u8>;

/// `size` bytes that look random and depend on `seed` alone.
pub fn blob_of(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// An image.
#[derive(Debug, Clone)]
pub struct TestImage {
    /// The configuration's bytes.
    pub config: Vec<u8>,
    /// The layers' bytes.
    pub layers: Vec<Layer>,
    /// What else the manifest says.
    pub extra: Value,
}

impl TestImage {
    /// An image of `layers` small layers, of its own for each seed.
    pub fn new(seed: u64, layers: usize) -> Self {
        let config = json!({ "architecture": "amd64", "os": "linux", "seed": seed });
        let layers = (0..layers)
            .map(|i| blob_of(seed * 1000 + i as u64 + 1, 512 + i))
            .collect();
        Self {
            config: config.to_string().into_bytes(),
            layers,
            extra: json!({}),
        }
    }

    /// The same image, whose manifest says one thing more.
    #[must_use]
    pub fn saying(mut self, key: &str, value: Value) -> Self {
        self.extra[key] = value;
        self
    }

    /// The media type of its manifest.
    pub fn media_type(&self) -> &'static str {
        IMAGE
    }

    /// Its configuration and its layers.
    pub fn blobs(&self) -> Vec<Vec<u8>> {
        std::iter::once(self.config.clone())
            .chain(self.layers.iter().cloned())
            .collect()
    }

    /// Its manifest's bytes.
    pub fn manifest(&self) -> Vec<u8> {
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": Self::descriptor("application/vnd.oci.image.config.v1+json", &self.config),
            "layers": self.layers.iter()
                .map(|layer| Self::descriptor("application/vnd.oci.image.layer.v1.tar", layer))
                .collect::<Vec<_>>(),
        });
        for (key, value) in self.extra.as_object().into_iter().flatten() {
            manifest[key] = value.clone();
        }
        manifest.to_string().into_bytes()
    }

    /// The digest of its manifest.
    pub fn digest(&self) -> Digest {
        Digest::of(Algorithm::Sha256, &self.manifest())
    }

    /// A descriptor of `bytes`.
    pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(Algorithm::Sha256, bytes).to_string();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }
}
