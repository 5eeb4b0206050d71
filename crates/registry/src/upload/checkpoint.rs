//! The checkpoint of an upload: how its row is read and moved on.
//!
//! A row is written by the holder of the upload's lock, and only if it still says what was read
//! under that hold: a first one if there is none, a later one if offset and generation are the
//! same. So of two who hold the upload where neither sees the other's lock, one finds that it came
//! too late, and what it wrote into the file does not count.

use std::time::Duration;

use seawall_blob::UploadState;
use seawall_kernel::{Op, Repo};
use seawall_meta::{Args, args};
use seawall_types::{Error, NamespaceId, Reason, RepositoryId, Result};

use super::state::{UploadSession, remove_row};
use super::store;
use crate::Content;
use crate::acts::Push;

/// An upload without a request for so long is not under way any more, and is not counted.
const UNDER_WAY: Duration = Duration::from_hours(1);

/// Errors: `TooMany` if the caller has too many uploads under way. One read.
pub(super) async fn within_limit(content: &Content, op: &Op) -> Result<()> {
    match others(content, op) {
        Some(others) => {
            let over = op.sql().optional(&store::MORE_THAN, others).await?;
            over.map_or(Ok(()), |_| Err(too_many()))
        }
        None => Ok(()),
    }
}

/// The arguments that ask whether the caller may have no further upload.
fn others(content: &Content, op: &Op) -> Option<Args> {
    let most = content.config().uploads.max_per_user;
    let principal = op.actor().principal()?;
    let since = i64::try_from(UNDER_WAY.as_millis()).unwrap_or(i64::MAX / 4);
    Some(args![principal, since, i64::from(most) - 1])
}

/// The row says something else by now.
pub(super) fn overtaken() -> Error {
    Error::new(
        Reason::Conflict,
        "another request has gone on with this upload",
    )
}

fn too_many() -> Error {
    Error::new(Reason::TooMany, "too many uploads under way")
}

/// Books `state` for an upload that is as `before` says; whether it still was. The first booking
/// makes the row, and the repository if it is not there.
///
/// Errors: `Conflict` if another has made the row, `TooMany`, those of [`Repo::enter`].
pub(super) async fn state(
    content: &Content,
    op: &Op,
    (repo, before): (&Repo<Push>, &UploadSession),
    state: &UploadState,
) -> Result<bool> {
    if before.row {
        return advance(op, repo, before, state).await;
    }
    let ids = begin(op, repo, others(content, op), state).await?;
    repo.made(ids);
    if !content.ended().has(before.uuid) {
        return Ok(true);
    }
    // It was cancelled before there was a row to remove.
    remove_row(op, before.uuid).await?;
    Ok(false)
}

/// Gives an upload its row, and makes the repository if it is not there. The limit is judged again:
/// the first judgement was before the body came.
async fn begin(
    op: &Op,
    repo: &Repo<Push>,
    others: Option<Args>,
    state: &UploadState,
) -> Result<(NamespaceId, RepositoryId)> {
    let input = (repo.clone(), others, state.clone());
    op.transaction(input, |tx, op, (repo, others, state)| {
        Box::pin(async move {
            let ids = repo.ensure(tx, op).await?;
            if let Some(others) = others
                && tx
                    .optional(&store::MORE_THAN, others.clone())
                    .await?
                    .is_some()
            {
                return Err(too_many());
            }
            let arguments = args![
                state.id().to_string(),
                ids.1,
                op.actor().principal(),
                state.generation(),
                state.offset(),
                state.to_bytes(),
            ];
            match tx.execute(&store::INSERT, arguments).await {
                Err(error) if error.is_unique() => Err(overtaken().with_source(error)),
                inserted => {
                    inserted?;
                    Ok(ids)
                }
            }
        })
    })
    .await
}

/// Moves the row of an upload on; says whether it was still as it was read.
///
/// Errors: those of [`Repo::enter`].
async fn advance(
    op: &Op,
    repo: &Repo<Push>,
    before: &UploadSession,
    state: &UploadState,
) -> Result<bool> {
    let arguments = args![
        before.uuid.to_string(),
        before.state.generation(),
        before.state.offset(),
        state.generation(),
        state.offset(),
        state.to_bytes(),
    ];
    op.transaction((repo.clone(), arguments), |tx, op, (repo, arguments)| {
        Box::pin(async move {
            let mut judgement = repo.opened(tx, op).await?;
            loop {
                let arguments = judgement.args(arguments.clone());
                if tx.execute(&store::ADVANCE, arguments).await? > 0 {
                    return Ok(true);
                }
                match repo.reopened(tx, op, &judgement).await? {
                    Some(changed) => judgement = changed,
                    None => return Ok(false),
                }
            }
        })
    })
    .await
}
