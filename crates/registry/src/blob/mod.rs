//! Blobs as a repository shows them: seen only through a link, promised to pushers, taken
//! out by unlinking.
//!
//! A blob is stored once whatever the number of repositories; a row of `repository_blob` lets one
//! of them serve it. Nothing here may answer for a blob without that row, and nothing removes
//! bytes: what nothing keeps is for the collector.

mod link;
mod mount;
pub(crate) mod store;
mod walk;

pub(crate) use link::{BYTES, BlobLink, LINKS, LinkCache, SMALL, find, whole};
pub(crate) use mount::mount;
pub use walk::{linked, walk_links};

use std::time::Duration;

use seawall_kernel::blobs::{self, BLOB, Owner};
use seawall_kernel::events::Event;
use seawall_kernel::{Op, Repo};
use seawall_meta::{Tx, args};
use seawall_types::scope::Action;
use seawall_types::{Digest, Error, NamespaceId, Reason, RepositoryId, Result};

use crate::acts::{Delete, Pull, Push};
use crate::events::BlobDeleted;

/// Whether the caller's token lets it push, so that its HEAD may be a promise. Costs nothing.
pub(crate) fn may_promise(op: &Op, repo: &Repo<Pull>) -> bool {
    let actor = op.actor();
    !actor.is_anonymous() && actor.ceiling.admits(repo.name(), Action::Push)
}

/// Keeps what a HEAD says true until the manifest comes, if the caller may push (protocol §5.13).
///
/// A puller's HEAD costs nothing here, whatever its token covers. A pusher's costs one read, and
/// writes only if nothing keeps the blob for this repository much longer.
pub(crate) async fn promise(op: &Op, repo: &Repo<Pull>, digest: &Digest) -> Result<()> {
    let pushed = match op.repo::<Push>(repo.name()).await {
        Ok(pushed) => pushed,
        Err(error) if matches!(error.reason, Reason::Unavailable | Reason::Internal) => {
            return Err(error);
        }
        // The scope may say push where the subject may not, or no more: a puller after all.
        Err(_) => return Ok(()),
    };
    let (Some(namespace), Some(id)) = (pushed.namespace(), pushed.existing()) else {
        return Err(unknown());
    };
    if id != repo.id() {
        // The name belongs to another repository by now, which does not serve this blob.
        return Err(unknown());
    }
    let half = millis(op.kernel().settings().blob_lease / 2);
    let kept = args![digest, repo.id(), half, half];
    if op.sql().optional(&store::KEPT, kept).await?.is_some() {
        return Ok(());
    }
    op.transaction(
        (Owner::lease(namespace, id), *digest),
        |tx, op, (owner, digest)| {
            Box::pin(async move {
                blobs::lease(tx, owner, digest, op.kernel().settings().blob_lease).await
            })
        },
    )
    .await
}

/// Whether the repository serves a blob to the caller already; it stays for the manifest that is to
/// come, as after a HEAD. At most two reads, and a write if nothing else keeps it.
pub(crate) async fn promised(op: &Op, repo: &Repo<Push>, digest: &Digest) -> Result<bool> {
    let pulled = match op.repo::<Pull>(repo.name()).await {
        Ok(pulled) => pulled,
        Err(error) if matches!(error.reason, Reason::Unavailable | Reason::Internal) => {
            return Err(error);
        }
        Err(_) => return Ok(false),
    };
    let seen = args![pulled.id(), digest];
    if op.sql().optional(&store::VISIBLE, seen).await?.is_none() {
        return Ok(false);
    }
    promise(op, &pulled, digest).await?;
    Ok(true)
}

/// Whether a repository links a blob, inside `tx`. Errors: those of [`Repo::enter`].
pub(crate) async fn is_linked(
    tx: &mut Tx,
    op: &Op,
    repo: &Repo<Push>,
    digest: &Digest,
) -> Result<bool> {
    let (_, repository) = repo.ensure(tx, op).await?;
    let found = tx.optional(&store::VISIBLE, args![repository, digest]);
    Ok(found.await?.is_some())
}

/// Lets a repository serve a blob, and keeps it there until its manifest comes; makes the
/// repository if the caller may. One write if all goes as usual, and one more if the blob is not
/// `fresh`.
///
/// Errors: `BlobUnknown` if the blob was collected meanwhile; those of [`Repo::enter`].
pub(crate) async fn link(
    tx: &mut Tx,
    op: &Op,
    repo: &Repo<Push>,
    (digest, size): (&Digest, u64),
    fresh: bool,
) -> Result<(NamespaceId, RepositoryId)> {
    let mut judgement = repo.opened(tx, op).await?;
    loop {
        let arguments = judgement.args(args![digest, size]);
        let linked = tx.execute(&store::LINK, arguments).await;
        let linked = linked.map_err(|error| {
            if error.is_foreign_key() {
                unknown()
            } else {
                error.into()
            }
        })?;
        if linked > 0 {
            break;
        }
        // It was linked before, unless what the judgement rests on has changed.
        match repo.reopened(tx, op, &judgement).await? {
            Some(changed) => judgement = changed,
            None => break,
        }
    }
    let ids = judgement.ids();
    if !fresh {
        let owner = Owner::lease(ids.0, ids.1);
        blobs::lease(tx, &owner, digest, op.kernel().settings().blob_lease).await?;
    }
    Ok(ids)
}

/// Takes a blob out of a repository (protocol §15.5). Its bytes stay while anything keeps them.
///
/// Errors: `BlobUnknown` if the repository does not serve it, `BlobReferenced` if a manifest that
/// is to be seen there refers to it; those of [`Repo::enter`].
pub(crate) async fn unlink(op: &Op, repo: &Repo<Delete>, digest: &Digest) -> Result<()> {
    op.transaction((repo.clone(), *digest), |tx, op, (repo, digest)| {
        Box::pin(async move {
            repo.enter(tx, op).await?;
            // The link goes first: a push of a manifest that needs it has it locked.
            if tx.execute(&store::UNLINK, args![repo.id(), digest]).await? == 0 {
                return Err(unknown());
            }
            if crate::manifest::refers_to(tx, repo.id(), digest).await? {
                return Err(Error::new(
                    Reason::BlobReferenced,
                    "a manifest of this repository refers to the blob; delete that first",
                ));
            }
            // The promises of what was just taken away end.
            let namespace = repo.namespace().ok_or_else(unknown)?;
            blobs::release_one(tx, &Owner::lease(namespace, repo.id()), digest).await?;
            let digest = *digest;
            tx.change(BLOB.change_of(repo.id().get(), 0, &digest.to_string()))
                .await?;
            let event = Event::new(&BlobDeleted { digest })?.within(repo);
            op.emit(tx, event).await
        })
    })
    .await
}

/// Takes at most `limit` links from a repository that is going; says how many there were to take.
pub(crate) async fn clear(tx: &mut Tx, repository: RepositoryId, limit: u32) -> Result<u64> {
    Ok(tx.execute(&store::CLEAR, args![repository, limit]).await?)
}

fn unknown() -> Error {
    Error::new(Reason::BlobUnknown, "the repository has no such blob")
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
