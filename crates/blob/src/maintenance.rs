//! Maintenance of the store: looking up, deleting, listing, hashing again, and sweeping
//! what was forgotten.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use seawall_types::Millis;
use seawall_types::digest::{Algorithm, AlgorithmSet, Digest, Hasher};
use uuid::Uuid;

use crate::blobs::{CpuMeter, blocking};
use crate::buffer::{BufferPool, GATHER};
use crate::files::{Files, OpenFile};
use crate::filesystem::Filesystem;
use crate::{BlobPlace, Error, Result, Transfers};

/// How much is read and hashed in one go on a blocking thread; some 10 ms, so that others get their
/// turn.
const HASH_STEP: u64 = 4 * 1024 * 1024;

/// What is known of a stored blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobStat {
    /// Bytes.
    pub size: u64,
    /// When it was written, by the clock of the file system.
    pub modified: Millis,
}

/// A stored blob that was found by looking, with or without a row that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedBlob {
    /// Where it is.
    pub place: BlobPlace,
    /// What is known of it. A young one may belong to a transaction that is not committed yet.
    pub stat: BlobStat,
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepOutcome {
    /// Session files.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

impl Transfers {
    /// What is known of a stored blob, or [`Error::NotFound`].
    pub async fn stat(&self, place: &BlobPlace) -> Result<BlobStat> {
        let location = self.inner.location_of(place)?;
        let place = place.clone();
        let facts = blocking(move || location.blob_facts(&place)).await?;
        Ok(BlobStat {
            size: facts.size,
            modified: Millis(facts.modified),
        })
    }

    /// Removes a stored blob; false if it was not there. A reader of it reads on. After a
    /// power loss it may be back as a blob that no row names.
    pub async fn delete(&self, place: &BlobPlace) -> Result<bool> {
        let location = self.inner.location_of(place)?;
        let place = place.clone();
        blocking(move || location.delete_blob(&place)).await
    }

    /// Every stored blob of every location, in no particular order, found by looking at the disk.
    pub fn list(&self) -> impl Stream<Item = Result<ListedBlob>> + Send + use<> {
        let locations: Vec<_> = self.inner.locations().cloned().collect();
        let directories = locations
            .into_iter()
            .flat_map(|location| (0..=u8::MAX).map(move |prefix| (Arc::clone(&location), prefix)));
        stream::iter(directories)
            .then(|(location, prefix)| blocking(move || location.blobs(prefix)))
            .flat_map(|found| {
                let items = match found {
                    Ok(blobs) => blobs
                        .into_iter()
                        .map(|(place, facts)| {
                            let stat = BlobStat {
                                size: facts.size,
                                modified: Millis(facts.modified),
                            };
                            Ok(ListedBlob { place, stat })
                        })
                        .collect(),
                    Err(error) => vec![Err(error)],
                };
                stream::iter(items)
            })
    }

    /// Reads a stored blob again and gives its digest.
    pub async fn rehash(&self, place: &BlobPlace, algorithm: Algorithm) -> Result<Digest> {
        let location = self.inner.location_of(place)?;
        let (opened, wanted) = (Arc::clone(&location), place.clone());
        let (file, size) = blocking(move || opened.open_blob(&wanted)).await?;
        HashingReader::new(self, &location, Arc::new(file))
            .digest(size, algorithm)
            .await
    }

    /// Removes the files of uploads that are unknown (by now) and were not touched for
    /// `older_than`. The age protects uploads whose row was not committed when `known` was asked
    /// for.
    pub async fn sweep(
        &self,
        known: impl Fn(Uuid) -> bool + Send + 'static,
        older_than: Duration,
    ) -> Result<SweepOutcome> {
        let locations: Vec<_> = self.inner.locations().cloned().collect();
        let before = self.inner.host.clock.wall() - older_than;
        let holds = Arc::clone(&self.inner.holds);
        blocking(move || {
            let mut swept = SweepOutcome::default();
            for location in locations {
                for (id, facts) in location.sessions()? {
                    if !facts.is_file || Millis(facts.modified) > before || known(id) {
                        continue;
                    }
                    // One that is held is in use, whatever its age says.
                    let Ok(hold) = holds.take(id) else { continue };
                    let held = hold.work()?;
                    match location.lock_session(id) {
                        Ok(Some(file)) => held.set_file(Some(file)),
                        Ok(None) | Err(Error::Busy) => continue,
                        Err(error) => return Err(error),
                    }
                    // Only now does it stand still: a request may have gone on with it since it was
                    // listed.
                    let Some(facts) = location.session_facts(id)? else {
                        continue;
                    };
                    if Millis(facts.modified) > before {
                        continue;
                    }
                    location.abort(&held)?;
                    swept.files += 1;
                    swept.bytes += facts.size;
                }
            }
            Ok(swept)
        })
        .await
    }

    /// The uploads that have a file which was not touched for `older_than`: those to ask the
    /// database about before a [`Transfers::sweep`].
    pub async fn idle_uploads(&self, older_than: Duration) -> Result<Vec<Uuid>> {
        let locations: Vec<_> = self.inner.locations().cloned().collect();
        let before = self.inner.host.clock.wall() - older_than;
        blocking(move || {
            let mut idle = Vec::new();
            for location in locations {
                let old = |(_, facts): &(Uuid, crate::files::FileMetadata)| {
                    Millis(facts.modified) <= before
                };
                idle.extend(
                    location
                        .sessions()?
                        .into_iter()
                        .filter(old)
                        .map(|(id, _)| id),
                );
            }
            Ok(idle)
        })
        .await
    }
}

/// A file that is read from its start to be hashed.
#[derive(Debug)]
pub(crate) struct HashingReader {
    files: Arc<dyn Files>,
    file: Arc<OpenFile>,
    pool: Arc<BufferPool>,
    meter: CpuMeter,
}

impl HashingReader {
    pub(crate) fn new(transfers: &Transfers, location: &Filesystem, file: Arc<OpenFile>) -> Self {
        let (files, pool) = (
            Arc::clone(location.files()),
            Arc::clone(&transfers.inner.pool),
        );
        Self {
            files,
            file,
            pool,
            meter: transfers.meter(),
        }
    }

    /// Hashes the first `size` bytes.
    pub(crate) async fn digest(self, size: u64, algorithm: Algorithm) -> Result<Digest> {
        let mut reading = self;
        let mut hasher = Hasher::new(AlgorithmSet::from(algorithm));
        let mut offset = 0;
        while offset < size {
            let end = size.min(offset + HASH_STEP);
            (reading, hasher) = blocking(move || {
                reading.take_in(&mut hasher, offset, end)?;
                Ok((reading, hasher))
            })
            .await?;
            offset = end;
        }
        let digest = hasher.finish(algorithm);
        digest.ok_or_else(|| Error::State(format!("{algorithm} was not computed")))
    }

    fn take_in(&self, hasher: &mut Hasher, start: u64, end: u64) -> Result<()> {
        let mut buffer = self.pool.lend(GATHER);
        let mut offset = start;
        while offset < end {
            let length = usize::try_from(end - offset).map_or(GATHER, |left| left.min(GATHER));
            buffer.bytes.clear();
            self.files
                .read_at(&self.file, &mut buffer.bytes, length, offset)
                .map_err(Error::io("reading a blob"))?;
            self.meter.cpu(|| hasher.update(&buffer.bytes));
            offset += length as u64;
        }
        Ok(())
    }
}
