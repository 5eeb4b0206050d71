//! POST: opening an upload (end-4a), or a whole blob in one request (end-4b).

use bytes::Bytes;
use futures::Stream;
use seawall_blob::{BodyError, FinishOutcome};
use seawall_kernel::{Op, Repo};
use seawall_types::{Algorithm, Digest, Result, time};
use uuid::Uuid;

use super::session::{self, Chunk};
use super::{UploadToken, commit};
use crate::Content;
use crate::acts::Push;

/// Opens an upload for the caller. Nothing is written and nothing is kept: the token says it all,
/// and the repository is made when the first bytes are here.
pub(crate) fn open(
    content: &Content,
    op: &Op,
    repo: &Repo<Push>,
    algorithm: Option<Algorithm>,
) -> (Uuid, UploadToken) {
    let uuid = time::uuid(op.kernel().random());
    (
        uuid,
        UploadToken::issue(content, op, (repo, uuid), algorithm),
    )
}

/// Takes a whole blob in one request; no row is written before its bytes are durable and verified.
///
/// Errors: `DigestMismatch`, `TooLarge`, `SizeInvalid`, `Timeout`, `ClientGone`; nothing is left of
/// the upload then.
pub(crate) async fn push_whole<B>(
    content: &Content,
    op: &Op,
    repo: &Repo<Push>,
    (digest, declared): (&Digest, Option<u64>),
    body: B,
) -> Result<()>
where
    B: Stream<Item = Result<Bytes, BodyError>> + Send,
{
    let largest = session::largest(content);
    let limit = Chunk {
        content_range: None,
        declared,
    }
    .fit(0, largest)?;
    let transfers = op.transfers();
    let uuid = time::uuid(op.kernel().random());
    let state = transfers.begin(uuid, Some(digest.algorithm()));
    let hold = transfers.hold(uuid).await?;
    match transfers
        .append_and_finish(&hold, state.clone(), body, limit, digest)
        .await
    {
        Ok(FinishOutcome::Stored(stored)) => {
            let committed = commit::commit(op, repo, stored, None).await;
            let Err(failed) = committed else {
                return Ok(());
            };
            if let Some(bytes) = failed.bytes {
                commit::remove(op, &bytes.place).await;
            }
            Err(failed.error)
        }
        Ok(FinishOutcome::Unfinished(appended)) => {
            session::discard(op, &hold, &appended.state).await;
            session::refusal_of(appended.outcome, largest)
        }
        Err(error) => {
            session::discard(op, &hold, &state).await;
            Err(error.into())
        }
    }
}
