//! One request of the load: what it does, how it is sent, which answers acknowledge it.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use http::Method;
use seawall_types::digest::{Algorithm, Digest};
use serde_json::json;

use super::model::{ClientModel, ModelKey};
use super::wire::WireRequest;
use crate::image::TestImage;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// An image's manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: Bytes,
    /// The blobs that it refers to.
    pub blobs: Vec<Digest>,
}

impl PushedManifest {
    /// A manifest of its own for each number: the first blob is the configuration.
    pub fn of(number: u64, blobs: &[(Digest, Bytes)]) -> Self {
        let descriptor = |media_type: &str, (digest, bytes): &(Digest, Bytes)| {
            let mut descriptor = TestImage::descriptor(media_type, bytes);
            descriptor["digest"] = json!(digest.to_string());
            descriptor
        };
        let layers = blobs.iter().skip(1);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": blobs.first()
                .map(|blob| descriptor("application/vnd.oci.image.config.v1+json", blob)),
            "layers": layers
                .map(|blob| descriptor("application/vnd.oci.image.layer.v1.tar", blob))
                .collect::<Vec<_>>(),
            "annotations": { "number": number.to_string() },
        });
        let bytes = Bytes::from(manifest.to_string());
        Self {
            digest: Digest::of(Algorithm::Sha256, &bytes),
            bytes,
            blobs: blobs.iter().map(|(digest, _)| *digest).collect(),
        }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are what they are called")]
pub enum LabStep {
    /// Opens an upload that is to become this blob.
    Open {
        repository: String,
        digest: Digest,
        bytes: Bytes,
    },
    /// Sends the bytes of an upload up to an offset.
    Append { upload: String, until: usize },
    /// Sends the rest of an upload and makes it a blob.
    Finish { upload: String },
    /// Gives an upload up.
    Cancel { upload: String },
    /// Pushes a blob in one request.
    Single {
        repository: String,
        digest: Digest,
        bytes: Bytes,
    },
    /// Takes a blob from another repository.
    Mount {
        repository: String,
        from: String,
        digest: Digest,
        bytes: Bytes,
    },
    /// Pushes a manifest, by tag or by digest.
    PutManifest {
        repository: String,
        tag: Option<String>,
        manifest: PushedManifest,
    },
    /// Deletes a tag.
    DeleteTag { repository: String, tag: String },
    /// Deletes a manifest with its tags.
    DeleteManifest { repository: String, digest: Digest },
    /// Deletes a blob that nothing refers to.
    DeleteBlob { repository: String, digest: Digest },
}

/// What an answer means for a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepVerdict {
    /// It is done; the upload that it opened.
    Done(Option<String>),
    /// Instead of mounting, an upload was opened.
    Opened(String),
    /// The upload is lost, as it may be after a kill.
    Lost,
    /// An answer that no promise allows.
    Refused,
}

impl LabStep {
    /// The request that says it.
    pub fn ask(&self, world: &ClientModel) -> WireRequest {
        match self {
            Self::Open { repository, .. } => {
                WireRequest::new(Method::POST, format!("/v2/{repository}/blobs/uploads/"))
            }
            Self::Append { upload, until } => {
                let (sent, bytes) = rest(world, upload);
                let chunk = bytes.slice(..until.saturating_sub(sent).min(bytes.len()));
                let range = format!("{sent}-{}", until.saturating_sub(1));
                WireRequest::new(Method::PATCH, upload.clone())
                    .header("content-range", range)
                    .body(chunk)
            }
            Self::Finish { upload } => {
                let (_, bytes) = rest(world, upload);
                let digest = world.uploads.get(upload).map(|it| it.digest);
                let digest = digest.map(|it| it.to_string()).unwrap_or_default();
                WireRequest::new(Method::PUT, format!("{upload}?digest={digest}")).body(bytes)
            }
            Self::Cancel { upload } => WireRequest::new(Method::DELETE, upload.clone()),
            Self::Single {
                repository,
                digest,
                bytes,
            } => {
                let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
                WireRequest::new(Method::POST, path).body(bytes.clone())
            }
            Self::Mount {
                repository,
                from,
                digest,
                ..
            } => {
                let query = format!("mount={digest}&from={from}");
                let path = format!("/v2/{repository}/blobs/uploads/?{query}");
                WireRequest::new(Method::POST, path)
            }
            Self::PutManifest {
                repository,
                tag,
                manifest,
            } => {
                let reference = tag.clone().unwrap_or_else(|| manifest.digest.to_string());
                let path = format!("/v2/{repository}/manifests/{reference}");
                WireRequest::new(Method::PUT, path)
                    .header("content-type", IMAGE.to_owned())
                    .body(manifest.bytes.clone())
            }
            Self::DeleteTag { repository, tag } => {
                WireRequest::new(Method::DELETE, format!("/v2/{repository}/manifests/{tag}"))
            }
            Self::DeleteManifest { repository, digest } => {
                let path = format!("/v2/{repository}/manifests/{digest}");
                WireRequest::new(Method::DELETE, path)
            }
            Self::DeleteBlob { repository, digest } => {
                WireRequest::new(Method::DELETE, format!("/v2/{repository}/blobs/{digest}"))
            }
        }
    }

