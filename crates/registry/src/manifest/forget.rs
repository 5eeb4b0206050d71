//! The end of the time machine's window: hidden manifests lose their rows and what they keep.
//!
//! The blobs themselves are not touched here: the garbage collector sees that nothing keeps
//! them.

use std::time::Duration;

use seawall_kernel::blobs;
use seawall_kernel::jobs::{Job, JobOutcome};
use seawall_kernel::{Op, Result};
use seawall_meta::args;
use seawall_types::Digest;
use seawall_types::ids::{NamespaceId, RepositoryId};
use serde::{Deserialize, Serialize};

use super::store;

/// When the job runs for the first time after a start.
pub(crate) const FORGET_FIRST: Duration = Duration::from_mins(5);
const PERIOD: Duration = Duration::from_hours(1);
const BATCH: usize = 200;

/// Forgets manifests that were deleted longer ago than the time machine goes back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ForgetManifests {}

impl Job for ForgetManifests {
    const KIND: &'static str = "manifests.forget";
}

/// Runs [`ForgetManifests`] once; every manifest in a transaction of its own.
pub(crate) async fn forget(op: &Op, window: Duration) -> Result<JobOutcome> {
    let age = i64::try_from(window.as_millis()).unwrap_or(i64::MAX / 4);
    let rows = op.sql().all(&store::FORGETTABLE, args![age, BATCH]).await?;
    for row in &rows {
        one(op, row.id(0)?, row.id(1)?, row.digest(2)?, window).await?;
    }
    let more = rows.len() == BATCH;
    Ok(JobOutcome::Again(if more {
        Duration::ZERO
    } else {
        PERIOD
    }))
}

async fn one(
    op: &Op,
    repository: RepositoryId,
    namespace: NamespaceId,
    digest: Digest,
    window: Duration,
) -> Result<()> {
    let owner = super::owner(namespace, repository, &digest);
    op.transaction(
        (owner, digest, window),
        |tx, _op, (owner, digest, window)| {
            Box::pin(async move {
                let repository = owner.repository;
                let found = tx.optional(&store::LOCK, args![repository, digest]).await?;
                // It may have been pushed again, and even deleted again, since the list was read.
                let Some(row) = found else { return Ok(()) };
                let before = tx.now().await? - *window;
                if row.opt_millis(2)?.is_none_or(|hidden| hidden >= before) {
                    return Ok(());
                }
                blobs::release(tx, owner).await?;
                tx.execute(&store::EDGES_REMOVE, args![repository, digest])
                    .await?;
                tx.execute(&store::REMOVE, args![repository, digest])
                    .await?;
                Ok(())
            })
        },
    )
    .await
}
