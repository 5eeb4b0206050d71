//! PATCH: more bytes for an upload (end-5).

use std::time::Duration;

use seawall_blob::Appended;
use seawall_kernel::auth::Push;
use seawall_kernel::http::BodyStream;
use seawall_kernel::{Op, Repo};
use seawall_meta::args;
use seawall_types::{Error, NamespaceId, Reason, RepositoryId, Result};

use super::session::{self, Chunk, Named, Progress, Refusal, Session};
use super::store;
use crate::Content;

/// An upload without a request for so long is not under way any more, and limits nobody.
const UNDER_WAY: Duration = Duration::from_hours(1);

/// Appends a chunk to the caller's upload; the first one that brings bytes gives it a row.
///
/// What came of a body that broke is kept, and the row says exactly how much (distribution §7.13).
/// Errors: `Conflict` while another request works on the upload (§7.14), those of
/// [`Chunk::fit`], `UploadUnknown`, `TooMany`, `TooLarge`, `SizeInvalid`, `Timeout`, `ClientGone`.
pub(crate) async fn append(
    content: &Content,
    op: &Op,
    named: Named<'_>,
    chunk: Chunk<'_>,
    body: BodyStream,
) -> Result<Progress, Refusal> {
    let transfers = op.transfers();
    let hold = transfers.hold(named.1).await?;
    let session = session::find(content, op, named).await?;
    let largest = session::largest(content);
    let limit = chunk
        .fit(session.state.offset(), largest)
        .map_err(|error| session.refuse(error))?;
    if !session.row {
        within_limit(content, op).await?;
    }
    let state = session.state.clone();
    let appended = match transfers.append(&hold, state, body, limit).await {
        Err(error @ seawall_blob::Error::Lost(_)) => {
            session::end(content, op, &hold, &session).await?;
            return Err(error.into());
        }
        appended => appended?,
    };
    if appended.received > 0 && !book(content, op, named.0, &session, &appended).await? {
        // It was cancelled or has expired meanwhile; nobody else will look for these bytes.
        session::discard(op, &hold, &appended.state).await;
        return Err(session::unknown().into());
    }
    let session = Session {
        state: appended.state,
        row: session.row || appended.received > 0,
        ..session
    };
    session::refusal_of(appended.outcome, largest).map_err(|error| session.refuse(error))?;
    Ok(session.progress())
}

/// Errors: `TooMany` if the caller has too many uploads under way. One read.
async fn within_limit(content: &Content, op: &Op) -> Result<()> {
    let most = content.config().max_uploads_per_user;
    let (Some(principal), Some(most)) = (op.actor().principal(), most) else {
        return Ok(());
    };
    let since = i64::try_from(UNDER_WAY.as_millis()).unwrap_or(i64::MAX / 4);
    let arguments = args![principal, since, i64::from(most.get()) - 1];
    let over = op.sql().optional(&store::MORE_THAN, arguments).await?;
    if over.is_some() {
        return Err(Error::new(Reason::TooMany, "too many uploads under way"));
    }
    Ok(())
}

/// Books the bytes that came; says whether the upload was still the one that was read.
async fn book(
    content: &Content,
    op: &Op,
    repo: &Repo<Push>,
    before: &Session,
    appended: &Appended,
) -> Result<bool> {
    if before.row {
        return advance(op, repo, before, appended).await;
    }
    let ids = begin(op, repo, before, appended).await?;
    repo.made(ids);
    if !content.ended().has(before.uuid) {
        return Ok(true);
    }
    // It was cancelled before there was a row to remove.
    session::remove_row(op, before.uuid).await?;
    Ok(false)
}

/// Gives an upload its row, and makes the repository if it is not there.
async fn begin(
    op: &Op,
    repo: &Repo<Push>,
    before: &Session,
    appended: &Appended,
) -> Result<(NamespaceId, RepositoryId)> {
    let input = (
        repo.clone(),
        before.uuid.to_string(),
        appended.state.clone(),
    );
    op.transaction(input, |tx, op, (repo, uuid, state)| {
        Box::pin(async move {
            let ids = repo.ensure(tx, op).await?;
            let arguments = args![
                uuid,
                ids.1,
                op.actor().principal(),
                state.generation(),
                state.offset(),
                state.to_bytes(),
            ];
            tx.execute(&store::INSERT, arguments).await?;
            Ok(ids)
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
    before: &Session,
    appended: &Appended,
) -> Result<bool> {
    let (old, new) = (&before.state, &appended.state);
    let arguments = args![
        before.uuid.to_string(),
        old.generation(),
        old.offset(),
        new.generation(),
        new.offset(),
        new.to_bytes(),
    ];
    op.transaction((repo.clone(), arguments), |tx, op, (repo, arguments)| {
        Box::pin(async move {
            let mut verdict = repo.opened(tx, op).await?;
            loop {
                let arguments = verdict.args(arguments.clone());
                if tx.execute(&store::ADVANCE, arguments).await? > 0 {
                    return Ok(true);
                }
                match repo.reopened(tx, op, &verdict).await? {
                    Some(changed) => verdict = changed,
                    None => return Ok(false),
                }
            }
        })
    })
    .await
}
