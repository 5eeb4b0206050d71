//! The session of an upload: whose it is, how far it is, and which chunk fits.

use seawall_blob::{AppendLimit, BodyError, BodyOutcome, UploadLock, UploadState};
use seawall_kernel::{Op, Repo};
use seawall_meta::args;
use seawall_types::range::ContentRange;
use seawall_types::{Error, PrincipalId, Reason, Result};
use uuid::Uuid;

use super::state::{UploadProgress, UploadSession, remove_row};
use super::{UploadToken, checkpoint, store};
use crate::Content;
use crate::acts::Push;

/// The upload that a request names.
#[derive(Clone, Copy)]
pub(crate) struct UploadRequest<'a> {
    /// The repository that it is to be in.
    pub(crate) repo: &'a Repo<Push>,
    /// Which one.
    pub(crate) uuid: Uuid,
    /// The token that came with it, if one did.
    pub(crate) ticket: Option<&'a UploadToken>,
}

/// The caller's upload in this repository. One read.
///
/// Whether there is a row only the database can say, and only by the upload's id: what this process
/// knows of the repository may be older than the row. To change the upload, see [`find_held`].
/// Errors: `UploadUnknown`, also for another repository's upload or another principal's
/// (protocol §7.17, §14.6); `UploadInvalid` for one that a later release has written.
pub(super) async fn find(
    content: &Content,
    op: &Op,
    request: UploadRequest<'_>,
) -> Result<UploadSession> {
    if content.ended().has(request.uuid) {
        return Err(unknown());
    }
    match booked(op, request).await? {
        Some(session) => Ok(session),
        None => begun(op, request),
    }
}

/// The upload as its row says, if it has one. Errors: as [`find`].
pub(super) async fn booked(op: &Op, request: UploadRequest<'_>) -> Result<Option<UploadSession>> {
    let UploadRequest { repo, uuid, .. } = request;
    let arguments = args![uuid.to_string()];
    let Some(row) = op.sql().optional(&store::FIND, arguments).await? else {
        return Ok(None);
    };
    let (namespace, path) = (row.opt_text(4)?, row.opt_text(5)?);
    let name = repo.name();
    if (namespace, path) != (Some(name.namespace()), Some(name.path()))
        || row.opt_id::<PrincipalId>(0)? != op.actor().principal()
    {
        return Err(unknown());
    }
    let state = UploadState::from_bytes(row.bytes(3)?)?;
    if (state.generation(), state.offset()) != (row.size(1)?, row.size(2)?) || state.id() != uuid {
        return Err(Error::new(
            Reason::UploadInvalid,
            "the upload cannot go on; begin anew",
        ));
    }
    let row = true;
    Ok(Some(UploadSession { uuid, state, row }))
}

/// The caller's upload for a request that holds it and is going to change it. One read, and a write
/// if bytes are here that the row does not count.
///
/// Such bytes are what a failed or broken step left, and are going to be written over. Their
/// transaction may be under way still: so the row's generation moves on first, and that transaction
/// fails its compare-and-set. Errors: as [`find`], and `Conflict` if that transaction came first.
pub(super) async fn find_held(
    content: &Content,
    op: &Op,
    hold: &UploadLock,
    request: UploadRequest<'_>,
) -> Result<UploadSession> {
    let session = find(content, op, request).await?;
    let behind = |length| !session.row || length > session.state.offset();
    if !hold.length().is_some_and(behind) {
        return Ok(session);
    }
    let renewed = session.state.renewed();
    if !checkpoint::state(content, op, (request.repo, &session), &renewed).await? {
        return Err(if session.row {
            checkpoint::overtaken()
        } else {
            unknown()
        });
    }
    let (state, row) = (renewed, true);
    Ok(UploadSession {
        state,
        row,
        ..session
    })
}

