//! Uploads: begin, hold, append, finish, abort (protocol §6 and §7, decision 13).
//!
//! What these promise: an append that returns is durable as far as its state says; one that fails
//! changes nothing that the caller's row knows of; a blob appears whole, durable and verified, or
//! not at all.

use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use seawall_types::digest::{Algorithm, AlgorithmSet, Digest, Hasher};
use uuid::Uuid;

use crate::append::{AppendLimit, BodyOutcome};
use crate::blobs::blocking;
use crate::filesystem::Filesystem;
use crate::maintenance::HashingReader;
use crate::pipeline::{AppendPipeline, AppendTarget};
use crate::upload_lock::LockedUpload;
use crate::{BlobPlace, BodyError, Error, Result, Transfers, UploadLock, UploadState};

/// What an append did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the state belongs in the upload's row"]
pub struct AppendOutcome {
    /// The upload as it is now; unchanged if nothing was kept.
    pub state: UploadState,
    /// How many bytes this append added.
    pub received: u64,
    /// How the body ended.
    pub outcome: BodyOutcome,
}

/// A blob that is whole, durable and verified, but that no row names yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a blob that no row names is garbage"]
pub struct StoredBlob {
    /// The digest that was asked for.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Where it is.
    pub place: BlobPlace,
    /// Its digests by other algorithms, as far as they came for free.
    pub also: Vec<Digest>,
}

/// What came of an append that was to finish its upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishOutcome {
    /// It did.
    Stored(StoredBlob),
    /// The body did not end as it should; the upload is still there. Never
    /// [`BodyOutcome::Complete`].
    Unfinished(AppendOutcome),
}

impl Transfers {
    /// The state of a new upload. Nothing is stored until the first byte comes. With an algorithm,
    /// that one is computed while bytes arrive; without, SHA-256 is, and another one costs reading
    /// the bytes again at the end.
    pub fn begin(&self, id: Uuid, algorithm: Option<Algorithm>) -> UploadState {
        UploadState::new(id, self.inner.default_location(), algorithm)
    }

    /// Takes the right to change an upload, or fails at once with [`Error::Busy`] (protocol §7.14).
    /// The caller then reads its row (again): what it read before may be old.
    pub async fn hold(&self, id: Uuid) -> Result<UploadLock> {
        let hold = self.inner.holds.take(id)?;
        let held = hold.work()?;
        let locations: Vec<_> = self.inner.locations().cloned().collect();
        blocking(move || {
            for location in locations {
                if let Some(file) = location.lock_session(id)? {
                    held.set_file(Some(file));
                    break;
                }
            }
            Ok(())
        })
        .await?;
        Ok(hold)
    }

    /// Adds a body to an upload. When it returns, what the returned state counts is durable. Bytes
    /// that the file has beyond the given state are written over: they never reached their row.
    ///
    /// Errors are the disk's. After one, the state that was given still holds, unless making bytes
    /// durable was what failed: then the upload is lost ([`Error::Lost`]) as soon as it had durable
    /// bytes.
    pub async fn append<B>(
        &self,
        hold: &UploadLock,
        state: UploadState,
        body: B,
        limit: AppendLimit,
    ) -> Result<AppendOutcome>
    where
        B: Stream<Item = std::result::Result<Bytes, BodyError>> + Send,
    {
        let hasher = state.hasher()?;
        let mut pipeline = self.pipeline(hold, &state, hasher, limit)?;
        let outcome = pipeline.drain(body).await?;
        conclude(pipeline, state, outcome).await
    }

    /// An append that is to finish its upload. For a body that fits one buffer (512 KiB) everything
    /// happens in a single trip to the disk: write, fsync, rename, fsync of the directory. Fails
    /// with [`Error::DigestMismatch`] if the digest is another one; then nothing of the body is
    /// kept.
    pub async fn append_and_finish<B>(
        &self,
        hold: &UploadLock,
        state: UploadState,
        body: B,
        limit: AppendLimit,
        digest: &Digest,
    ) -> Result<FinishOutcome>
    where
        B: Stream<Item = std::result::Result<Bytes, BodyError>> + Send,
    {
        let mut hasher = state.hasher()?;
        if state.offset == 0 && !hasher.set().contains(digest.algorithm()) {
            hasher = Hasher::new(AlgorithmSet::from(digest.algorithm()));
        }
        let streamed = hasher.set().contains(digest.algorithm());
        let mut pipeline = self.pipeline(hold, &state, hasher, limit)?;
        let outcome = pipeline.drain(body).await?;
        let added = pipeline.received();
        if outcome == BodyOutcome::Complete && streamed && added > 0 {
            let size = state.offset + added;
            let last = pipeline.close().await?;
            let (wanted, key) = (*digest, self.fresh_key());
            let (hasher, place) = blocking(move || last.store(&wanted, key)).await?;
            return Ok(FinishOutcome::Stored(stored(&hasher, *digest, size, place)));
        }
        let appended = conclude(pipeline, state, outcome).await?;
        if appended.outcome != BodyOutcome::Complete {
            return Ok(FinishOutcome::Unfinished(appended));
        }
        self.finish(hold, appended.state, digest)
            .await
            .map(FinishOutcome::Stored)
    }

