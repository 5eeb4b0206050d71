//! Clearing a deleted repository: everything that it holds here, batch by batch, and at last its
//! row (design 5.7).
//!
//! It runs in the background, in many short transactions, and may run twice. Tags go before
//! manifests, which they refer to. Blobs themselves stay where they are: whoever collects garbage
//! sees that nothing keeps them.

use std::time::Duration;

use seawall_kernel::Op;
use seawall_kernel::catalog::repositories::{self, ClearRepository};
use seawall_kernel::jobs::Outcome;
use seawall_types::{RepositoryId, Result};

use crate::{blob, manifest, tag, upload};

/// How many rows of one table a transaction takes: so long pushes wait on SQLite.
const BATCH: u32 = 500;

/// How many transactions one run makes before other jobs get their turn.
const TURNS: usize = 40;

/// Runs [`ClearRepository`].
///
/// A push that began before the deletion may still write a row. Then the repository's row cannot go,
/// the job fails, and it does the rest when it is tried again.
pub(crate) async fn clear(op: &Op, job: &ClearRepository) -> Result<Outcome> {
    for _ in 0..TURNS {
        let done = op
            .transaction(job.repository, |tx, _op, &repository| {
                Box::pin(async move {
                    Ok(step(tx, repository).await?
                        && repositories::remove(tx, repository, BATCH).await?)
                })
            })
            .await?;
        if done {
            return Ok(Outcome::Done);
        }
    }
    Ok(Outcome::Again(Duration::ZERO))
}

/// Takes a batch from the first table that holds anything; says whether none did.
async fn step(tx: &mut seawall_meta::Tx, repository: RepositoryId) -> Result<bool> {
    Ok(tag::clear(tx, repository, BATCH).await? == 0
        && manifest::clear(tx, repository, BATCH).await? == 0
        && upload::clear(tx, repository, BATCH).await? == 0
        && blob::clear(tx, repository, BATCH).await? == 0)
}
