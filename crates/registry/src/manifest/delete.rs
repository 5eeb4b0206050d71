//! Deleting a manifest by its digest (protocol §15.2).
//!
//! It is gone at once with all its tags and from its subject's referrers, and refers to nothing any
//! more; else the deletion of a blob would have to read all that was deleted before. Its row and
//! what it keeps alive stay until the time machine's window has passed; [`super::forget`] removes
//! them then. Its children stay, and an index that it is a child of keeps naming it.

use std::time::Duration;

use seawall_kernel::blobs;
use seawall_kernel::changes::REPOSITORY;
use seawall_kernel::events::Event;
use seawall_kernel::{Op, Repo};
use seawall_meta::{Tx, args};
use seawall_types::{Digest, Error, Result};

use super::{ManifestState, store, unknown};
use crate::acts::Delete;
use crate::changes::{MANIFEST, TAG};
use crate::events::ManifestDeleted;
use crate::tag::{self, DeletedTags};

/// Above so many tags a single change tells others to drop all they know of the repository.
const CHANGES: usize = 32;

/// Hides a manifest and deletes its tags; what it keeps alive stays for `window`.
///
/// Errors: `ManifestUnknown`; those of [`Repo::enter`].
pub(crate) async fn delete(
    op: &Op,
    repo: &Repo<Delete>,
    digest: &Digest,
    window: Duration,
) -> Result<()> {
    op.transaction(
        (repo.clone(), *digest, window),
        |tx, op, (repo, digest, window)| {
            Box::pin(async move {
                repo.enter(tx, op).await?;
                let repository = repo.id();
                let found = tx.optional(&store::LOCK, args![repository, digest]).await?;
                if found.ok_or_else(unknown)?.int(0)? != ManifestState::Live.code() {
                    return Err(unknown());
                }
                tx.execute(&store::HIDE, args![repository, digest]).await?;
                let tags = tag::delete_of(tx, op, (repository, digest)).await?;
                tx.execute(&store::EDGES_REMOVE, args![repository, digest])
                    .await?;
                keep(tx, repo, digest, *window).await?;
                announce(tx, op, repo, digest, tags).await
            })
        },
    )
    .await
}

async fn keep(tx: &mut Tx, repo: &Repo<Delete>, digest: &Digest, window: Duration) -> Result<()> {
    let missing = || Error::internal("a repository without a namespace");
    let namespace = repo.namespace().ok_or_else(missing)?;
    let owner = super::owner(namespace, repo.id(), digest);
    blobs::keep_for(tx, &owner, Some(window)).await
}

async fn announce(
    tx: &mut Tx,
    op: &Op,
    repo: &Repo<Delete>,
    digest: &Digest,
    tags: DeletedTags,
) -> Result<()> {
    let repository = repo.id().get();
    if tags.names.len() > CHANGES {
        tx.change(REPOSITORY.change(repository, 0)).await?;
    } else {
        for tag in &tags.names {
            tx.change(TAG.change_of(repository, 0, tag)).await?;
        }
        tx.change(MANIFEST.change_of(repository, 0, &digest.to_string()))
            .await?;
    }
    // Of many tags only some are named; `more` says so.
    let payload = ManifestDeleted {
        digest: *digest,
        tags: tags.names,
        more: tags.more,
    };
    op.emit(tx, Event::new(&payload)?.within(repo)).await
}