    /// What an answer means.
    pub fn judge(&self, world: &ClientModel, status: u16, location: Option<&str>) -> StepVerdict {
        if let (Self::Mount { .. }, 202) = (self, status) {
            return location.map_or(StepVerdict::Refused, |it| {
                StepVerdict::Opened(it.to_owned())
            });
        }
        let done = match self {
            Self::Finish { .. }
            | Self::Single { .. }
            | Self::Mount { .. }
            | Self::PutManifest { .. } => 201,
            Self::Cancel { .. } => 204,
            _ => 202,
        };
        let doubtful = self
            .upload()
            .and_then(|path| world.uploads.get(path))
            .is_some_and(|upload| upload.doubtful);
        match (status == done, self) {
            (true, Self::Open { .. }) => location.map_or(StepVerdict::Refused, |it| {
                StepVerdict::Done(Some(it.to_owned()))
            }),
            (true, _) => StepVerdict::Done(None),
            (false, _) if doubtful && status == 404 => StepVerdict::Lost,
            (false, _) => StepVerdict::Refused,
        }
    }

    /// The upload that it works on.
    pub fn upload(&self) -> Option<&str> {
        match self {
            Self::Append { upload, .. } | Self::Finish { upload } | Self::Cancel { upload } => {
                Some(upload)
            }
            _ => None,
        }
    }

    /// All that it may change, or that what it changes needs.
    pub fn keys(&self, world: &ClientModel) -> BTreeSet<ModelKey> {
        let mut keys = BTreeSet::new();
        match self {
            Self::Open { repository, .. } => {
                keys.insert(ModelKey::Tags(repository.clone()));
            }
            Self::Append { upload, .. } | Self::Finish { upload } | Self::Cancel { upload } => {
                keys.insert(ModelKey::Upload(upload.clone()));
                if let Some(it) = world.uploads.get(upload) {
                    keys.insert(ModelKey::Blob(it.repository.clone(), it.digest));
                }
            }
            Self::Single {
                repository, digest, ..
            }
            | Self::Mount {
                repository, digest, ..
            }
            | Self::DeleteBlob { repository, digest } => {
                keys.insert(ModelKey::Blob(repository.clone(), *digest));
            }
            Self::PutManifest {
                repository,
                tag,
                manifest,
            } => {
                let named = |digest: &Digest| ModelKey::Blob(repository.clone(), *digest);
                keys.extend(manifest.blobs.iter().map(named));
                keys.insert(ModelKey::Manifest(repository.clone(), manifest.digest));
                keys.insert(ModelKey::Tags(repository.clone()));
                keys.extend(
                    tag.iter()
                        .map(|it| ModelKey::Tag(repository.clone(), it.clone())),
                );
            }
            Self::DeleteTag { repository, tag } => {
                keys.insert(ModelKey::Tag(repository.clone(), tag.clone()));
                keys.insert(ModelKey::Tags(repository.clone()));
            }
            Self::DeleteManifest { repository, digest } => {
                keys.insert(ModelKey::Manifest(repository.clone(), *digest));
                keys.insert(ModelKey::Tags(repository.clone()));
                let tags = world.repositories.get(repository);
                let tags = tags.into_iter().flat_map(|it| &it.tags);
                let gone = tags.filter(|(_, tagged)| *tagged == digest);
                keys.extend(gone.map(|(tag, _)| ModelKey::Tag(repository.clone(), tag.clone())));
            }
        }
        keys
    }

    /// Its kind, for the figures.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Append { .. } => "append",
            Self::Finish { .. } => "finish",
            Self::Cancel { .. } => "cancel",
            Self::Single { .. } => "single",
            Self::Mount { .. } => "mount",
            Self::PutManifest { .. } => "manifest",
            Self::DeleteTag { .. } => "delete tag",
            Self::DeleteManifest { .. } => "delete manifest",
            Self::DeleteBlob { .. } => "delete blob",
        }
    }
}

/// How far an upload is, and the bytes that it still needs.
fn rest(world: &ClientModel, upload: &str) -> (usize, Bytes) {
    let upload = world.uploads.get(upload);
    upload.map_or((0, Bytes::new()), |it| {
        (it.offset, it.bytes.slice(it.offset..))
    })
}

impl fmt::Display for LabStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Open {
                repository,
                digest,
                bytes,
            }
            | Self::Single {
                repository,
                digest,
                bytes,
            } => write!(f, "{kind} {repository} {digest} of {} bytes", bytes.len()),
            Self::Append { upload, until } => write!(f, "{kind} {upload} up to {until}"),
            Self::Finish { upload } | Self::Cancel { upload } => write!(f, "{kind} {upload}"),
            Self::Mount {
                repository,
                from,
                digest,
                ..
            } => write!(f, "{kind} {repository} {digest} from {from}"),
            Self::PutManifest {
                repository,
                tag,
                manifest,
            } => {
                let tag = tag.as_deref().unwrap_or("by digest");
                write!(f, "{kind} {repository} {tag} {} with", manifest.digest)?;
                manifest.blobs.iter().try_for_each(|it| write!(f, " {it}"))
            }
            Self::DeleteTag { repository, tag } => write!(f, "{kind} {repository} {tag}"),
            Self::DeleteManifest { repository, digest }
            | Self::DeleteBlob { repository, digest } => write!(f, "{kind} {repository} {digest}"),
        }
    }
}
