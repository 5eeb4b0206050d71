//! A bounded cache whose entries expire.
//!
//! Keys are digests, so that no secret lies in it. It only saves work; nothing may depend on an
//! entry being there, and nothing that can change may be taken from it without being checked again.

use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use seawall_kernel::MemorySize;

/// A SHA-256, keyed or not.
pub(crate) type CacheKey = [u8; 32];

#[derive(Clone)]
struct Entry<V> {
    value: V,
    until: Duration,
}

/// What an entry takes beside its value, in bytes, about.
const OVERHEAD: usize = 128;

#[derive(Clone)]
struct ByBytes;

impl<V: MemorySize> Weighter<CacheKey, Entry<V>> for ByBytes {
    fn weight(&self, _key: &CacheKey, entry: &Entry<V>) -> u64 {
        (OVERHEAD + size_of::<Entry<V>>() + entry.value.weight()) as u64
    }
}

/// At most so many bytes of values, each until a time on the clock's `elapsed`.
pub(crate) struct ExpiringCache<V>(Option<Cache<CacheKey, Entry<V>, ByBytes>>)
where
    V: MemorySize + Clone;

impl<V: MemorySize + Clone> ExpiringCache<V> {
    /// An empty map for at most `bytes`. When it is full, those go first that were never asked for,
    /// so that a flood of what is used once does not push out what is used often.
    pub(crate) fn new(bytes: u64) -> Self {
        let smallest = (OVERHEAD + size_of::<Entry<V>>()) as u64;
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(bytes / smallest).unwrap_or(usize::MAX))
            .weight_capacity(bytes)
            .build();
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        // It only saves work, so it may as well be missing.
        Self(
            options
                .ok()
                .map(|options| Cache::with_options(options, ByBytes, hasher, lifecycle)),
        )
    }

    /// The value of `key`, if it has not expired.
    pub(crate) fn get(&self, key: &CacheKey, now: Duration) -> Option<V> {
        let entry = self.0.as_ref()?.get(key)?;
        (entry.until > now).then_some(entry.value)
    }

    /// The same, and the value is kept for `life` from now on.
    pub(crate) fn renew(&self, key: &CacheKey, now: Duration, life: Duration) -> Option<V> {
        let entry = self
            .0
            .as_ref()?
            .get(key)
            .filter(|entry| entry.until > now)?;
        // Who comes every moment need not be written down each time.
        if entry.until + life / 60 < now + life {
            self.put(*key, entry.value.clone(), now, life);
        }
        Some(entry.value)
    }

    /// Keeps `value` for `life`.
    pub(crate) fn put(&self, key: CacheKey, value: V, now: Duration, life: Duration) {
        let until = now + life;
        if let Some(entries) = &self.0 {
            entries.insert(key, Entry { value, until });
        }
    }

    /// Drops the values of which `keep` says no.
    pub(crate) fn retain(&self, keep: impl Fn(&V) -> bool) {
        if let Some(entries) = &self.0 {
            entries.retain(|_, entry| keep(&entry.value));
        }
    }

    /// Drops all.
    pub(crate) fn clear(&self) {
        if let Some(entries) = &self.0 {
            entries.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A value that says what it weighs.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Heavy(usize);

    impl MemorySize for Heavy {
        fn weight(&self) -> usize {
            self.0
        }
    }

    fn key(number: u8) -> CacheKey {
        [number; 32]
    }

    #[test]
    fn entries_expire_and_go_when_told() {
        let recent = ExpiringCache::new(4096);
        recent.put(key(1), Heavy(1), SECOND, SECOND);
        recent.put(key(2), Heavy(2), SECOND, SECOND);
        assert_eq!(recent.get(&key(1), SECOND), Some(Heavy(1)));
        assert_eq!(recent.get(&key(1), 2 * SECOND), None);
        recent.retain(|value| *value == Heavy(2));
        assert_eq!(recent.get(&key(1), SECOND), None);
        assert_eq!(recent.get(&key(2), SECOND), Some(Heavy(2)));
        recent.clear();
        assert_eq!(recent.get(&key(2), SECOND), None);
    }

    #[test]
    fn what_is_used_is_kept_and_what_expired_is_not_brought_back() {
        let recent = ExpiringCache::new(4096);
        let life = 60 * SECOND;
        recent.put(key(1), Heavy(1), SECOND, life);
        recent.put(key(2), Heavy(1), SECOND, life);
        for minute in 1..10 {
            assert!(recent.renew(&key(1), minute * 50 * SECOND, life).is_some());
        }
        assert!(recent.renew(&key(2), 61 * SECOND, life).is_none());
        assert!(recent.get(&key(2), 61 * SECOND).is_none());
    }

    #[test]
    fn a_flood_neither_grows_it_nor_pushes_out_what_is_used() {
        let recent = ExpiringCache::new(16_384);
        recent.put(key(200), Heavy(200), Duration::ZERO, SECOND);
        for number in 0..u8::MAX {
            assert!(recent.get(&key(200), Duration::ZERO).is_some(), "{number}");
            if number != 200 {
                recent.put(key(number), Heavy(100), Duration::ZERO, SECOND);
            }
            assert!(recent.0.as_ref().unwrap().weight() <= 16_384);
        }
        let last = u8::MAX - 1;
        assert_eq!(recent.get(&key(last), Duration::ZERO), Some(Heavy(100)));
    }
}
