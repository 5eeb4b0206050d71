//! PUT: an upload becomes a blob (end-6).
//!
//! The order is what makes an acknowledged push survive: the bytes are verified, synced and renamed
//! to a place of their own; then one transaction makes them a blob, links it into the repository,
//! promises it to the pusher and removes the upload. If that transaction certainly failed, the
//! upload gets its bytes back and is as it was, or, if it never had a row, they go: its client has
//! them all. If that is unknown, they stay where they are, named by a row or not.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use seawall_blob::{BlobPlace, BodyError, FinishOutcome, StoredBlob, UploadLock};
use seawall_kernel::{Op, Repo, blobs};
use seawall_meta::args;
use seawall_types::{Digest, Error, NamespaceId, Reason, RepositoryId, Result};
use uuid::Uuid;

use super::session::{self, Chunk, UploadRequest};
use super::state::{StepRefusal, UploadSession};
use super::store;
use crate::acts::Push;
use crate::{Content, blob};

/// A PUT waits for the request before it, if that is about to end: of two that race, the second is
/// then told what the first has made of the upload (protocol §7.15).
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// The largest blob, in bytes, of which the copy that was here is read again when it is pushed
/// again: a fraction of a second, where all of it has just come over the network.
const READ_AGAIN: u64 = 64 << 20;

/// How often a commit is tried if the collector takes the blob from under it, or its end is
/// unknown.
const ATTEMPTS: u32 = 3;

