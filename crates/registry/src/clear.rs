//! What of this crate goes with a deleted repository (decision 19), one batch of one table at a
//! time.
//!
//! The kernel's job calls it, in many short transactions. Tags go before manifests, which they
//! refer to. Blobs themselves stay where they are: a collector of garbage sees that nothing keeps
//! them.

use futures::FutureExt;
use futures::future::BoxFuture;
use seawall_meta::Tx;
use seawall_types::{RepositoryId, Result};

use crate::{blob, manifest, tag, upload};

/// Removes up to `limit` rows from the first table that holds any; says how many.
pub(crate) fn clear(
    tx: &mut Tx,
    repository: RepositoryId,
    limit: u32,
) -> BoxFuture<'_, Result<u64>> {
    step(tx, repository, limit).boxed()
}

async fn step(tx: &mut Tx, repository: RepositoryId, limit: u32) -> Result<u64> {
    let tags = tag::clear(tx, repository, limit).await?;
    if tags > 0 {
        return Ok(tags);
    }
    let manifests = manifest::clear(tx, repository, limit).await?;
    if manifests > 0 {
        return Ok(manifests);
    }
    let uploads = upload::clear(tx, repository, limit).await?;
    if uploads > 0 {
        return Ok(uploads);
    }
    blob::clear(tx, repository, limit).await
}
