//! What was found true a moment ago: a bounded map in memory, whose entries expire.
//!
//! Keys are digests, so that no secret lies in it. It only saves work; nothing may depend on an
//! entry being there, and nothing that can change may be taken from it without being checked again.

use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, UnitWeighter};

/// A SHA-256, keyed or not.
pub(crate) type Key = [u8; 32];

#[derive(Clone)]
struct Entry<V> {
    value: V,
    until: Duration,
}

/// At most so many values, each until a time on the clock's `elapsed`.
pub(crate) struct Recent<V>(Option<Cache<Key, Entry<V>>>);

impl<V: Clone> Recent<V> {
    /// An empty map for at most `most` entries. When it is full, those go first that were never asked for, so that a
    /// flood of what is used once does not push out what is used often.
    pub(crate) fn new(most: usize) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(most)
            .weight_capacity(most as u64)
            .build();
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        // It only saves work, so it may as well be missing.
        Self(
            options
                .ok()
                .map(|options| Cache::with_options(options, UnitWeighter, hasher, lifecycle)),
        )
    }

    /// The value of `key`, if it has not expired.
    pub(crate) fn get(&self, key: &Key, now: Duration) -> Option<V> {
        let entry = self.0.as_ref()?.get(key)?;
        (entry.until > now).then_some(entry.value)
    }

    /// Keeps `value` for `life`.
    pub(crate) fn put(&self, key: Key, value: V, now: Duration, life: Duration) {
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
    fn a_flood_neither_grows_it_nor_pushes_out_what_is_used() {
        let recent = Recent::new(64);
        recent.put(key(200), 200, Duration::ZERO, SECOND);
        for number in 0..u8::MAX {
            assert!(recent.get(&key(200), Duration::ZERO).is_some(), "{number}");
            if number != 200 {
                recent.put(key(number), number, Duration::ZERO, SECOND);
            }
            assert!(recent.0.as_ref().unwrap().len() <= 64);
        }
        let last = u8::MAX - 1;
        assert_eq!(recent.get(&key(last), Duration::ZERO), Some(last));
    }
}
