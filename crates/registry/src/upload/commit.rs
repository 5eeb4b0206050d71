//! PUT: an upload becomes a blob (end-6).
//!
//! The order is what makes an acknowledged push survive: the bytes are verified, synced and renamed
//! to a place of their own; then one transaction makes them a blob, links it into the repository,
//! promises it to the pusher and removes the upload. If that transaction fails, the bytes lie where
//! no row names them, which is safe; they are removed only when it is certain that it failed.

use std::time::Duration;

use seawall_blob::{Finished, Hold, Place, Stored};
use seawall_kernel::auth::Push;
use seawall_kernel::http::BodyStream;
use seawall_kernel::{Op, Repo, blobs};
use seawall_meta::args;
use seawall_types::{Digest, NamespaceId, Reason, RepositoryId, Result};
use uuid::Uuid;

use super::session::{self, Chunk, Named, Refusal, Session};
use super::store;
use crate::{Content, blob};

/// A PUT waits for the request before it, if that is about to end: of two that race, the second is
/// then told what the first has made of the upload (distribution §7.15).
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// How often a commit is tried if the collector takes the blob from under it.
const ATTEMPTS: u32 = 3;

/// Ends the caller's upload with the last bytes, if there are any, and makes it a blob.
///
/// A body that breaks leaves the upload as it was before: a client that sends the whole body again
/// succeeds. A digest that does not match ends the upload (distribution §6.11).
/// Errors: as of [`append`](super::append()), and `DigestMismatch`.
pub(crate) async fn finish(
    content: &Content,
    op: &Op,
    named: Named<'_>,
    (chunk, digest): (Chunk<'_>, &Digest),
    body: BodyStream,
) -> Result<(), Refusal> {
    let hold = hold_patiently(op, named.1).await?;
    let session = session::find_held(content, op, &hold, named).await?;
    let largest = session::largest(content);
    let limit = chunk
        .fit(session.state.offset(), largest)
        .map_err(|error| session.refuse(error))?;
    let state = session.state.clone();
    match op
        .transfers()
        .append_and_finish(&hold, state, body, limit, digest)
        .await
    {
        Ok(Finished::Stored(stored)) => {
            Ok(commit_ended(content, op, named.0, stored, &session).await?)
        }
        Ok(Finished::Unfinished(appended)) => {
            if !session.row {
                session::discard(op, &hold, &appended.state).await;
            }
            session::refusal_of(appended.outcome, largest).map_err(|error| session.refuse(error))
        }
        Err(error) => {
            use seawall_blob::Error as E;
            if matches!(error, E::DigestMismatch { .. })
                && !session.row
                && let Ok(lost) = session::find(content, op, named).await
                && lost.row
            {
                // It had bytes, which a disk has lost; so these were only the rest of them.
                session::end(content, op, &hold, &lost).await?;
                return Err(session::unknown().into());
            }
            if matches!(error, E::DigestMismatch { .. } | E::Lost(_)) {
                session::end(content, op, &hold, &session).await?;
            }
            Err(error.into())
        }
    }
}

/// Makes stored bytes a blob, unless the upload was ended by another request meanwhile.
async fn commit_ended(
    content: &Content,
    op: &Op,
    repo: &Repo<Push>,
    stored: Stored,
    session: &Session,
) -> Result<()> {
    let uuid = session.uuid;
    if !content.ended().claim(uuid) {
        remove(op, &stored.place).await;
        return Err(session::unknown());
    }
    let ended = session.row.then(|| (uuid, session.state.generation()));
    let committed = commit(op, repo, stored, ended).await;
    // What could not be committed may be sent again.
    committed.inspect_err(|error| {
        if error.reason != Reason::UploadUnknown {
            content.ended().release(uuid);
        }
    })
}

async fn hold_patiently(op: &Op, uuid: Uuid) -> Result<Hold> {
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

/// Makes stored bytes a blob of the repository, and ends the upload that they came from, as it was
/// in that generation.
///
/// Errors: `UploadUnknown` if the upload was cancelled meanwhile; then the bytes are removed.
pub(super) async fn commit(
    op: &Op,
    repo: &Repo<Push>,
    stored: Stored,
    ended: Option<(Uuid, u64)>,
) -> Result<()> {
    let mut attempt = 1;
    let outcome = loop {
        let outcome = record(op, repo, &stored, ended).await;
        match outcome {
            Err(error) if error.reason == Reason::BlobUnknown && attempt < ATTEMPTS => attempt += 1,
            outcome => break outcome,
        }
    };
    match outcome {
        Ok((ids, place)) => {
            repo.made(ids);
            if place == stored.place {
                return Ok(());
            }
            let spare = settle(op, stored, place).await?;
            remove(op, &spare).await;
            Ok(())
        }
        Err(error) => {
            // These are refusals of our own, so that nothing of it was committed.
            use Reason as R;
            if matches!(
                error.reason,
                R::UploadUnknown
                    | R::NameUnknown
                    | R::ReadOnly
                    | R::Forbidden
                    | R::Hidden
                    | R::Unauthenticated
                    | R::InvalidToken
                    | R::InsufficientScope
                    | R::Conflict
            ) {
                remove(op, &stored.place).await;
            }
            Err(error)
        }
    }
}

/// The blob was here before, at `place`: says which of the two copies is to go. It is ours, unless
/// the other is lost or not whole; then ours takes its place, so that a push heals what a disk lost.
async fn settle(op: &Op, stored: Stored, place: Place) -> Result<Place> {
    match op.transfers().stat(&place).await {
        Ok(stat) if stat.size == stored.size => return Ok(stored.place),
        Ok(_) | Err(seawall_blob::Error::NotFound(_)) => {}
        Err(error) => return Err(error.into()),
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

/// The one transaction: the repository's ids and the place that the blob is served from.
async fn record(
    op: &Op,
    repo: &Repo<Push>,
    stored: &Stored,
    ended: Option<(Uuid, u64)>,
) -> Result<((NamespaceId, RepositoryId), Place)> {
    let ended = ended.map(|(uuid, generation)| (uuid.to_string(), generation));
    op.transaction(
        (repo.clone(), stored.clone(), ended),
        |tx, op, (repo, stored, ended)| {
            Box::pin(async move {
                if let Some((uuid, generation)) = ended
                    && tx.execute(&store::END, args![uuid, *generation]).await? == 0
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
async fn remove(op: &Op, place: &Place) {
    if let Err(error) = op.transfers().delete(place).await {
        tracing::warn!(%place, %error, "bytes that no row names cannot be removed");
    }
}
