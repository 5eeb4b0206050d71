//! Which blobs manifests name, for the proof that each of them is kept.
//!
//! What a manifest refers to counts if the repository links it: a foreign layer or an entry of an
//! index that is no blob here is not named. A deleted manifest refers to nothing; its blobs stay
//! until the time machine's window has passed, but nothing here names them.

use std::collections::BTreeSet;

use seawall_kernel::auth::Inspect;
use seawall_kernel::blobs::{BlobKeeper, KeptBlob, KeptBlobPage, PageCursor};
use seawall_kernel::{Installation, Op};
use seawall_meta::{args, list};
use seawall_types::{Digest, Error, RepositoryId, Result};

use crate::blob::linked;
use crate::manifest::{EdgeKind, owner, store};

/// Which blobs the manifests of all repositories name, for an operation that may inspect the
/// installation.
pub fn keeper() -> BlobKeeper {
    BlobKeeper::new(|op, after, limit| async move { page(&op, after, limit).await })
}

/// What `limit` manifests name. A read for the manifests, and three for each of their repositories.
async fn page(op: &Op, after: Option<PageCursor>, limit: u32) -> Result<KeptBlobPage> {
    let installation = op.installation::<Inspect>()?;
    let after = after.as_ref().map(read_end).transpose()?;
    let manifests = manifests(op, after, limit).await?;
    let mut blobs = Vec::new();
    for group in manifests.chunk_by(|a, b| a.0 == b.0) {
        let Some(&(repository, _)) = group.first() else {
            continue;
        };
        let sql = op.sql();
        let found = sql.optional(&store::NAMESPACE, args![repository]).await?;
        // It may have gone since its manifests were read.
        let Some(found) = found else { continue };
        let namespace = found.id(0)?;
        let named = named(
            op,
            &installation,
            repository,
            group.iter().map(|(_, digest)| *digest),
        )
        .await?;
        blobs.extend(named.into_iter().map(|(manifest, digest)| KeptBlob {
            digest,
            owner: owner(namespace, repository, &manifest),
        }));
    }
    let end = manifests.last().map(end);
    Ok(KeptBlobPage { blobs, end })
}

/// The manifests and the linked blobs that they refer to, each pair once.
async fn named(
    op: &Op,
    installation: &Installation<Inspect>,
    repository: RepositoryId,
    manifests: impl Iterator<Item = Digest>,
) -> Result<BTreeSet<(Digest, Digest)>> {
    let edges = args![repository, list(manifests)];
    let mut named = BTreeSet::new();
    for row in op.sql().all(&store::EDGES_OF, edges).await? {
        if row.int(1)? != EdgeKind::Subject.code() {
            named.insert((row.digest(0)?, row.digest(2)?));
        }
    }
    let digests: BTreeSet<_> = named.iter().map(|(_, digest)| *digest).collect();
    let linked = linked(op, installation, repository, digests).await?;
    named.retain(|(_, digest)| linked.contains(digest));
    Ok(named)
}

/// Up to `limit` manifests after `after`, in the order of their repositories and digests.
async fn manifests(
    op: &Op,
    after: Option<(RepositoryId, Digest)>,
    limit: u32,
) -> Result<Vec<(RepositoryId, Digest)>> {
    let mut rows = Vec::new();
    if let Some((repository, digest)) = after {
        let within = args![repository, digest, i64::from(limit)];
        rows.extend(op.sql().all(&store::DIGESTS_WITHIN, within).await?);
    }
    if rows.is_empty() {
        // Ids begin at 1.
        let repository = after.map_or(0, |(repository, _)| repository.get());
        let behind = args![repository, i64::from(limit)];
        rows.extend(op.sql().all(&store::DIGESTS_AFTER, behind).await?);
    }
    rows.iter()
        .map(|row| Ok((row.id(0)?, row.digest(1)?)))
        .collect()
}

fn end((repository, digest): &(RepositoryId, Digest)) -> PageCursor {
    PageCursor::new(format!("{}/{digest}", repository.get()))
}

fn read_end(end: &PageCursor) -> Result<(RepositoryId, Digest)> {
    let read = || {
        let (repository, digest) = end.as_str().split_once('/')?;
        let repository: i64 = repository.parse().ok()?;
        Some((repository.into(), Digest::parse(digest).ok()?))
    };
    read().ok_or_else(|| Error::internal("an end of a page that manifests did not give out"))
}
