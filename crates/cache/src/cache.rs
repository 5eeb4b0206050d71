//! One cache: values by key, bounded by bytes, loaded by one caller for all.
//!
//! Recently used entries stay, and a flood of keys that are asked for once pushes out only others
//! of its kind. A value is given out only while everything that it depends on is as it was when its
//! load began.
//!
//! A load under way is shared. For a caller that came before the load began, its value is as good
//! as one of the caller's own, whatever has changed since and however old the last poll of the log
//! is: no change that was committed before the caller came can be missing. A caller that came later
//! takes the value only if it is fresh and still holds; else it shares the next load, which begins
//! after it came. So however many callers ask for one key, they wait for two loads at most, and a
//! value that was invalidated while it was loaded reaches only callers that came before that.

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, counter};
use quick_cache::sync::Cache as Store;
use quick_cache::{Equivalent, OptionsBuilder, Weighter};

use crate::coherence::{Coherence, Mark, Position};
use crate::flight::{FlightRole, FlightWaiter, SingleFlight};

/// What an entry takes beside its key and its value, in bytes, about.
const OVERHEAD: usize = 128;

/// An expected entry, for the size of the tables that are made in advance.
const TYPICAL: usize = 4096;

/// A shard holds at least so much, so that the largest manifests fit into one.
const SHARD: u64 = 8 << 20;

/// How many bytes of memory something takes beside its own size, about.
pub trait MemorySize {
    /// The bytes on the heap.
    fn weight(&self) -> usize;
}

impl<T: MemorySize> MemorySize for Arc<T> {
    fn weight(&self) -> usize {
        size_of::<T>() + T::weight(self)
    }
}

impl MemorySize for bytes::Bytes {
    fn weight(&self) -> usize {
        self.len()
    }
}

impl MemorySize for i64 {
    fn weight(&self) -> usize {
        0
    }
}

impl MemorySize for Box<str> {
    fn weight(&self) -> usize {
        self.len()
    }
}

impl<T: MemorySize> MemorySize for Option<T> {
    fn weight(&self) -> usize {
        self.as_ref().map_or(0, T::weight)
    }
}

/// A value just read, and what it depends on.
#[derive(Debug, Clone)]
pub struct LoadedValue<V> {
    value: V,
    on: Vec<Mark>,
    keep: bool,
}

impl<V> LoadedValue<V> {
    /// A value that holds until one of these marks is invalidated.
    pub fn new(value: V, on: impl Into<Vec<Mark>>) -> Self {
        Self {
            value,
            on: on.into(),
            keep: true,
        }
    }

    /// A value that is not to be kept.
    pub fn passing(value: V) -> Self {
        Self {
            value,
            on: Vec::new(),
            keep: false,
        }
    }
}

/// What a cache knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<V> {
    /// The value, as the change log says.
    Fresh(V),
    /// The value as it was when the log was polled at last, so long ago (`None`: never).
    Stale(V, Option<Duration>),
    /// Nothing.
    Miss,
}

#[derive(Clone)]
struct CacheEntry<V> {
    value: V,
    since: Position,
    on: Arc<[Mark]>,
}

#[derive(Clone)]
struct ByBytes;

impl<K: MemorySize, V: MemorySize> Weighter<K, CacheEntry<V>> for ByBytes {
    fn weight(&self, key: &K, entry: &CacheEntry<V>) -> u64 {
        let sizes = size_of::<K>() + size_of::<CacheEntry<V>>() + OVERHEAD;
        (sizes + key.weight() + entry.value.weight()) as u64
    }
}

type KeyHasher = quick_cache::DefaultHashBuilder;

/// Values by key. Cheap to ask, never authoritative.
pub struct Cache<K, V, E> {
    coherence: Arc<Coherence>,
    /// None if everything is to be forgotten at once.
    store: Option<Store<K, CacheEntry<V>, ByBytes, KeyHasher>>,
    flights: SingleFlight<K, Result<CacheEntry<V>, E>>,
    hits: Counter,
    misses: Counter,
}

