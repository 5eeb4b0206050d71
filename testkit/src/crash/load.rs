//! What a client does next: a mixed load, drawn from a seed.

use bytes::Bytes;
use seawall_types::digest::{Algorithm, Digest};

use super::model::{ClientModel, ModelRepository};
use super::step::{LabStep, PushedManifest};
use crate::image::blob_of;

/// Numbers from a seed (splitmix64).
#[derive(Debug, Clone)]
pub(super) struct SeededRng(u64);

impl SeededRng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or_default()
    }

    /// One of several, if there are any.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}

/// How many blobs all clients have in common: several push them at once.
const SHARED: u64 = 24;

/// How many uploads a client leaves open at most.
const OPEN: usize = 4;

const TAGS: usize = 5;

/// One client's part in the load.
#[derive(Debug)]
pub(super) struct Load {
    dice: SeededRng,
    number: usize,
    clients: usize,
    made: u64,
}

impl Load {
    pub(super) fn new(seed: u64, number: usize, clients: usize) -> Self {
        let dice = SeededRng::new(seed ^ (number as u64 + 1).wrapping_mul(0xD134_2543_DE82_EF95));
        Self {
            dice,
            number,
            clients,
            made: 0,
        }
    }

    /// The next step in this world.
    pub(super) fn next(&mut self, world: &ClientModel) -> LabStep {
        loop {
            let repository = self.repository(self.number);
            let own = world.repositories.get(&repository);
            let step = match self.dice.below(100) {
                0..12 if world.uploads.len() < OPEN => Some(self.open(repository)),
                0..42 => self.go_on(world),
                42..55 => Some(self.single(repository)),
                55..62 => Some(self.mount(world, repository)),
                62..80 => own.and_then(|own| self.put_manifest(repository, own)),
                80..88 => own.and_then(|own| self.retag(repository, own)),
                88..92 => own.and_then(|own| {
                    let tags: Vec<_> = own.tags.keys().cloned().collect();
                    let tag = self.dice.pick(&tags)?.clone();
                    Some(LabStep::DeleteTag { repository, tag })
                }),
                92..96 => own.and_then(|own| {
                    let all: Vec<_> = own.manifests.keys().copied().collect();
                    let digest = *self.dice.pick(&all)?;
                    Some(LabStep::DeleteManifest { repository, digest })
                }),
                _ => own.and_then(|own| {
                    let digest = *self.dice.pick(&own.unreferenced_blobs())?;
                    Some(LabStep::DeleteBlob { repository, digest })
                }),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// One of a client's two repositories.
    fn repository(&mut self, client: usize) -> String {
        let part = if self.dice.below(2) == 0 {
            "app"
        } else {
            "web"
        };
        format!("lab{client}/{part}")
    }

    /// Bytes of an own seed or, now and then, of one that all clients use.
    fn blob(&mut self) -> (Digest, Bytes) {
        let shared = self.dice.below(4) == 0;
        let seed = if shared {
            self.dice.next() % SHARED
        } else {
            self.made += 1;
            (self.number as u64 + 1) << 40 | self.made
        };
        blob(seed)
    }

    fn open(&mut self, repository: String) -> LabStep {
        let (mut digest, bytes) = self.blob();
        if self.dice.below(8) == 0 {
            digest = Digest::of(Algorithm::Sha512, &bytes);
        }
        LabStep::Open {
            repository,
            digest,
            bytes,
        }
    }

    fn single(&mut self, repository: String) -> LabStep {
        let (digest, bytes) = self.blob();
        LabStep::Single {
            repository,
            digest,
            bytes,
        }
    }

    /// From the other repository of the client, which must succeed, or from a stranger's, which
    /// may.
    fn mount(&mut self, world: &ClientModel, repository: String) -> LabStep {
        let from = self.repository(self.number);
        let blobs: Vec<_> = world
            .repositories
            .get(&from)
            .into_iter()
            .flat_map(|own| &own.blobs)
            .collect();
        if self.dice.below(3) > 0
            && let Some((digest, bytes)) = self.dice.pick(&blobs)
        {
            return LabStep::Mount {
                repository,
                from,
                digest: **digest,
                bytes: (*bytes).clone(),
            };
        }
        let (digest, bytes) = blob(self.dice.next() % SHARED);
        let stranger = self.dice.below(self.clients);
        LabStep::Mount {
            repository,
            from: self.repository(stranger),
            digest,
            bytes,
        }
    }

    fn put_manifest(&mut self, repository: String, own: &ModelRepository) -> Option<LabStep> {
        let all: Vec<_> = own.blobs.iter().collect();
        let mut blobs = Vec::new();
        for _ in 0..=self.dice.below(3) + 1 {
            let (digest, bytes) = self.dice.pick(&all)?;
            blobs.push((**digest, (*bytes).clone()));
        }
        self.made += 1;
        let manifest = PushedManifest::of((self.number as u64) << 40 | self.made, &blobs);
        let tag = (self.dice.below(5) > 0).then(|| self.tag());
        Some(LabStep::PutManifest {
            repository,
            tag,
            manifest,
        })
    }

    /// Another tag, or another target for a tag, without a new manifest.
    fn retag(&mut self, repository: String, own: &ModelRepository) -> Option<LabStep> {
        let all: Vec<_> = own.manifests.values().collect();
        let manifest = (*self.dice.pick(&all)?).clone();
        Some(LabStep::PutManifest {
            repository,
            tag: Some(self.tag()),
            manifest,
        })
    }

    fn tag(&mut self) -> String {
        format!("v{}", self.dice.below(TAGS))
    }

    fn go_on(&mut self, world: &ClientModel) -> Option<LabStep> {
        let uploads: Vec<_> = world.uploads.iter().collect();
        let (path, upload) = *self.dice.pick(&uploads)?;
        let left = upload.bytes.len() - upload.offset;
        let upload = path.clone();
        Some(match self.dice.below(20) {
            0 => LabStep::Cancel { upload },
            1..10 if left > 1 => {
                // At least two: the protocol says the same of one byte and of none.
                let until = world.uploads[path].offset + 2 + self.dice.below(left - 1);
                LabStep::Append { upload, until }
            }
            _ => LabStep::Finish { upload },
        })
    }
}

/// The blob of a seed: mostly small, some larger than the buffer through which bytes are written.
fn blob(seed: u64) -> (Digest, Bytes) {
    let mut dice = SeededRng::new(seed);
    let size = match dice.below(24) {
        0 => 500_000 + dice.below(700_000),
        1..4 => 40_000 + dice.below(200_000),
        // The digest must tell blobs of different seeds apart.
        _ => 16 + dice.below(9_000),
    };
    let bytes = Bytes::from(blob_of(seed + 1, size));
    (Digest::of(Algorithm::Sha256, &bytes), bytes)
}