    /// Makes a blob of an upload if it has this digest, else fails with [`Error::DigestMismatch`]
    /// and leaves the upload as it is. After success the upload has no bytes any more; a state that
    /// is used again is [`Error::Lost`].
    pub async fn finish(
        &self,
        hold: &UploadLock,
        state: UploadState,
        digest: &Digest,
    ) -> Result<StoredBlob> {
        let (location, held) = self.work_on(hold, &state)?;
        let hasher = state.hasher()?;
        let found = match hasher.finish(digest.algorithm()) {
            Some(found) => found,
            None => {
                self.read_again(&location, &held, state.offset, digest.algorithm())
                    .await?
            }
        };
        if found != *digest {
            return Err(Error::DigestMismatch { found });
        }
        let (size, key) = (state.offset, self.fresh_key());
        let place = blocking(move || location.finish(&held, size, key)).await?;
        Ok(stored(&hasher, *digest, size, place))
    }

    /// Removes the bytes of an upload. There being none is success.
    pub async fn abort(&self, hold: &UploadLock, state: &UploadState) -> Result<()> {
        let (location, held) = self.work_on(hold, state)?;
        blocking(move || location.abort(&held)).await
    }

    /// Undoes a finish whose blob certainly has no row: the upload has its bytes again, durably, as
    /// the state before that finish counts them, and perhaps those that came with it behind them.
    pub async fn take_back(&self, hold: &UploadLock, place: &BlobPlace) -> Result<()> {
        let location = self.inner.location_of(place)?;
        let (held, place) = (hold.work()?, place.clone());
        blocking(move || location.take_back(&held, &place)).await
    }

    fn pipeline(
        &self,
        hold: &UploadLock,
        state: &UploadState,
        hasher: Hasher,
        limit: AppendLimit,
    ) -> Result<AppendPipeline> {
        let (location, held) = self.work_on(hold, state)?;
        let max_total = limit.max_total.min(self.inner.max_blob_bytes);
        let limit = AppendLimit { max_total, ..limit };
        let target = AppendTarget {
            location,
            held,
            offset: state.offset,
            hasher,
        };
        Ok(AppendPipeline::new(
            target,
            limit,
            Arc::clone(&self.inner.pool),
            self.meter(),
        ))
    }

    fn work_on(
        &self,
        hold: &UploadLock,
        state: &UploadState,
    ) -> Result<(Arc<Filesystem>, Arc<LockedUpload>)> {
        if hold.id() != state.id {
            return Err(Error::State(format!(
                "upload {} under the hold of another",
                state.id
            )));
        }
        Ok((
            Arc::clone(self.inner.location(&state.location)?),
            hold.work()?,
        ))
    }

    async fn read_again(
        &self,
        location: &Arc<Filesystem>,
        held: &Arc<LockedUpload>,
        size: u64,
        algorithm: Algorithm,
    ) -> Result<Digest> {
        let (opening, session) = (Arc::clone(location), Arc::clone(held));
        let file = blocking(move || {
            let (file, cut) = opening.session_at(&session, size)?;
            if cut {
                opening.sync(&session)?;
            }
            Ok(file)
        })
        .await?;
        HashingReader::new(self, location, file)
            .digest(size, algorithm)
            .await
    }

    fn fresh_key(&self) -> Uuid {
        seawall_types::time::uuid(&*self.inner.host.random)
    }
}

/// Ends an append that does not finish its upload.
async fn conclude(
    pipeline: AppendPipeline,
    state: UploadState,
    outcome: BodyOutcome,
) -> Result<AppendOutcome> {
    let keeps = matches!(outcome, BodyOutcome::Complete | BodyOutcome::Broken(_));
    let received = pipeline.received();
    if !keeps {
        pipeline.give_up().await?;
        return Ok(AppendOutcome {
            state,
            received: 0,
            outcome,
        });
    }
    if received == 0 {
        return Ok(AppendOutcome {
            state,
            received,
            outcome,
        });
    }
    let last = pipeline.close().await?;
    let hasher = blocking(move || last.settle()).await?;
    let state = UploadState {
        offset: state.offset + received,
        generation: state.generation + 1,
        hash: hasher.state(),
        ..state
    };
    Ok(AppendOutcome {
        state,
        received,
        outcome,
    })
}

fn stored(hasher: &Hasher, digest: Digest, size: u64, place: BlobPlace) -> StoredBlob {
    let others = Algorithm::ALL
        .into_iter()
        .filter(|other| *other != digest.algorithm());
    StoredBlob {
        digest,
        size,
        place,
        also: others.filter_map(|other| hasher.finish(other)).collect(),
    }
}