/// The same for a request that may bring a whole blob: where no byte is here it needs no read.
/// There is nothing that could be written over, and what it makes of its bytes alone is verified by
/// them alone. If they are not the whole, there may be a row all the same: then it is asked for.
pub(super) async fn find_to_finish(
    content: &Content,
    op: &Op,
    (hold, chunk): (&UploadLock, &Chunk<'_>),
    request: UploadRequest<'_>,
) -> Result<UploadSession> {
    let fresh = request.ticket.is_some() && hold.length().is_none() && chunk.may_be_first();
    if fresh && !content.ended().has(request.uuid) {
        return begun(op, request);
    }
    find_held(content, op, hold, request).await
}

/// An upload of which nothing is known but its token.
fn begun(op: &Op, request: UploadRequest<'_>) -> Result<UploadSession> {
    let UploadRequest { uuid, ticket, .. } = request;
    let ticket = ticket.ok_or_else(unknown)?;
    let state = op.transfers().begin(uuid, ticket.algorithm);
    let row = false;
    Ok(UploadSession { uuid, state, row })
}

/// How far the caller's upload is (end-13). One read.
pub(crate) async fn progress(
    content: &Content,
    op: &Op,
    request: UploadRequest<'_>,
) -> Result<UploadProgress> {
    let session = find(content, op, request).await?;
    Ok(session.progress())
}

/// Ends the caller's upload and removes its bytes (end-14).
///
/// It does not wait for a request that is working on the upload: that one finds the upload ended
/// or its row gone when it wants to record its progress, and removes them itself.
pub(crate) async fn cancel(content: &Content, op: &Op, request: UploadRequest<'_>) -> Result<()> {
    let session = find(content, op, request).await?;
    if !content.ended().claim(session.uuid) {
        return Err(unknown());
    }
    // Also without a row: the first chunk may just be writing one.
    let removed = remove_row(op, session.uuid)
        .await
        .inspect_err(|_| content.ended().release(session.uuid))?;
    if session.row && !removed {
        return Err(unknown());
    }
    // Another replica may have begun with the token again before this one had the lock.
    if let Ok(hold) = op.transfers().hold(session.uuid).await
        && booked(op, request).await?.is_none()
    {
        discard(op, &hold, &session.state).await;
    }
    Ok(())
}

/// Removes an upload that can never become a blob.
pub(super) async fn end(
    content: &Content,
    op: &Op,
    hold: &UploadLock,
    session: &UploadSession,
) -> Result<()> {
    content.ended().claim(session.uuid);
    if session.row {
        remove_row(op, session.uuid).await?;
    }
    discard(op, hold, &session.state).await;
    Ok(())
}

/// Ends an upload here whose row counts bytes that are not here. Without a file they may be where
/// another replica is, so that the row stays, if only for the sweep.
pub(super) async fn lose(
    content: &Content,
    op: &Op,
    hold: &UploadLock,
    session: &UploadSession,
) -> Result<()> {
    if hold.length().is_some() {
        return end(content, op, hold, session).await;
    }
    content.ended().claim(session.uuid);
    Ok(())
}

/// Removes the bytes of an upload that has no row. If that fails, the sweep finds them.
pub(super) async fn discard(op: &Op, hold: &UploadLock, state: &UploadState) {
    if let Err(error) = op.transfers().abort(hold, state).await {
        tracing::warn!(upload = %state.id(), %error, "an ended upload's file could not be removed; the sweep will");
    }
}

/// What a request says about the bytes that it brings.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Chunk<'a> {
    /// The `Content-Range`, if there is one; else the bytes belong at the end.
    pub(crate) content_range: Option<&'a str>,
    /// The `Content-Length`, if there is one.
    pub(crate) declared: Option<u64>,
}

impl Chunk<'_> {
    /// Whether the bytes may be the first of their upload.
    pub(super) fn may_be_first(&self) -> bool {
        let range = self.content_range.map(ContentRange::parse);
        range.is_none_or(|range| range.is_ok_and(|range| range.start == 0))
    }

    /// What the bytes must be to fit an upload of `offset` bytes that may have at most `largest`.
    ///
    /// Errors: `RangeInvalid` if they belong elsewhere (protocol §7.7, §7.9), `SizeInvalid` if
    /// the request contradicts itself (§7.8), `TooLarge`.
    pub(super) fn fit(&self, offset: u64, largest: u64) -> Result<AppendLimit> {
        let range = self.content_range.map(ContentRange::parse).transpose()?;
        if range.is_some_and(|range| range.start != offset) {
            let text = format!("the chunk must begin at byte {offset}, where the upload is");
            return Err(Error::new(Reason::RangeInvalid, text));
        }
        let length = range.map(ContentRange::length);
        if let (Some(length), Some(declared)) = (length, self.declared)
            && length != declared
        {
            return Err(length_mismatch());
        }
        let exact = length.or(self.declared);
        if exact.is_some_and(|exact| offset.saturating_add(exact) > largest) {
            return Err(too_large(largest));
        }
        Ok(AppendLimit {
            max_total: largest,
            exact,
        })
    }
}

