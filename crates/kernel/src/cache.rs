//! The cache of what was read from the database, as every feature uses it, and how the memory for
//! caches is shared out.
//!
//! A crate declares its caches with weights. The memory that the operator gives is divided by the
//! sum of all weights that were declared, so no crate needs to know which others there are.

use std::hash::Hash;
use std::sync::Arc;

use seawall_cache::{Coherence, MemorySize};
use seawall_types::{Error, Result};

use crate::declare::member::Member;

/// What was read before of the database, by key.
pub type ReadCache<K, V> = seawall_cache::Cache<K, V, seawall_types::Error>;

/// A cache that a crate declares, and how much of the memory for caches it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheShare {
    name: &'static str,
    weight: u32,
}

impl CacheShare {
    /// The cache called `name`, in metrics, too. Its part of the memory is `weight` in proportion
    /// to the weights of all caches of the process.
    pub const fn new(name: &'static str, weight: u32) -> Self {
        Self { name, weight }
    }

    /// A cache of `bytes`; an error without a part of the memory, which only a declared cache has.
    pub(crate) fn cache<K, V>(
        self,
        coherence: &Arc<Coherence>,
        bytes: Option<u64>,
    ) -> Result<ReadCache<K, V>>
    where
        K: Eq + Hash + Clone + MemorySize,
        V: Clone + MemorySize,
    {
        let undeclared = || Error::internal(format!("no crate declares the cache {}", self.name));
        let bytes = bytes.ok_or_else(undeclared)?;
        Ok(ReadCache::new(self.name, coherence, bytes))
    }
}

impl Member for CacheShare {
    const SET: &'static str = "cache";

    fn number(&self) -> Option<i64> {
        None
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

/// The caches of a process.
#[derive(Debug)]
pub(crate) struct CacheShares {
    shares: Vec<CacheShare>,
    total: u64,
}

impl CacheShares {
    /// The shares of these caches, of which no two have one name.
    pub(crate) fn new(shares: Vec<CacheShare>) -> Self {
        let total = shares.iter().map(|share| u64::from(share.weight)).sum();
        Self { shares, total }
    }

    /// What `share` takes of `bytes`; `None` for a cache that was not declared.
    pub(crate) fn part(&self, share: CacheShare, bytes: u64) -> Option<u64> {
        if !self.shares.contains(&share) {
            return None;
        }
        let part = u128::from(bytes) * u128::from(share.weight) / u128::from(self.total.max(1));
        u64::try_from(part).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: CacheShare = CacheShare::new("tags", 10);
    const MANIFESTS: CacheShare = CacheShare::new("manifests", 40);

    #[test]
    fn the_memory_is_divided_by_the_weights_of_all_that_were_declared() {
        let alone = CacheShares::new(vec![MANIFESTS]);
        assert_eq!(alone.part(MANIFESTS, 1000), Some(1000));
        let both = CacheShares::new(vec![TAGS, MANIFESTS]);
        assert_eq!(both.part(TAGS, 1000), Some(200));
        assert_eq!(both.part(MANIFESTS, u64::MAX), Some(u64::MAX / 5 * 4));
        assert_eq!(both.part(MANIFESTS, 0), Some(0));
    }

    #[test]
    fn a_cache_that_was_not_declared_has_no_part() {
        let shares = CacheShares::new(vec![TAGS]);
        assert_eq!(shares.part(MANIFESTS, 1000), None);
        assert_eq!(shares.part(CacheShare::new("tags", 99), 1000), None);
        assert_eq!(CacheShares::new(vec![]).part(TAGS, 1000), None);
    }
}
