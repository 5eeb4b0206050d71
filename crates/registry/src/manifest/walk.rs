//! All manifests, page by page, for `seawall verify`.

use std::collections::BTreeMap;

use seawall_kernel::auth::Inspect;
use seawall_kernel::{Installation, Op};
use seawall_meta::{Session, args, list};
use seawall_types::ids::RepositoryId;
use seawall_types::media_type::MediaType;
use seawall_types::{Digest, Error, Result};

use super::{EdgeKind, ManifestState, store, stored_type};

/// A manifest as the database holds it.
#[derive(Debug, Clone)]
pub struct ManifestRow {
    /// Its repository, which may be on its way out.
    pub repository: RepositoryId,
    /// The digest under which it is stored.
    pub digest: Digest,
    /// The media type with which it was pushed.
    pub media_type: MediaType,
    /// Whether it can be pulled; a deleted one waits for the end of the time machine's window. Its
    /// blobs are kept all the same, but it refers to nothing until it is pushed again.
    pub live: bool,
    /// Its bytes, which should hash to the digest.
    pub body: Vec<u8>,
    /// What it refers to, as its edges say. A subject or a foreign layer need not be here.
    pub references: Vec<(EdgeKind, Digest)>,
}

/// Up to `limit` manifests after `after`, in the order of (repository, digest), with deleted ones.
/// An empty page is the end. A manifest has up to 4 MiB, so `limit` decides how much memory it
/// takes.
pub async fn walk_manifests(
    op: &Op,
    _installation: &Installation<Inspect>,
    after: Option<(RepositoryId, Digest)>,
    limit: u32,
) -> Result<Vec<ManifestRow>> {
    let sql = op.sql();
    let mut page = Vec::new();
    if let Some((repository, digest)) = after {
        let arguments = args![repository, digest, i64::from(limit)];
        page.extend(sql.all(&store::WALK_WITHIN, arguments).await?);
    }
    if page.is_empty() {
        // Ids begin at 1.
        let repository = after.map_or(0, |(repository, _)| repository.get());
        let arguments = args![repository, Vec::<u8>::new(), i64::from(limit)];
        page.extend(sql.all(&store::WALK_AFTER, arguments).await?);
    }
    let mut walked = Vec::with_capacity(page.len());
    for mut row in page {
        walked.push(ManifestRow {
            repository: row.id(0)?,
            digest: row.digest(1)?,
            media_type: stored_type(row.text(2)?)?,
            live: row.int(3)? == ManifestState::Live.code(),
            body: row.take_bytes(4)?,
            references: Vec::new(),
        });
    }
    refer(&sql, &mut walked).await?;
    Ok(walked)
}

/// Adds what each manifest refers to: one read for each repository of the page.
async fn refer(sql: &Session, walked: &mut [ManifestRow]) -> Result<()> {
    for group in walked.chunk_by_mut(|a, b| a.repository == b.repository) {
        let Some(repository) = group.first().map(|walked| walked.repository) else {
            continue;
        };
        let digests = list(group.iter().map(|walked| walked.digest));
        let mut references: BTreeMap<Digest, Vec<(EdgeKind, Digest)>> = BTreeMap::new();
        for row in sql
            .all(&store::EDGES_OF, args![repository, digests])
            .await?
        {
            let kind = EdgeKind::from_code(row.int(1)?);
            let unknown = || Error::internal("a kind of edge of an unknown number");
            let reference = (kind.ok_or_else(unknown)?, row.digest(2)?);
            references
                .entry(row.digest(0)?)
                .or_default()
                .push(reference);
        }
        for walked in group {
            walked.references = references.remove(&walked.digest).unwrap_or_default();
        }
    }
    Ok(())
}
