//! PATCH: more bytes for an upload (end-5).

use bytes::Bytes;
use futures::Stream;
use seawall_blob::BodyError;
use seawall_kernel::Op;

use super::checkpoint;
use super::session::{self, Chunk, UploadRequest};
use super::state::{StepRefusal, UploadProgress, UploadSession};
use crate::Content;

/// Appends a chunk to the caller's upload; the first one that brings bytes gives it a row.
///
/// What came of a body that broke is kept, and the row says exactly how much (protocol §7.13).
/// Errors: `Conflict` while another request works on the upload (§7.14), those of
/// [`Chunk::fit`], `UploadUnknown`, `TooMany`, `TooLarge`, `SizeInvalid`, `Timeout`, `ClientGone`.
pub(crate) async fn append<B>(
    content: &Content,
    op: &Op,
    request: UploadRequest<'_>,
    chunk: Chunk<'_>,
    body: B,
) -> Result<UploadProgress, StepRefusal>
where
    B: Stream<Item = Result<Bytes, BodyError>> + Send,
{
    let transfers = op.transfers();
    let hold = transfers.hold(request.uuid).await?;
    let session = session::find_held(content, op, &hold, request).await?;
    let largest = session::largest(content);
    let limit = chunk
        .fit(session.state.offset(), largest)
        .map_err(|error| session.refuse(error))?;
    if !session.row {
        checkpoint::within_limit(content, op).await?;
    }
    let state = session.state.clone();
    let appended = match transfers.append(&hold, state, body, limit).await {
        Err(error @ seawall_blob::Error::Lost(_)) => {
            session::lose(content, op, &hold, &session).await?;
            return Err(error.into());
        }
        appended => appended?,
    };
    if appended.received > 0 {
        let booked =
            checkpoint::state(content, op, (request.repo, &session), &appended.state).await;
        // Bytes that no row counts must not be taken for those of a row: one that is gone, that
        // has moved, or that may yet come if the outcome of its transaction is unknown.
        if !session.row && booked.is_err() || matches!(booked, Ok(false)) {
            session::discard(op, &hold, &appended.state).await;
        }
        if !booked? {
            return Err(session::unknown().into());
        }
    }
    let session = UploadSession {
        state: appended.state,
        row: session.row || appended.received > 0,
        ..session
    };
    session::refusal_of(appended.outcome, largest).map_err(|error| session.refuse(error))?;
    Ok(session.progress())
}
