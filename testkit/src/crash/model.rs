//! What one client knows to be there: the model that the server is held against.
//!
//! Pure: it takes steps that were acknowledged and says what the server shows thereafter.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use seawall_types::digest::Digest;

use super::step::{LabStep, PushedManifest};

/// Everything that is a client's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientModel {
    /// Its repositories by name.
    pub repositories: BTreeMap<String, ModelRepository>,
    /// Its uploads under way by their path.
    pub uploads: BTreeMap<String, ModelUpload>,
}

/// What one repository shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelRepository {
    /// Blobs.
    pub blobs: BTreeMap<Digest, Bytes>,
    /// Manifests.
    pub manifests: BTreeMap<Digest, PushedManifest>,
    /// Tags.
    pub tags: BTreeMap<String, Digest>,
}

/// An upload under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelUpload {
    /// Where it belongs.
    pub repository: String,
    /// What it is to become.
    pub digest: Digest,
    /// All the bytes that it will have.
    pub bytes: Bytes,
    /// How many of them were acknowledged.
    pub offset: usize,
    /// Its end was asked for and never answered: the session may have lost its bytes to a blob that
    /// no row names, and is then unknown to a client that goes on with it.
    pub doubtful: bool,
}

/// One thing that a server can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ModelKey {
    /// A repository's blob.
    Blob(String, Digest),
    /// A repository's manifest by digest.
    Manifest(String, Digest),
    /// A repository's manifest by tag.
    Tag(String, String),
    /// A repository's list of tags.
    Tags(String),
    /// How far an upload is.
    Upload(String),
}

/// What the answer was, or must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// It is not there.
    Nothing,
    /// These bytes.
    Bytes(Bytes),
    /// These names, in order.
    Names(Vec<String>),
    /// These bytes of an upload have come, as the protocol says it. None look like one, and are
    /// nothing: what a server forgets of an upload that is over is that it ever had more.
    Range(String),
    /// An answer that no promise allows, in words.
    Odd(String),
}

impl ClientModel {
    /// What the server must show for a key.
    pub fn shows(&self, key: &ModelKey) -> Observed {
        match key {
            ModelKey::Blob(name, digest) => {
                self.repository(name, |it| it.blobs.get(digest).cloned())
            }
            ModelKey::Manifest(name, digest) => self.repository(name, |it| it.manifest(digest)),
            ModelKey::Tag(name, tag) => self.repository(name, |it| it.manifest(it.tags.get(tag)?)),
            ModelKey::Tags(name) => self.repositories.get(name).map_or(Observed::Nothing, |it| {
                Observed::Names(it.tags.keys().cloned().collect())
            }),
            ModelKey::Upload(path) => match self.uploads.get(path) {
                Some(it) if it.offset > 0 => Observed::Range(format!("0-{}", it.offset - 1)),
                _ => Observed::Nothing,
            },
        }
    }

    fn repository(&self, name: &str, find: impl Fn(&ModelRepository) -> Option<Bytes>) -> Observed {
        let found = self.repositories.get(name).and_then(find);
        found.map_or(Observed::Nothing, Observed::Bytes)
    }

    /// Everything that can be asked for.
    pub fn keys(&self) -> BTreeSet<ModelKey> {
        let mut keys: BTreeSet<_> = self.uploads.keys().cloned().map(ModelKey::Upload).collect();
        for (name, it) in &self.repositories {
            keys.insert(ModelKey::Tags(name.clone()));
            keys.extend(
                it.blobs
                    .keys()
                    .map(|blob| ModelKey::Blob(name.clone(), *blob)),
            );
            let manifests = it.manifests.keys();
            keys.extend(manifests.map(|digest| ModelKey::Manifest(name.clone(), *digest)));
            let tags = it.tags.keys();
            keys.extend(tags.map(|tag| ModelKey::Tag(name.clone(), tag.clone())));
        }
        keys
    }

    /// The world after a step. `opened` is the path of the upload that the answer named; without an
    /// answer it is unknown.
    pub fn take(&mut self, step: &LabStep, opened: Option<&str>) {
        match step {
            LabStep::Open {
                repository,
                digest,
                bytes,
            } => {
                // It makes no repository; its first byte does.
                if let Some(path) = opened {
                    let upload = ModelUpload {
                        repository: repository.clone(),
                        digest: *digest,
                        bytes: bytes.clone(),
                        offset: 0,
                        doubtful: false,
                    };
                    self.uploads.insert(path.to_owned(), upload);
                }
            }
            LabStep::Append { upload, until } => {
                if let Some(upload) = self.uploads.get_mut(upload) {
                    upload.offset = *until;
                    let repository = upload.repository.clone();
                    if *until > 0 {
                        self.own(&repository);
                    }
                }
            }
            LabStep::Finish { upload } => {
                if let Some(upload) = self.uploads.remove(upload) {
                    let own = self.own(&upload.repository);
                    own.blobs.insert(upload.digest, upload.bytes);
                }
            }
            LabStep::Cancel { upload } => {
                self.uploads.remove(upload);
            }
            LabStep::Single {
                repository,
                digest,
                bytes,
            }
            | LabStep::Mount {
                repository,
                digest,
                bytes,
                ..
            } => {
                self.own(repository).blobs.insert(*digest, bytes.clone());
            }
            LabStep::PutManifest {
                repository,
                tag,
                manifest,
            } => {
                let own = self.own(repository);
                own.manifests.insert(manifest.digest, manifest.clone());
                if let Some(tag) = tag {
                    own.tags.insert(tag.clone(), manifest.digest);
                }
            }
            LabStep::DeleteTag { repository, tag } => {
                self.own(repository).tags.remove(tag);
            }
            LabStep::DeleteManifest { repository, digest } => {
                let own = self.own(repository);
                own.manifests.remove(digest);
                own.tags.retain(|_, tagged| tagged != digest);
            }
            LabStep::DeleteBlob { repository, digest } => {
                self.own(repository).blobs.remove(digest);
            }
        }
    }

    fn own(&mut self, name: &str) -> &mut ModelRepository {
        self.repositories.entry(name.to_owned()).or_default()
    }
}

impl ModelRepository {
    fn manifest(&self, digest: &Digest) -> Option<Bytes> {
        self.manifests.get(digest).map(|it| it.bytes.clone())
    }

    /// The blobs that no manifest here refers to.
    pub fn unreferenced_blobs(&self) -> Vec<Digest> {
        let kept: BTreeSet<_> = self.manifests.values().flat_map(|it| &it.blobs).collect();
        let all = self.blobs.keys();
        all.filter(|blob| !kept.contains(blob)).copied().collect()
    }
}
