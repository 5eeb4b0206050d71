//! Limiters by key: so many permits for each key, in memory for those keys only that hold one.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Limit, LimitError, Limiter, Permit};

/// Gives each key a limiter of its own. A clone is the same limiter.
#[derive(Debug)]
pub struct KeyedLimiter<K>(Arc<Keyed<K>>);

#[derive(Debug)]
struct Keyed<K> {
    name: &'static str,
    each: usize,
    limiters: Mutex<HashMap<K, Limiter>>,
}

impl<K> Clone for KeyedLimiter<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + Eq + Hash> KeyedLimiter<K> {
    /// A limiter that gives each key `each` permits, without a line.
    pub fn new(name: &'static str, each: usize) -> Self {
        Self(Arc::new(Keyed {
            name,
            each,
            limiters: Mutex::default(),
        }))
    }

    /// A permit of this key, if one is free.
    pub fn try_acquire(&self, key: K) -> Result<KeyedPermit<K>, LimitError> {
        let mut limiters = self.0.limiters.lock();
        let limiter = limiters
            .entry(key.clone())
            .or_insert_with(|| Limiter::new(self.0.name, Limit::of(self.0.each)));
        match limiter.try_acquire() {
            Ok(permit) => Ok(KeyedPermit {
                permit: Some(permit),
                key,
                limiter: self.clone(),
            }),
            Err(refused) => {
                // A limiter without any permit would otherwise stay for ever.
                if limiter.in_use() == 0 {
                    limiters.remove(&key);
                }
                Err(refused)
            }
        }
    }

    /// How many permits a key holds.
    pub fn in_use(&self, key: &K) -> usize {
        let limiters = self.0.limiters.lock();
        limiters.get(key).map_or(0, Limiter::in_use)
    }

    /// How many keys hold a permit.
    pub fn keys(&self) -> usize {
        self.0.limiters.lock().len()
    }
}

/// A permit of one key; given back when it is dropped.
#[derive(Debug)]
#[must_use = "a permit is given back when it is dropped"]
pub struct KeyedPermit<K: Clone + Eq + Hash> {
    /// There until it is dropped.
    permit: Option<Permit>,
    key: K,
    limiter: KeyedLimiter<K>,
}

impl<K: Clone + Eq + Hash> Drop for KeyedPermit<K> {
    fn drop(&mut self) {
        let mut limiters = self.limiter.0.limiters.lock();
        // Under the lock, so that no caller takes a permit of a limiter that is removed.
        drop(self.permit.take());
        if limiters
            .get(&self.key)
            .is_some_and(|limiter| limiter.in_use() == 0)
        {
            limiters.remove(&self.key);
        }
    }
}
