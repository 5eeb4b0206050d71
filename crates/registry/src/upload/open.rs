//! POST: opening an upload (end-4a), or a whole blob in one request (end-4b).

use std::time::Duration;

use seawall_blob::Finished;
use seawall_kernel::auth::Push;
use seawall_kernel::http::BodyStream;
use seawall_kernel::{Op, Repo};
use seawall_meta::args;
use seawall_types::{Algorithm, Digest, Error, Reason, Result, time};
use uuid::Uuid;

use super::session::{self, Chunk};
use super::{commit, store};
use crate::Content;

/// An upload without a request for so long is not under way any more, and limits nobody.
const UNDER_WAY: Duration = Duration::from_hours(1);

/// Opens an upload for the caller; makes the repository if the caller may. One write, one read
/// for the repository and one for the limit.
///
/// Errors: `TooMany` if the caller has too many uploads under way.
pub(crate) async fn open(
    content: &Content,
    op: &Op,
    repo: &Repo<Push>,
    algorithm: Option<Algorithm>,
) -> Result<Uuid> {
    let uuid = time::uuid(op.kernel().random());
    let state = op.transfers().begin(uuid, algorithm).to_bytes();
    let code = algorithm.map(|algorithm| i64::from(algorithm.code()));
    let most = content
        .config()
        .max_uploads_per_user
        .map(|most| i64::from(most.get()));
    let input = (repo.clone(), uuid.to_string(), state, code, most);
    let ids = op
        .transaction(input, |tx, op, (repo, uuid, state, code, most)| {
            Box::pin(async move {
                let principal = op.actor().principal();
                if let (Some(principal), Some(most)) = (principal, most) {
                    let since = i64::try_from(UNDER_WAY.as_millis()).unwrap_or(i64::MAX / 4);
                    let arguments = args![principal, since, most - 1];
                    if tx.optional(&store::MORE_THAN, arguments).await?.is_some() {
                        return Err(Error::new(Reason::TooMany, "too many uploads under way"));
                    }
                }
                let ids = repo.ensure(tx, op).await?;
                let arguments = args![uuid, ids.1, principal, state, *code];
                tx.execute(&store::INSERT, arguments).await?;
                Ok(ids)
            })
        })
        .await?;
    repo.made(ids);
    Ok(uuid)
}

/// Takes a whole blob in one request; no row is written before its bytes are durable and verified.
///
/// Errors: `DigestMismatch`, `TooLarge`, `SizeInvalid`, `Timeout`, `ClientGone`; nothing is left of
/// the upload then.
pub(crate) async fn push_whole(
    content: &Content,
    op: &Op,
    repo: &Repo<Push>,
    (digest, declared): (&Digest, Option<u64>),
    body: BodyStream,
) -> Result<()> {
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
        Ok(Finished::Stored(stored)) => commit::commit(op, repo, stored, None).await,
        Ok(Finished::Unfinished(appended)) => {
            session::discard(op, &hold, &appended.state).await;
            session::refusal_of(appended.outcome, largest)
        }
        Err(error) => {
            session::discard(op, &hold, &state).await;
            Err(error.into())
        }
    }
}
