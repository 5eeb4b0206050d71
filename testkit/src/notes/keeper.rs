//! Which blobs notes name, page by page.

use seawall_kernel::Op;
use seawall_kernel::blobs::{BlobKeeper, KeptBlob, KeptBlobPage, PageCursor};
use seawall_meta::args;
use seawall_types::ids::{NamespaceId, RepositoryId};
use seawall_types::{Digest, Error, Result};

use super::{owner, store};

/// The blobs of all notes, in the order of their repositories and digests.
pub(super) fn keeper() -> BlobKeeper {
    BlobKeeper::new(|op, after, limit| async move { page(&op, after, i64::from(limit)).await })
}

async fn page(op: &Op, after: Option<PageCursor>, limit: i64) -> Result<KeptBlobPage> {
    let after = after.as_ref().map(read_end).transpose()?;
    let mut blobs = Vec::new();
    if let Some((repository, digest)) = after {
        let within = args![repository, digest, limit];
        for row in op.sql().all(&store::NOTE_PAGE, within).await? {
            blobs.push(kept(repository, row.id(2)?, row.digest(0)?));
        }
    }
    if blobs.is_empty() {
        // Ids begin at 1.
        let repository = after.map_or(0, |(repository, _)| repository.get());
        let behind = args![repository, limit];
        for row in op.sql().all(&store::NOTE_BEHIND, behind).await? {
            blobs.push(kept(row.id(1)?, row.id(2)?, row.digest(0)?));
        }
    }
    let end = blobs.last().map(|kept| {
        let repository = kept.owner.repository.get();
        PageCursor::new(format!("{repository}/{}", kept.digest))
    });
    Ok(KeptBlobPage { blobs, end })
}

fn kept(repository: RepositoryId, namespace: NamespaceId, digest: Digest) -> KeptBlob {
    KeptBlob {
        digest,
        owner: owner(namespace, repository, &digest),
    }
}

fn read_end(end: &PageCursor) -> Result<(RepositoryId, Digest)> {
    let read = || {
        let (repository, digest) = end.as_str().split_once('/')?;
        let repository: i64 = repository.parse().ok()?;
        Some((repository.into(), Digest::parse(digest).ok()?))
    };
    read().ok_or_else(|| Error::internal("an end of a page that notes did not give out"))
}
