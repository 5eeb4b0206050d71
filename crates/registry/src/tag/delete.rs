//! Deleting tags: one by its name, or all of a manifest that goes.
//!
//! A manifest may have a million tags, and they are out of sight at once: a tag of a hidden
//! manifest resolves to nothing. So the transaction that hides it deletes [`MOST_TAKEN`] of them;
//! if there are more, it writes a row of `manifest_untagging`, by which lists leave the others out
//! and conditions do not see them, and a job takes them batch by batch until the row goes as well.
//! What would make the manifest visible again, a push of the same bytes, removes them first. A push
//! that sets one of these tags moves it as any other; it has only nothing before.

use seawall_kernel::events::Event;
use seawall_kernel::jobs::{self, Job, JobOutcome, Schedule};
use seawall_kernel::{Op, Repo};
use seawall_meta::{Tx, args, list};
use seawall_types::ids::{PrincipalId, RepositoryId};
use seawall_types::tag::Tag;
use seawall_types::{Digest, Result};
use serde::{Deserialize, Serialize};

use super::{HistoryCause, TagPointer, history, immutable, store};
use crate::acts::Delete;
use crate::changes::TAG;
use crate::events::TagDeleted;
use crate::manifest::unknown;

/// How many tags of a manifest a transaction takes.
pub(crate) const MOST_TAKEN: usize = 256;

/// How many transactions one run of the job, or a push that waits for them, makes.
const TURNS: usize = 40;

/// Deletes one tag and nothing else (protocol §15.1).
///
/// Errors: `ManifestUnknown`, `TagImmutable`; those of [`Repo::enter`].
pub(crate) async fn delete(op: &Op, repo: &Repo<Delete>, tag: &Tag) -> Result<()> {
    op.transaction((repo.clone(), tag.clone()), |tx, op, (repo, tag)| {
        Box::pin(async move {
            repo.enter(tx, op).await?;
            let repository = repo.id();
            let found = tx
                .optional(&store::LOCK, args![repository, list([tag])])
                .await?;
            let row = found.ok_or_else(unknown)?;
            let (digest, open, gone) = (row.digest(1)?, row.int(2)?, row.bool(4)?);
            if gone {
                return Err(unknown());
            }
            if row.opt_int(5)?.is_some() {
                return Err(immutable());
            }
            tx.execute(&store::DELETE, args![repository, tag]).await?;
            let spot = TagPointer {
                repository,
                tag: tag.as_str(),
                digest: &digest,
            };
            let arguments = history(op, spot, HistoryCause::Deleted);
            let mark = tx.insert(&store::HISTORY_MARK, arguments).await?;
            tx.execute(&store::HISTORY_END, args![mark, open]).await?;
            tx.change(TAG.change_of(repository.get(), 0, tag.as_str()))
                .await?;
            let tag = tag.as_str().to_owned();
            let event = Event::new(&TagDeleted { tag, digest })?.within(repo);
            op.emit(tx, event).await
        })
    })
    .await
}

/// Tags that went with their manifest.
pub(crate) struct DeletedTags {
    /// Their names; at most [`MOST_TAKEN`].
    pub(crate) names: Vec<String>,
    /// Whether there are more, which a job will take.
    pub(crate) more: bool,
}

/// Deletes the tags of a manifest that this transaction has hidden.
///
/// Errors: `TagImmutable` if one of them must stay.
pub(crate) async fn delete_of(
    tx: &mut Tx,
    op: &Op,
    (repository, digest): (RepositoryId, &Digest),
) -> Result<DeletedTags> {
    let pinned = tx
        .optional(&store::IMMUTABLE_OF, args![repository, digest])
        .await?;
    if pinned.is_some() {
        return Err(immutable());
    }
    let actor = op.actor();
    let by = (actor.principal(), actor.name());
    let taken = take(tx, (repository, digest), by).await?;
    if taken.more {
        let arguments = args![repository, digest, by.0, by.1];
        tx.execute(&store::GOING_INSERT, arguments).await?;
        let job = UntagManifest {
            repository,
            digest: digest.to_string(),
        };
        jobs::enqueue(tx, &job, Schedule::now()).await?;
    }
    Ok(taken)
}

/// Takes up to [`MOST_TAKEN`] tags of a hidden manifest.
async fn take(
    tx: &mut Tx,
    (repository, digest): (RepositoryId, &Digest),
    (actor_id, actor): (Option<PrincipalId>, &str),
) -> Result<DeletedTags> {
    let arguments = args![repository, digest, MOST_TAKEN + 1];
    let rows = tx.all(&store::OF_MANIFEST, arguments).await?;
    let more = rows.len() > MOST_TAKEN;
    let found = rows.iter().take(MOST_TAKEN).map(|row| row.string(0));
    let mut found = found.collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable();
    let (mut names, mut open) = (Vec::new(), Vec::new());
    for row in tx
        .all(&store::LOCK, args![repository, list(&found)])
        .await?
    {
        // It may have moved on before it was locked.
        if row.digest(1)? == *digest {
            names.push(row.string(0)?);
            open.push(row.int(2)?);
        }
    }
    if !names.is_empty() {
        let arguments = args![repository, digest, list(open)];
        tx.execute(&store::HISTORY_END_OF, arguments).await?;
        let arguments = args![repository, digest, actor_id, actor, list(&names)];
        tx.execute(&store::HISTORY_MARK_OF, arguments).await?;
        let arguments = args![repository, digest, list(&names)];
        tx.execute(&store::DELETE_OF, arguments).await?;
    }
    Ok(DeletedTags { names, more })
}

/// Whether tags of a hidden manifest are still to be deleted.
pub(crate) async fn is_going(
    tx: &mut Tx,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<bool> {
    let arguments = args![repository, digest];
    Ok(tx.optional(&store::GOING_LOCK, arguments).await?.is_some())
}

/// Deletes what is left of the tags of a hidden manifest, in some transactions; says whether all
/// are gone.
pub(crate) async fn untag(op: &Op, repository: RepositoryId, digest: &Digest) -> Result<bool> {
    for _ in 0..TURNS {
        let done = op
            .transaction(
                (repository, *digest),
                |tx, _op, &(repository, ref digest)| {
                    Box::pin(async move {
                        let arguments = args![repository, digest];
                        let found = tx.optional(&store::GOING_LOCK, arguments.clone()).await?;
                        let Some(row) = found else { return Ok(true) };
                        let by = (row.opt_id(0)?, row.text(1)?);
                        let taken = take(tx, (repository, digest), by).await?;
                        if !taken.more {
                            tx.execute(&store::GOING_REMOVE, arguments).await?;
                        }
                        Ok(!taken.more)
                    })
                },
            )
            .await?;
        if done {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes the tags of a manifest that had more than one transaction takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UntagManifest {
    repository: RepositoryId,
    digest: String,
}

impl Job for UntagManifest {
    const KIND: &'static str = "manifest.untag";
}

/// Runs [`UntagManifest`].
pub(crate) async fn untag_job(op: &Op, job: &UntagManifest) -> Result<JobOutcome> {
    let digest = Digest::parse(&job.digest)?;
    let done = untag(op, job.repository, &digest).await?;
    Ok(if done {
        JobOutcome::Done
    } else {
        JobOutcome::Again(std::time::Duration::ZERO)
    })
}
