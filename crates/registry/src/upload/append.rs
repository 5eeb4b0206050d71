//! PATCH: more bytes for an upload (end-5).

use seawall_blob::Appended;
use seawall_kernel::auth::Push;
use seawall_kernel::http::BodyStream;
use seawall_kernel::{Op, Repo};
use seawall_meta::args;
use seawall_types::Result;
use uuid::Uuid;

use super::session::{self, Chunk, Progress, Refusal, Session};
use super::store;
use crate::Content;

/// Appends a chunk to the caller's upload.
///
/// What came of a body that broke is kept, and the row says exactly how much (distribution §7.13).
/// Errors: `Conflict` while another request works on the upload (§7.14), those of
/// [`Chunk::fit`], `UploadUnknown`, `TooLarge`, `SizeInvalid`, `Timeout`, `ClientGone`.
pub(crate) async fn append(
    content: &Content,
    op: &Op,
    (repo, uuid): (&Repo<Push>, Uuid),
    chunk: Chunk<'_>,
    body: BodyStream,
) -> Result<Progress, Refusal> {
    let transfers = op.transfers();
    let hold = transfers.hold(uuid).await?;
    let session = session::find(op, repo, uuid).await?;
    let largest = session::largest(content);
    let limit = chunk
        .fit(session.state.offset(), largest)
        .map_err(|error| session.refuse(error))?;
    let state = session.state.clone();
    let appended = match transfers.append(&hold, state, body, limit).await {
        Err(error @ seawall_blob::Error::Lost(_)) => {
            session::end(op, &hold, &session).await?;
            return Err(error.into());
        }
        appended => appended?,
    };
    if appended.received > 0 && !advance(op, &session, &appended).await? {
        // It was cancelled or has expired meanwhile; nobody else will look for these bytes.
        session::discard(op, &hold, &appended.state).await;
        return Err(session::unknown().into());
    }
    let session = Session {
        state: appended.state,
        ..session
    };
    session::refusal_of(appended.outcome, largest).map_err(|error| session.refuse(error))?;
    Ok(session.progress())
}

/// Books the bytes that came; says whether the upload was still the one that was read.
async fn advance(op: &Op, before: &Session, appended: &Appended) -> Result<bool> {
    let (old, new) = (&before.state, &appended.state);
    let arguments = args![
        before.uuid.to_string(),
        old.generation(),
        old.offset(),
        new.generation(),
        new.offset(),
        new.to_bytes(),
    ];
    op.transaction(arguments, |tx, _op, arguments| {
        Box::pin(async move { Ok(tx.execute(&store::ADVANCE, arguments.clone()).await? > 0) })
    })
    .await
}
