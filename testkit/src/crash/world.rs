//! What one client knows to be there: the model that the server is held against.
//!
//! Pure: it takes steps that were acknowledged and says what the server shows thereafter.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use seawall_types::digest::Digest;

use super::step::{Manifest, Step};

/// Everything that is a client's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    /// Its repositories by name.
    pub repositories: BTreeMap<String, Repository>,
    /// Its uploads under way by their path.
    pub uploads: BTreeMap<String, Upload>,
}

/// What one repository shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repository {
    /// Blobs.
    pub blobs: BTreeMap<Digest, Bytes>,
    /// Manifests.
    pub manifests: BTreeMap<Digest, Manifest>,
    /// Tags.
    pub tags: BTreeMap<String, Digest>,
}

/// An upload under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Where it belongs.
    pub repository: String,
    /// What it is to become.
    pub digest: Digest,
    /// All the bytes that it will have.
    pub bytes: Bytes,
    /// How many of them were acknowledged.
    pub offset: usize,
    /// Its end was asked for and never answered: the session may have lost its bytes to a blob that
    /// no row names, and is then unknown to whoever goes on with it.
    pub doubtful: bool,
}

/// One thing that a server can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
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
pub enum Seen {
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

impl World {
    /// What the server must show for a key.
    pub fn shows(&self, key: &Key) -> Seen {
        match key {
            Key::Blob(name, digest) => self.repository(name, |it| it.blobs.get(digest).cloned()),
            Key::Manifest(name, digest) => self.repository(name, |it| it.manifest(digest)),
            Key::Tag(name, tag) => self.repository(name, |it| it.manifest(it.tags.get(tag)?)),
            Key::Tags(name) => self.repositories.get(name).map_or(Seen::Nothing, |it| {
                Seen::Names(it.tags.keys().cloned().collect())
            }),
            Key::Upload(path) => match self.uploads.get(path) {
                Some(it) if it.offset > 0 => Seen::Range(format!("0-{}", it.offset - 1)),
                _ => Seen::Nothing,
            },
        }
    }

    fn repository(&self, name: &str, find: impl Fn(&Repository) -> Option<Bytes>) -> Seen {
        let found = self.repositories.get(name).and_then(find);
        found.map_or(Seen::Nothing, Seen::Bytes)
    }

    /// Everything that can be asked for.
    pub fn keys(&self) -> BTreeSet<Key> {
        let mut keys: BTreeSet<_> = self.uploads.keys().cloned().map(Key::Upload).collect();
        for (name, it) in &self.repositories {
            keys.insert(Key::Tags(name.clone()));
            keys.extend(it.blobs.keys().map(|blob| Key::Blob(name.clone(), *blob)));
            let manifests = it.manifests.keys();
            keys.extend(manifests.map(|digest| Key::Manifest(name.clone(), *digest)));
            let tags = it.tags.keys();
            keys.extend(tags.map(|tag| Key::Tag(name.clone(), tag.clone())));
        }
        keys
    }

    /// The world after a step. `opened` is the path of the upload that the answer named; without an
    /// answer nobody knows it.
    pub fn take(&mut self, step: &Step, opened: Option<&str>) {
        match step {
            Step::Open {
                repository,
                digest,
                bytes,
            } => {
                // It makes no repository; its first byte does.
                if let Some(path) = opened {
                    let upload = Upload {
                        repository: repository.clone(),
                        digest: *digest,
                        bytes: bytes.clone(),
                        offset: 0,
                        doubtful: false,
                    };
                    self.uploads.insert(path.to_owned(), upload);
                }
            }
            Step::Append { upload, until } => {
                if let Some(upload) = self.uploads.get_mut(upload) {
                    upload.offset = *until;
                    let repository = upload.repository.clone();
                    if *until > 0 {
                        self.own(&repository);
                    }
                }
            }
            Step::Finish { upload } => {
                if let Some(upload) = self.uploads.remove(upload) {
                    let own = self.own(&upload.repository);
                    own.blobs.insert(upload.digest, upload.bytes);
                }
            }
            Step::Cancel { upload } => {
                self.uploads.remove(upload);
            }
            Step::Single {
                repository,
                digest,
                bytes,
            }
            | Step::Mount {
                repository,
                digest,
                bytes,
                ..
            } => {
                self.own(repository).blobs.insert(*digest, bytes.clone());
            }
            Step::PutManifest {
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
            Step::DeleteTag { repository, tag } => {
                self.own(repository).tags.remove(tag);
            }
            Step::DeleteManifest { repository, digest } => {
                let own = self.own(repository);
                own.manifests.remove(digest);
                own.tags.retain(|_, tagged| tagged != digest);
            }
            Step::DeleteBlob { repository, digest } => {
                self.own(repository).blobs.remove(digest);
            }
        }
    }

    fn own(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }
}

impl Repository {
    fn manifest(&self, digest: &Digest) -> Option<Bytes> {
        self.manifests.get(digest).map(|it| it.bytes.clone())
    }

    /// The blobs that no manifest here refers to.
    pub fn loose_blobs(&self) -> Vec<Digest> {
        let kept: BTreeSet<_> = self.manifests.values().flat_map(|it| &it.blobs).collect();
        let all = self.blobs.keys();
        all.filter(|blob| !kept.contains(blob)).copied().collect()
    }
}