impl<K, V, E> std::fmt::Debug for Cache<K, V, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl<K, V, E> Cache<K, V, E>
where
    K: Eq + Hash + Clone + MemorySize,
    V: Clone + MemorySize,
    E: Clone,
{
    /// A cache of at most so many bytes; `name` is what metrics call it. Of 0 bytes, it forgets
    /// everything at once.
    pub fn new(name: &'static str, coherence: &Arc<Coherence>, bytes: u64) -> Self {
        let count = |outcome| counter!("seawall_cache_lookups_total", "cache" => name, "outcome" => outcome);
        Self {
            coherence: Arc::clone(coherence),
            store: store(bytes),
            flights: SingleFlight::default(),
            hits: count("hit"),
            misses: count("miss"),
        }
    }

    /// What is known of `key` at `now` on the clock's `elapsed`.
    pub fn get<Q>(&self, key: &Q, now: Duration) -> Lookup<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let entry = self.store.as_ref().and_then(|store| store.get(key));
        match entry.filter(|entry| self.coherence.holds(entry.since, &entry.on)) {
            Some(entry) if self.coherence.is_fresh(now) => {
                self.hits.increment(1);
                Lookup::Fresh(entry.value)
            }
            Some(entry) => Lookup::Stale(entry.value, self.coherence.age(now)),
            None => Lookup::Miss,
        }
    }

    /// The value of `key` from `load`, which runs once for all who ask meanwhile, and is kept.
    ///
    /// `now` tells the clock's `elapsed`: what was under way when the caller came counts only if it
    /// is fresh when it arrives. A failure is not kept, but shared by all who waited for it.
    pub async fn load<F, R>(&self, key: K, now: impl Fn() -> Duration, load: F) -> Result<V, E>
    where
        F: Fn() -> R,
        R: Future<Output = Result<LoadedValue<V>, E>>,
    {
        self.load_unless(key, now, |_| false, load).await
    }

    /// The same, but for a failure of which `is_own` says that it is its caller's alone, such as
    /// that of one whose time is over: it is not shared, and the next caller loads.
    pub async fn load_unless<F, R>(
        &self,
        key: K,
        now: impl Fn() -> Duration,
        is_own: impl Fn(&E) -> bool,
        load: F,
    ) -> Result<V, E>
    where
        F: Fn() -> R,
        R: Future<Output = Result<LoadedValue<V>, E>>,
    {
        self.misses.increment(1);
        // The load that is under way on arrival may have read too early; any other begins later.
        let mut before: Option<Arc<FlightWaiter<_>>> = None;
        loop {
            match self.flights.join_after(&key, before.as_deref()) {
                FlightRole::Leader(leader) => {
                    let outcome = self.fly(&key, &load).await;
                    if outcome.as_ref().is_err_and(&is_own) {
                        drop(leader);
                    } else {
                        leader.complete(outcome.clone());
                    }
                    return outcome.map(|entry| entry.value);
                }
                FlightRole::Waiter(flight) => {
                    match flight.outcome().await {
                        Some(Ok(entry)) if before.is_some() || self.is_good(&entry, now()) => {
                            return Ok(entry.value);
                        }
                        Some(Err(error)) => return Err(error),
                        _ => {}
                    }
                    before = Some(flight);
                }
            }
        }
    }

    fn is_good(&self, entry: &CacheEntry<V>, now: Duration) -> bool {
        self.coherence.is_fresh(now) && self.coherence.holds(entry.since, &entry.on)
    }

    /// Keeps what came along with another value's load, which began at `since`.
    pub fn put(&self, key: &K, since: Position, loaded: LoadedValue<V>) {
        self.keep(key, since, loaded);
    }

    /// What is known of `key`, if that is something that never changes.
    pub fn get_constant<Q>(&self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let entry = self.store.as_ref()?.get(key)?;
        self.hits.increment(1);
        Some(entry.value)
    }

    async fn fly<F, R>(&self, key: &K, load: &F) -> Result<CacheEntry<V>, E>
    where
        F: Fn() -> R,
        R: Future<Output = Result<LoadedValue<V>, E>>,
    {
        let since = self.coherence.begin();
        Ok(self.keep(key, since, load().await?))
    }

    fn keep(&self, key: &K, since: Position, loaded: LoadedValue<V>) -> CacheEntry<V> {
        let entry = CacheEntry {
            value: loaded.value,
            since,
            on: loaded.on.into(),
        };
        // What was invalidated meanwhile would only take room.
        if let Some(store) = &self.store
            && loaded.keep
            && self.coherence.holds(since, &entry.on)
        {
            store.insert(key.clone(), entry.clone());
        }
        entry
    }

    /// How many bytes the entries take, about.
    pub fn bytes(&self) -> u64 {
        self.store.as_ref().map_or(0, Store::weight)
    }
}

fn store<K, V>(bytes: u64) -> Option<Store<K, CacheEntry<V>, ByBytes, KeyHasher>>
where
    K: Eq + Hash + MemorySize,
    V: Clone + MemorySize,
{
    if bytes == 0 {
        return None;
    }
    let items = usize::try_from(bytes).unwrap_or(usize::MAX) / TYPICAL;
    let shards = usize::try_from(bytes / SHARD).unwrap_or(usize::MAX);
    let options = OptionsBuilder::new()
        .shards(shards.clamp(1, 64))
        .weight_capacity(bytes)
        .estimated_items_capacity(items)
        .build()
        .ok()?;
    Some(Store::with_options(
        options,
        ByBytes,
        KeyHasher::default(),
        quick_cache::sync::DefaultLifecycle::default(),
    ))
}
