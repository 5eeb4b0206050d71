//! What is pushed: bytes that cannot be compressed and that no registry has seen before, and the
//! manifests that name them.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use seawall_kernel::clock::SystemRandom;
use seawall_types::digest::{Algorithm, AlgorithmSet, Digest, Hasher};
use seawall_types::time::uuid;
use serde_json::{Value, json};

use crate::client::Payload;

/// The size of a large blob in bytes.
pub(crate) const LARGE: usize = 64 << 20;

/// The size of a small blob in bytes.
pub(crate) const SMALL: usize = 1024;

/// The size of each layer of a small image in bytes.
const LAYER: usize = 4096;

/// The pieces in which a large body is sent.
const PIECE: usize = 256 << 10;

/// The media type of an image manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The media type of an index.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What clients say that they accept.
pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json";

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A blob, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    /// Its bytes.
    pub(crate) payload: Payload,
    /// What they hash to.
    pub(crate) digest: Digest,
    media_type: &'static str,
}

impl Blob {
    fn new(payload: Payload, pieces: &[Bytes], media_type: &'static str) -> Option<Self> {
        let mut hasher = Hasher::new(AlgorithmSet::from(Algorithm::Sha256));
        for piece in pieces {
            hasher.update(piece);
        }
        Some(Self {
            payload,
            digest: hasher.finish(Algorithm::Sha256)?,
            media_type,
        })
    }

    fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": self.digest.to_string(),
            "size": self.payload.len(),
        })
    }
}

/// An image: its blobs, the configuration first, and its manifest.
#[derive(Clone, Debug)]
pub(crate) struct BenchImage {
    /// The configuration, then the layers.
    pub(crate) blobs: Vec<Blob>,
    /// The manifest's bytes.
    pub(crate) manifest: Bytes,
}

impl BenchImage {
    /// A manifest of the same blobs that differs by an annotation.
    pub(crate) fn marked(blobs: &[Blob], mark: &str) -> Bytes {
        let descriptors: Vec<_> = blobs.iter().map(Blob::descriptor).collect();
        let (config, layers) = match descriptors.split_first() {
            Some((config, layers)) => (config.clone(), layers),
            None => (Value::Null, [].as_slice()),
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": layers,
            "annotations": {"org.example.mark": mark},
        });
        manifest.to_string().into()
    }
}

/// An index that names nothing: the smallest manifest there is.
pub(crate) fn empty_index() -> Bytes {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
        .to_string()
        .into()
}

/// Makes contents, each different from all others of this and of other runs.
#[derive(Debug)]
pub(crate) struct ContentMaker {
    noise: Bytes,
    run: String,
    made: AtomicU64,
}

impl ContentMaker {
    /// The source of a run's contents.
    pub(crate) fn new() -> Self {
        Self {
            noise: noise(LARGE),
            run: uuid(&SystemRandom).simple().to_string(),
            made: AtomicU64::new(0),
        }
    }

    /// A word that was never given before.
    pub(crate) fn mark(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number:010}", self.run)
    }

    /// A layer of `size` bytes, at most [`LARGE`] and a few.
    pub(crate) fn layer(&self, size: usize) -> Option<Blob> {
        let head = Bytes::from(self.mark());
        let rest = self
            .noise
            .slice(..size.saturating_sub(head.len()).min(LARGE));
        let mut pieces = vec![head];
        let mut from = 0;
        while from < rest.len() {
            let to = rest.len().min(from + PIECE);
            pieces.push(rest.slice(from..to));
            from = to;
        }
        Blob::new(pieces.iter().cloned().collect(), &pieces, GZIP)
    }

    /// An image of this many small layers.
    pub(crate) fn image(&self, layers: usize) -> Option<BenchImage> {
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": []},
            "config": {"Labels": {"mark": self.mark()}},
        });
        let config = Bytes::from(config.to_string());
        let mut blobs = vec![Blob::new(config.clone().into(), &[config], CONFIG)?];
        for _ in 0..layers {
            blobs.push(self.layer(LAYER)?);
        }
        let manifest = BenchImage::marked(&blobs, &self.mark());
        Some(BenchImage { blobs, manifest })
    }
}

/// Bytes without a pattern (xorshift64*).
pub(crate) fn noise(size: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_layers_are_the_same_and_digests_are_right() {
        let content = ContentMaker::new();
        let [one, two] = [(); 2].map(|()| content.layer(300_000).unwrap());
        assert_eq!((one.payload.len(), two.payload.len()), (300_000, 300_000));
        assert_ne!(one.digest, two.digest);
        let image = content.image(10).unwrap();
        assert_eq!(image.blobs.len(), 11);
        let manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 10);
        assert_eq!(
            manifest["config"]["digest"],
            image.blobs[0].digest.to_string()
        );
        let small = content.layer(SMALL).unwrap();
        assert_eq!(small.payload.len(), SMALL as u64);
    }
}