/// The largest blob that a push may bring, in bytes.
pub(super) fn largest(content: &Content) -> u64 {
    let stored = content.kernel().blobs().max_blob_bytes();
    content
        .config()
        .uploads
        .max_blob_bytes
        .map_or(stored, |configured| configured.min(stored))
}

/// The answer to a body that did not end as it should; `Complete` is no error.
pub(super) fn refusal_of(outcome: BodyOutcome, largest: u64) -> Result<()> {
    match outcome {
        BodyOutcome::Complete => Ok(()),
        BodyOutcome::TooLarge | BodyOutcome::Broken(BodyError::TooLarge) => Err(too_large(largest)),
        BodyOutcome::LengthMismatch => Err(length_mismatch()),
        BodyOutcome::Broken(error @ BodyError::TooSlow) => {
            let text = "the body stood still for too long";
            Err(Error::new(Reason::Timeout, text).with_source(error))
        }
        BodyOutcome::Broken(error) => {
            let text = "the body ended before it was complete";
            Err(Error::new(Reason::ClientGone, text).with_source(error))
        }
    }
}

pub(super) fn unknown() -> Error {
    Error::new(Reason::UploadUnknown, "no such upload; begin anew")
}

fn too_large(largest: u64) -> Error {
    Error::new(
        Reason::TooLarge,
        format!("a blob may have at most {largest} bytes"),
    )
}

fn length_mismatch() -> Error {
    Error::new(
        Reason::SizeInvalid,
        "the body is not as long as the request says",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(content_range: Option<&str>, declared: Option<u64>) -> Result<AppendLimit, Reason> {
        Chunk {
            content_range,
            declared,
        }
        .fit(10, 100)
        .map_err(|error| error.reason)
    }

    #[test]
    fn a_chunk_begins_where_the_upload_is() {
        assert_eq!(fit(Some("10-19"), Some(10)).unwrap().exact, Some(10));
        assert_eq!(fit(Some("10-19"), None).unwrap().exact, Some(10));
        assert_eq!(
            fit(Some("0-9"), Some(10)).unwrap_err(),
            Reason::RangeInvalid
        );
        assert_eq!(
            fit(Some("11-19"), Some(9)).unwrap_err(),
            Reason::RangeInvalid
        );
        assert_eq!(
            fit(Some("nonsense"), None).unwrap_err(),
            Reason::RangeInvalid
        );
    }

    #[test]
    fn a_chunk_that_contradicts_itself_is_refused() {
        assert_eq!(
            fit(Some("10-19"), Some(9)).unwrap_err(),
            Reason::SizeInvalid
        );
        assert_eq!(
            fit(Some("19-10"), Some(10)).unwrap_err(),
            Reason::SizeInvalid
        );
    }

    #[test]
    fn without_a_range_the_bytes_belong_at_the_end() {
        assert_eq!(fit(None, None).unwrap().exact, None);
        assert_eq!(fit(None, Some(0)).unwrap().exact, Some(0));
        assert_eq!(fit(None, Some(90)).unwrap().max_total, 100);
    }

    #[test]
    fn what_declares_too_much_is_refused_unread() {
        assert_eq!(fit(None, Some(91)).unwrap_err(), Reason::TooLarge);
        assert_eq!(fit(Some("10-100"), None).unwrap_err(), Reason::TooLarge);
        assert_eq!(fit(None, Some(u64::MAX)).unwrap_err(), Reason::TooLarge);
    }
}