/// Ends the caller's upload with the last bytes, if there are any, and makes it a blob.
///
/// A body that breaks leaves the upload as it was before: a client that sends the whole body again
/// succeeds. So does one whose commit failed. A digest that does not match ends the upload
/// (protocol §6.11).
/// Errors: as of [`append`](super::append()), and `DigestMismatch`.
pub(crate) async fn finish<B>(
    content: &Content,
    op: &Op,
    request: UploadRequest<'_>,
    (chunk, digest): (Chunk<'_>, &Digest),
    body: B,
) -> Result<(), StepRefusal>
where
    B: Stream<Item = Result<Bytes, BodyError>> + Send,
{
    let hold = hold_patiently(op, request.uuid).await?;
    let session = session::find_to_finish(content, op, (&hold, &chunk), request).await?;
    let largest = session::largest(content);
    let limit = chunk
        .fit(session.state.offset(), largest)
        .map_err(|error| session.refuse(error))?;
    let (state, transfers) = (session.state.clone(), op.transfers());
    let finished = transfers.append_and_finish(&hold, state, body, limit, digest);
    match finished.await {
        Ok(FinishOutcome::Stored(stored)) => {
            Ok(commit_ended(content, op, request.repo, (&hold, stored), &session).await?)
        }
        Ok(FinishOutcome::Unfinished(appended)) => {
            if !session.row {
                session::discard(op, &hold, &appended.state).await;
            }
            session::refusal_of(appended.outcome, largest).map_err(|error| session.refuse(error))
        }
        Err(error) => Ok(give_up(content, op, request, (&hold, &session, digest), error).await?),
    }
}

/// Ends an upload whose bytes are not what they should be.
async fn give_up(
    content: &Content,
    op: &Op,
    request: UploadRequest<'_>,
    (hold, session, digest): (&UploadLock, &UploadSession, &Digest),
    error: seawall_blob::Error,
) -> Result<()> {
    match &error {
        seawall_blob::Error::DigestMismatch { found } if !session.row => {
            if let Some(lost) = session::booked(op, request).await? {
                // It had bytes, which a disk has lost; so these were only the rest of them.
                session::lose(content, op, hold, &lost).await?;
                return Err(session::unknown());
            }
            let empty = *found == Digest::of(digest.algorithm(), b"");
            if empty && blob::promised(op, request.repo, digest).await? {
                // It has become a blob, but its client was not told so.
                return Ok(());
            }
            session::end(content, op, hold, session).await?;
        }
        seawall_blob::Error::DigestMismatch { .. } => {
            session::end(content, op, hold, session).await?;
        }
        seawall_blob::Error::Lost(_) => session::lose(content, op, hold, session).await?,
        _ => {}
    }
    Err(error.into())
}

/// Makes stored bytes a blob, unless the upload was ended by another request meanwhile.
async fn commit_ended(
    content: &Content,
    op: &Op,
    repo: &Repo<Push>,
    (hold, stored): (&UploadLock, StoredBlob),
    session: &UploadSession,
) -> Result<()> {
    let uuid = session.uuid;
    if !content.ended().claim(uuid) {
        remove(op, &stored.place).await;
        return Err(session::unknown());
    }
    let ended = session.row.then(|| (uuid, session.state.generation()));
    let Err(failed) = commit(op, repo, stored, ended).await else {
        return Ok(());
    };
    let over = failed.error.reason == Reason::UploadUnknown;
    if let Some(bytes) = failed.bytes {
        let back = session.row && !over;
        if !back || !taken_back(op, hold, &bytes.place).await {
            remove(op, &bytes.place).await;
        }
    }
    // What could not be committed may be sent again.
    if !over {
        content.ended().release(uuid);
    }
    Err(failed.error)
}

/// Gives an upload its bytes back; whether it has them.
async fn taken_back(op: &Op, hold: &UploadLock, place: &BlobPlace) -> bool {
    let back = op.transfers().take_back(hold, place).await;
    back.inspect_err(|error| {
        tracing::error!(%place, %error, "an upload that could not be committed is lost");
    })
    .is_ok()
}

async fn hold_patiently(op: &Op, uuid: Uuid) -> Result<UploadLock> {
    let clock = op.kernel().clock();
    let until = clock.elapsed() + PATIENCE;
    loop {
        match op.transfers().hold(uuid).await {
            Err(seawall_blob::Error::Busy) if clock.elapsed() < until => {
                tokio::time::sleep(PAUSE).await;
            }
            held => return Ok(held?),
        }
    }
}

/// Why stored bytes have not become a blob.
pub(super) struct Failed {
    pub(super) error: Error,
    /// The bytes, if it is certain that no row names them.
    pub(super) bytes: Option<StoredBlob>,
}

/// Makes stored bytes a blob of the repository, and ends the upload that they came from, as it was
/// in that generation.
///
/// A transaction whose outcome is unknown is run again: it does what is left to do.
/// Errors: `UploadUnknown` if the upload was cancelled meanwhile.
pub(super) async fn commit(
    op: &Op,
    repo: &Repo<Push>,
    stored: StoredBlob,
    ended: Option<(Uuid, u64)>,
) -> Result<(), Failed> {
    let (mut attempt, mut doubtful) = (1, false);
    let recorded = loop {
        match record(op, repo, (&stored, doubtful), ended).await {
            Ok(recorded) => break recorded,
            Err(error) => {
                let doubt = seawall_meta::may_be_committed(&error);
                doubtful |= doubt;
                if (doubt || error.reason == Reason::BlobUnknown) && attempt < ATTEMPTS {
                    attempt += 1;
                    continue;
                }
                let bytes = (!doubtful).then_some(stored);
                return Err(Failed { error, bytes });
            }
        }
    };
    let (ids, place) = recorded;
    repo.made(ids);
    if place == stored.place {
        return Ok(());
    }
    match settle(op, stored, place).await {
        Ok(spare) => {
            remove(op, &spare).await;
            Ok(())
        }
        Err(error) => Err(Failed { error, bytes: None }),
    }
}

/// The blob was here before, at `place`: says which of the two copies is to go. It is ours, unless
/// the other is not whole or cannot be read; then ours takes its place, so that a push heals what a
/// disk lost.
async fn settle(op: &Op, stored: StoredBlob, place: BlobPlace) -> Result<BlobPlace> {
    if is_whole(op, &stored, &place).await {
        return Ok(stored.place);
    }
    tracing::warn!(digest = %stored.digest, %place, "a blob whose bytes were lost was pushed again");
    let ours = stored.place.clone();
    let moved = op
        .transaction((stored, place.clone()), |tx, _op, (stored, place)| {
            Box::pin(async move { blobs::replace(tx, &stored.digest, place, &stored.place).await })
        })
        .await?;
    Ok(if moved { place } else { ours })
}

/// Whether what was here before is what has come now. A large one is not read to the end: its
/// client waits.
async fn is_whole(op: &Op, stored: &StoredBlob, place: &BlobPlace) -> bool {
    let transfers = op.transfers();
    match transfers.stat(place).await {
        Ok(stat) if stat.size != stored.size => false,
        Ok(_) if stored.size > READ_AGAIN => true,
        Ok(_) => {
            let found = transfers.rehash(place, stored.digest.algorithm()).await;
            matches!(found, Ok(found) if found == stored.digest)
        }
        Err(_) => false,
    }
}

/// The one transaction: the repository's ids and the place that the blob is served from. A
/// `doubtful` one may have been committed before.
async fn record(
    op: &Op,
    repo: &Repo<Push>,
    (stored, doubtful): (&StoredBlob, bool),
    ended: Option<(Uuid, u64)>,
) -> Result<((NamespaceId, RepositoryId), BlobPlace)> {
    let ended = ended.map(|(uuid, generation)| (uuid.to_string(), generation));
    op.transaction(
        (repo.clone(), stored.clone(), ended, doubtful),
        |tx, op, (repo, stored, ended, doubtful)| {
            Box::pin(async move {
                if let Some((uuid, generation)) = ended
                    && tx.execute(&store::END, args![uuid, *generation]).await? == 0
                    && !(*doubtful && blob::is_linked(tx, op, repo, &stored.digest).await?)
                {
                    return Err(session::unknown());
                }
                let recorded = blobs::record(tx, &stored.digest, stored).await?;
                let linked = (&stored.digest, stored.size);
                let ids = blob::link(tx, op, repo, linked, recorded.fresh).await?;
                Ok((ids, recorded.place))
            })
        },
    )
    .await
}

/// Removes bytes that no row names. If that fails, they only take room.
pub(super) async fn remove(op: &Op, place: &BlobPlace) {
    if let Err(error) = op.transfers().delete(place).await {
        tracing::warn!(%place, %error, "stored bytes without a row cannot be removed");
    }
}
