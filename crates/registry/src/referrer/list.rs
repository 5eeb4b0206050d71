//! The referrers of a subject, in pages that clients are willing to read (protocol §10.5, §10.6).
//!
//! A page is bounded by count and by bytes. Short descriptors come with the page's one read; long
//! ones (annotations may fill a manifest) are fetched by a second read, and only those that the
//! page has room for. So memory is bounded by a few megabytes, whatever was pushed.

use std::collections::BTreeMap;

use seawall_kernel::{Op, Repo};
use seawall_meta::{args, list};
use seawall_types::{Digest, Result};

use crate::acts::Pull;
use crate::manifest::store;

/// The most descriptors of a page.
const MOST: usize = 500;

/// The most bytes of a page's descriptors: clients give up at 4 MiB.
const MOST_BYTES: u64 = 3 * 1024 * 1024 + 512 * 1024;

/// Which referrers are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReferrerFilter {
    /// What they refer to; it need not exist.
    pub(crate) subject: Digest,
    /// Their artifact type, if only one is of interest.
    pub(crate) artifact_type: Option<String>,
    /// Those whose digests sort after this one.
    pub(crate) after: Option<Digest>,
}

/// A page of referrers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct ReferrerPage {
    /// Their descriptors as JSON, in the order of their digests.
    pub(crate) descriptors: Vec<String>,
    /// The last digest of the page, if another page follows.
    pub(crate) next: Option<Digest>,
}

/// One entry as the page's read finds it.
struct Entry {
    digest: Digest,
    size: u64,
    short: Option<String>,
}

/// A page of the repository's referrers. One read, or two when long descriptors are among them.
pub(crate) async fn page(
    op: &Op,
    repo: &Repo<Pull>,
    wanted: &ReferrerFilter,
) -> Result<ReferrerPage> {
    let after = wanted
        .after
        .as_ref()
        .map(Digest::to_bytes)
        .unwrap_or_default();
    let limit = MOST + 1;
    let rows = match &wanted.artifact_type {
        None => {
            let arguments = args![repo.id(), wanted.subject, after, limit];
            op.sql().all(&store::REFERRERS, arguments).await?
        }
        // No manifest has such a type, and not every database takes such a text.
        Some(artifact_type) if artifact_type.contains('\0') => Vec::new(),
        Some(artifact_type) => {
            let arguments = args![repo.id(), wanted.subject, after, limit, artifact_type];
            op.sql().all(&store::REFERRERS_OF_TYPE, arguments).await?
        }
    };
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        entries.push(Entry {
            digest: row.digest(0)?,
            size: row.size(1)?,
            short: row.opt_string(2)?,
        });
    }
    let taken = room(entries.iter().map(|entry| entry.size));
    let more = entries.len() > taken;
    entries.truncate(taken);
    let next = entries.last().filter(|_| more).map(|entry| entry.digest);
    let descriptors = complete(op, repo, entries).await?;
    Ok(ReferrerPage { descriptors, next })
}

/// How many descriptors of these sizes fit on a page. One always does, or paging would not end.
fn room(sizes: impl Iterator<Item = u64>) -> usize {
    let mut bytes = 0u64;
    let fits = |(index, size): &(usize, u64)| {
        // Each has a comma after it.
        bytes = bytes.saturating_add(*size + 1);
        *index == 0 || bytes <= MOST_BYTES
    };
    sizes.take(MOST).enumerate().take_while(fits).count()
}

/// Fetches the descriptors that were too long to come along.
async fn complete(op: &Op, repo: &Repo<Pull>, entries: Vec<Entry>) -> Result<Vec<String>> {
    let long = entries
        .iter()
        .filter(|entry| entry.short.is_none())
        .map(|entry| entry.digest);
    let arguments = args![repo.id(), list(long)];
    let mut fetched = BTreeMap::new();
    for row in op.sql().all(&store::REFERRERS_LONG, arguments).await? {
        // Null when it was forgotten since the page was read.
        if let Some(descriptor) = row.opt_string(1)? {
            fetched.insert(row.digest(0)?, descriptor);
        }
    }
    let descriptor = |entry: Entry| entry.short.or_else(|| fetched.remove(&entry.digest));
    Ok(entries.into_iter().filter_map(descriptor).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_bounded_by_count_and_by_bytes() {
        let room = |sizes: &[u64]| super::room(sizes.iter().copied());
        assert_eq!(room(&[]), 0);
        assert_eq!(room(&[100; 501]), MOST);
        assert_eq!(room(&[5 * 1024 * 1024, 1]), 1);
        assert_eq!(room(&[1, 5 * 1024 * 1024]), 1);
        assert_eq!(room(&[1024 * 1024; 10]), 3);
    }
}
