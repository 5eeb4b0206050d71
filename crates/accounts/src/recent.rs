//! What was found true a moment ago: a bounded map in memory, whose entries expire.
//!
//! Keys are digests, so that no secret lies in it. It only saves work; nothing may depend on an
//! entry being there, and nothing that can change may be taken from it without being checked again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A SHA-256, keyed or not.
pub(crate) type Key = [u8; 32];

struct Entry<V> {
    value: V,
    until: Duration,
}

/// At most so many values, each until a time on the clock's `elapsed`.
pub(crate) struct Recent<V> {
    entries: Mutex<HashMap<Key, Entry<V>>>,
    most: usize,
}

impl<V: Clone> Recent<V> {
    /// An empty map for at most `most` entries.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            entries: Mutex::default(),
            most,
        }
    }

    /// The value of `key`, if it has not expired.
    pub(crate) fn get(&self, key: &Key, now: Duration) -> Option<V> {
        let entries = self.lock();
        entries
            .get(key)
            .filter(|entry| entry.until > now)
            .map(|entry| entry.value.clone())
    }

    /// Keeps `value` for `life`. A full map loses what has expired; if that is little, everything,
    /// so that a flood costs one sweep for many entries and not one each.
    pub(crate) fn put(&self, key: Key, value: V, now: Duration, life: Duration) {
        let mut entries = self.lock();
        if entries.len() >= self.most {
            entries.retain(|_, entry| entry.until > now);
            if entries.len() > self.most / 4 * 3 {
                entries.clear();
            }
        }
        entries.insert(
            key,
            Entry {
                value,
                until: now + life,
            },
        );
    }

    /// Drops the values of which `keep` says no.
    pub(crate) fn retain(&self, keep: impl Fn(&V) -> bool) {
        self.lock().retain(|_, entry| keep(&entry.value));
    }

    /// Drops all.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry<V>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(number: u8) -> Key {
        [number; 32]
    }

    #[test]
    fn entries_expire_and_go_when_told() {
        let recent = Recent::new(8);
        recent.put(key(1), 'a', SECOND, SECOND);
        recent.put(key(2), 'b', SECOND, SECOND);
        assert_eq!(recent.get(&key(1), SECOND), Some('a'));
        assert_eq!(recent.get(&key(1), 2 * SECOND), None);
        recent.retain(|value| *value == 'b');
        assert_eq!(recent.get(&key(1), SECOND), None);
        assert_eq!(recent.get(&key(2), SECOND), Some('b'));
        recent.clear();
        assert_eq!(recent.get(&key(2), SECOND), None);
    }

    #[test]
    fn it_never_grows_beyond_its_bound() {
        let recent = Recent::new(8);
        for number in 0..100 {
            recent.put(key(number), number, Duration::ZERO, SECOND);
            assert!(recent.lock().len() <= 8);
        }
        assert_eq!(recent.get(&key(99), Duration::ZERO), Some(99));
    }
}
