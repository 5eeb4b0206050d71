//! What a repository may serve, for `seawall verify`.

use std::collections::HashSet;

use seawall_kernel::auth::Inspect;
use seawall_kernel::{Installation, Op};
use seawall_meta::{Row, args, list};
use seawall_types::{Digest, RepositoryId, Result};

use super::store;

/// Up to `limit` digests that a repository links, in order after `after`, each with the size of its
/// blob if there is one.
pub async fn walk_links(
    op: &Op,
    _installation: &Installation<Inspect>,
    repository: RepositoryId,
    after: Option<&Digest>,
    limit: u32,
) -> Result<Vec<(Digest, Option<u64>)>> {
    let after = after.map(Digest::to_bytes).unwrap_or_default();
    let sql = op.sql();
    let rows = sql.all(&store::WALK, args![repository, after, limit]);
    rows.await?.iter().map(read).collect()
}

/// Those of these digests that a repository links.
pub async fn linked(
    op: &Op,
    _installation: &Installation<Inspect>,
    repository: RepositoryId,
    digests: impl IntoIterator<Item = Digest>,
) -> Result<HashSet<Digest>> {
    let sql = op.sql();
    let rows = sql.all(&store::LINKED, args![repository, list(digests)]);
    let digests = rows.await?;
    digests.iter().map(|row| Ok(row.digest(0)?)).collect()
}

fn read(row: &Row) -> Result<(Digest, Option<u64>)> {
    let size = row.opt_int(1)?.map(|_| row.size(1)).transpose()?;
    Ok((row.digest(0)?, size))
}
