//! What a repository may serve, link by link, for `seawall verify`.

use std::collections::HashSet;

use seawall_meta::{Session, args};
use seawall_types::{Digest, RepositoryId, Result};

use super::store;

/// How many links are read at once.
const PAGE: i64 = 1000;

/// The digests that a repository links, whether there is a blob behind each or not.
pub async fn links(sql: &Session, repository: RepositoryId) -> Result<HashSet<Digest>> {
    let mut links = HashSet::new();
    let mut after = Vec::new();
    loop {
        let rows = sql
            .all(&store::WALK, args![repository, after.as_slice(), PAGE])
            .await?;
        for row in &rows {
            let digest = row.digest(0)?;
            after = digest.to_bytes();
            links.insert(digest);
        }
        if rows.is_empty() {
            return Ok(links);
        }
    }
}
