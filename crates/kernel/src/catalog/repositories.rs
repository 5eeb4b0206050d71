//! Repositories: visibility, listing, deletion.

use std::time::Duration;

use seawall_meta::{Tx, args};
use seawall_types::ids::RepositoryId;
use seawall_types::permission::{RepositoryKind, RepositoryState, Visibility};
use seawall_types::time::{Millis, as_text};
use seawall_types::{Error, Reason, Result};
use serde::{Deserialize, Serialize};

use super::events::{RepositoryDeleted, VisibilityChanged};
use super::facts::stored;
use super::installation::Installation;
use super::repo::Repo;
use super::{listing, pages, store};
use crate::auth::{Administer, Inspect};
use crate::changes;
use crate::clearing::Clearing;
use crate::events::Event;
use crate::jobs::{self, Job, JobOutcome, Schedule};
use crate::op::Op;

/// How many rows of one table a transaction takes: so long pushes wait on SQLite.
const BATCH: u32 = 500;

/// How many transactions one run makes before other jobs get their turn.
const TURNS: usize = 40;

/// A repository as it is listed.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct RepositorySummary {
    /// Namespace and path.
    pub name: String,
    /// Who may read it without a grant.
    pub visibility: Visibility,
    /// The name of its kind; `unknown` if no crate of this process declares it.
    pub kind: &'static str,
    /// What may be done to it.
    pub state: RepositoryState,
    /// When it was made.
    #[serde(serialize_with = "as_text")]
    pub created_at: Millis,
}

/// All repositories, by (namespace, name).
pub async fn list(
    op: &Op,
    _installation: &Installation<Inspect>,
) -> Result<Vec<RepositorySummary>> {
    let rows = pages::all(op, &store::REPOSITORY_LIST).await?;
    let mut listed = Vec::with_capacity(rows.len());
    for row in rows {
        let kind = op.kernel().repository_kind(row.int(4)?);
        listed.push(RepositorySummary {
            name: format!("{}/{}", row.text(1)?, row.text(2)?),
            visibility: stored(Visibility::from_code(row.int(3)?))?,
            kind: kind.map_or("unknown", RepositoryKind::name),
            state: stored(RepositoryState::from_code(row.int(5)?))?,
            created_at: row.millis(6)?,
        });
    }
    listed.sort_unstable_by(|one, other| one.name.split_once('/').cmp(&other.name.split_once('/')));
    Ok(listed)
}

/// How many deleted repositories still wait for the job that clears them.
pub async fn clearing(op: &Op, _installation: &Installation<Inspect>) -> Result<i64> {
    Ok(op
        .sql()
        .one(&store::REPOSITORY_CLEARING, args![])
        .await?
        .int(0)?)
}

/// Up to `limit` repositories with their names, by id after `after`.
pub async fn walk(
    op: &Op,
    _installation: &Installation<Inspect>,
    after: RepositoryId,
    limit: u32,
) -> Result<Vec<(RepositoryId, String)>> {
    let rows = op
        .sql()
        .all(&store::REPOSITORY_WALK, args![after, i64::from(limit)])
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.int(0)?.into(),
                format!("{}/{}", row.text(1)?, row.text(2)?),
            ))
        })
        .collect()
}

/// Makes a repository public or private.
pub async fn set_visibility(
    op: &Op,
    repo: &Repo<Administer>,
    visibility: Visibility,
) -> Result<()> {
    op.transaction((repo.clone(), visibility), |tx, op, (repo, visibility)| {
        Box::pin(async move {
            repo.alter(tx, op).await?;
            let arguments = args![repo.id(), visibility.code()];
            tx.execute(&store::REPOSITORY_SET_VISIBILITY, arguments)
                .await?;
            if let Some(namespace) = repo.namespace() {
                match visibility {
                    Visibility::Public => listing::mark(tx, namespace).await?,
                    Visibility::Private => listing::unmark(tx, namespace).await?,
                }
            }
            tx.change(changes::change(changes::REPOSITORY, repo.id().get(), 0))
                .await?;
            let visibility = visibility.as_str().to_owned();
            let event = Event::new(&VisibilityChanged { visibility })?.within(repo);
            op.emit(tx, event).await
        })
    })
    .await
}

/// Deletes a repository: the name is free at once, the rows and bytes go by a job.
pub async fn delete(op: &Op, repo: &Repo<Administer>) -> Result<()> {
    op.transaction(repo.clone(), |tx, op, repo| {
        Box::pin(async move {
            repo.alter(tx, op).await?;
            delete_in(tx, op, repo.id()).await?;
            op.emit(tx, Event::new(&RepositoryDeleted)?.within(repo))
                .await
        })
    })
    .await
}

/// Hides a repository in one update and enqueues the job that clears it.
pub(super) async fn delete_in(tx: &mut Tx, _op: &Op, id: RepositoryId) -> Result<()> {
    if tx.execute(&store::REPOSITORY_DELETE, args![id]).await? == 0 {
        return Err(Error::new(Reason::NotFound, "no such repository"));
    }
    tx.change(changes::change(changes::REPOSITORY, id.get(), 0))
        .await?;
    let job = ClearRepository { repository: id };
    jobs::enqueue(tx, &job, Schedule::now().once(format!("repository-{id}"))).await
}

/// Clears a deleted repository: what the crates of this process hold of it, and at last its row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClearRepository {
    /// The repository, in state deleting.
    pub repository: RepositoryId,
}

impl Job for ClearRepository {
    const KIND: &'static str = "repository.clear";
}

/// Runs [`ClearRepository`], in many short transactions. It may run twice.
///
/// A request that began before the deletion may still write a row. Then the repository's row cannot
/// go, the job fails, and it does the rest when it is tried again.
pub async fn clear(op: &Op, job: &ClearRepository) -> Result<JobOutcome> {
    for _ in 0..TURNS {
        let step = op.transaction(job.repository, |tx, op, &repository| {
            Box::pin(async move {
                for clearing in op.kernel().clearings() {
                    if let Clearing::Repository(clear) = clearing
                        && clear(tx, repository, BATCH).await? > 0
                    {
                        return Ok(false);
                    }
                }
                remove(tx, repository, BATCH).await
            })
        });
        if step.await? {
            return Ok(JobOutcome::Done);
        }
    }
    Ok(JobOutcome::Again(Duration::ZERO))
}

/// Removes what a cleared repository still has here, inside `tx`: up to `batch` blob references, or
/// as many grants, or at last its row. Says whether that is gone.
pub async fn remove(tx: &mut Tx, id: RepositoryId, batch: u32) -> Result<bool> {
    if crate::blobs::release_some(tx, id, batch).await? > 0 {
        return Ok(false);
    }
    let grants = tx.execute(&store::REPOSITORY_GRANTS_REMOVE, args![id, batch]);
    if grants.await? > 0 {
        return Ok(false);
    }
    let public = tx.optional(&store::REPOSITORY_PUBLIC_IN, args![id]).await?;
    tx.execute(&store::REPOSITORY_REMOVE, args![id]).await?;
    if let Some(row) = public {
        listing::unmark(tx, row.int(0)?.into()).await?;
    }
    Ok(true)
}
