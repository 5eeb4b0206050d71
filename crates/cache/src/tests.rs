//! Stories of readers and changes that race.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::Notify;

use crate::{Cache, Coherence, LoadedValue, Lookup};

const NOW: Duration = Duration::from_secs(1);

fn cache(bytes: u64) -> (Arc<Coherence>, Cache<i64, i64, &'static str>) {
    let coherence = Arc::new(Coherence::default());
    coherence.polled(NOW);
    let cache = Cache::new("test", &coherence, bytes);
    (coherence, cache)
}

fn now() -> Duration {
    NOW
}

#[tokio::test]
async fn what_was_read_is_told_until_it_changes() {
    let (coherence, cache) = cache(1 << 20);
    let mark = coherence.mark(&"a");
    let read = |value| move || async move { Ok(LoadedValue::new(value, [mark])) };
    assert_eq!(cache.get(&1, NOW), Lookup::Miss);
    assert_eq!(cache.load(1, now, read(7)).await, Ok(7));
    assert_eq!(cache.get(&1, NOW), Lookup::Fresh(7));
    let later = NOW + Duration::from_secs(3);
    let age = Some(Duration::from_secs(3));
    assert_eq!(cache.get(&1, later), Lookup::Stale(7, age));
    coherence.invalidate(mark);
    assert_eq!(cache.get(&1, NOW), Lookup::Miss);
    assert_eq!(cache.load(1, now, read(8)).await, Ok(8));
    assert_eq!(cache.get(&1, NOW), Lookup::Fresh(8));
}

#[tokio::test]
async fn what_changes_while_it_is_read_is_not_kept() {
    let (coherence, cache) = cache(1 << 20);
    let mark = coherence.mark(&"a");
    let read = || async {
        coherence.invalidate(mark);
        Ok(LoadedValue::new(7, [mark]))
    };
    assert_eq!(cache.load(1, now, read).await, Ok(7));
    assert_eq!(cache.get(&1, NOW), Lookup::Miss);
    // The same for what comes along with another value.
    let since = coherence.begin();
    coherence.invalidate(mark);
    cache.put(&2, since, LoadedValue::new(7, [mark]));
    assert_eq!(cache.get(&2, NOW), Lookup::Miss);
    cache.put(&2, coherence.begin(), LoadedValue::new(7, [mark]));
    assert_eq!(cache.get(&2, NOW), Lookup::Fresh(7));
}

#[tokio::test]
async fn many_who_ask_at_once_cost_one_read() {
    let (_, cache) = cache(1 << 20);
    let (reads, go) = (AtomicU64::new(0), Notify::new());
    let read = || async {
        reads.fetch_add(1, Ordering::Relaxed);
        go.notified().await;
        Ok(LoadedValue::new(7, []))
    };
    let asking = futures::future::join_all((0..100).map(|_| cache.load(1, now, read)));
    let (told, ()) = tokio::join!(asking, async {
        tokio::task::yield_now().await;
        go.notify_one();
    });
    assert_eq!(told, vec![Ok(7); 100]);
    assert_eq!(reads.into_inner(), 1);
}

#[tokio::test]
async fn whoever_asks_after_a_change_is_not_told_what_was_read_before_it() {
    let (coherence, cache) = cache(1 << 20);
    let mark = coherence.mark(&"a");
    let (truth, go) = (AtomicU64::new(1), Notify::new());
    let read = || async {
        let value = truth.load(Ordering::SeqCst);
        go.notified().await;
        Ok(LoadedValue::new(i64::try_from(value).unwrap(), [mark]))
    };
    let early = cache.load(1, now, read);
    let late = async {
        // The early reader has read by now, and waits.
        truth.store(2, Ordering::SeqCst);
        coherence.invalidate(mark);
        let asked = cache.load(1, now, read);
        let released = async {
            go.notify_one();
            tokio::task::yield_now().await;
            go.notify_one();
        };
        tokio::join!(asked, released).0
    };
    let (early, late) = tokio::join!(early, late);
    assert_eq!((early, late), (Ok(1), Ok(2)));
    assert_eq!(cache.get(&1, NOW), Lookup::Fresh(2));
}

#[tokio::test]
async fn while_nothing_is_fresh_five_hundred_callers_of_a_key_share_two_loads() {
    let (_, cache) = cache(1 << 20);
    let late = || NOW + Duration::from_secs(3);
    let loads = AtomicU64::new(0);
    let read = || async {
        loads.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        Ok(LoadedValue::new(7, []))
    };
    let told = futures::future::join_all((0..500).map(|_| cache.load(1, late, read))).await;
    assert_eq!(told, vec![Ok(7); 500]);
    assert_eq!(loads.into_inner(), 2);
}

#[tokio::test]
async fn while_nothing_is_fresh_no_caller_is_told_what_was_read_before_it_came() {
    let (coherence, cache) = cache(1 << 20);
    let late = || NOW + Duration::from_secs(3);
    let mark = coherence.mark(&"a");
    let (truth, go) = (AtomicU64::new(1), Notify::new());
    let read = || async {
        let value = truth.load(Ordering::SeqCst);
        go.notified().await;
        Ok(LoadedValue::new(i64::try_from(value).unwrap(), [mark]))
    };
    // Another process changes the value, which nothing here has heard of; then this process does.
    let after = |heard: bool| {
        truth.fetch_add(1, Ordering::SeqCst);
        if heard {
            coherence.invalidate(mark);
        }
        cache.load(1, late, read)
    };
    let first = cache.load(1, late, read);
    let others = async {
        let (second, third) = (after(false), after(true));
        let landing = async {
            for _ in 0..3 {
                go.notify_one();
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            }
        };
        let (second, third, ()) = tokio::join!(second, third, landing);
        (second, third)
    };
    let (first, (second, third)) = tokio::join!(first, others);
    assert_eq!(first, Ok(1));
    // The second came before the last change, and may be told of it all the same.
    assert!(second == Ok(2) || second == Ok(3), "{second:?}");
    assert_eq!(third, Ok(3));
}

#[tokio::test]
async fn a_load_that_is_given_up_is_begun_again_by_one_of_those_who_wait() {
    let (_, cache) = cache(1 << 20);
    let late = || NOW + Duration::from_secs(3);
    let loads = AtomicU64::new(0);
    let read = || async {
        if loads.fetch_add(1, Ordering::Relaxed) == 0 {
            futures::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
        Ok(LoadedValue::new(7, []))
    };
    let mut given_up = Box::pin(cache.load(1, late, read));
    assert!(futures::poll!(&mut given_up).is_pending());
    let waiting = futures::future::join_all((0..100).map(|_| cache.load(1, late, read)));
    let (told, ()) = tokio::join!(waiting, async move {
        tokio::task::yield_now().await;
        drop(given_up);
    });
    assert_eq!(told, vec![Ok(7); 100]);
    assert_eq!(loads.into_inner(), 2);
}

#[tokio::test]
async fn a_failure_is_shared_and_not_kept() {
    let (_, cache) = cache(1 << 20);
    let tries = AtomicU64::new(0);
    let fail = || async {
        tries.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        Err("ill")
    };
    let told = futures::future::join_all((0..100).map(|_| cache.load(1, now, fail))).await;
    assert_eq!(told, vec![Err("ill"); 100]);
    assert_eq!(tries.into_inner(), 1);
    let read = || async { Ok(LoadedValue::new(7, [])) };
    assert_eq!(cache.load(1, now, read).await, Ok(7));
}

#[tokio::test]
async fn a_cache_never_outgrows_its_bytes_and_one_of_none_forgets_at_once() {
    let (coherence, cache) = cache(64 << 10);
    for key in 0..10_000 {
        cache.put(&key, coherence.begin(), LoadedValue::new(key, []));
        assert!(cache.bytes() <= 64 << 10);
    }
    assert!(cache.bytes() > 32 << 10, "it keeps what it can");
    let (_, none) = self::cache(0);
    let read = || async { Ok(LoadedValue::new(7, [])) };
    assert_eq!(none.load(1, now, read).await, Ok(7));
    assert_eq!(none.get(&1, NOW), Lookup::Miss);
}

#[tokio::test]
async fn what_passes_is_not_kept() {
    let (_, cache) = cache(1 << 20);
    let read = || async { Ok(LoadedValue::passing(7)) };
    assert_eq!(cache.load(1, now, read).await, Ok(7));
    assert_eq!(cache.get(&1, NOW), Lookup::Miss);
}

/// A moment in the life of a value: it changes, somebody begins to read it, or ends.
#[derive(Debug, Clone)]
enum Moment {
    Change(i64),
    Begin(i64),
    End(usize),
}

fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![
        (0..3i64).prop_map(Moment::Change),
        (0..3i64).prop_map(Moment::Begin),
        (0..8usize).prop_map(Moment::End),
    ]
}

proptest! {
    /// Reads that begin and end around changes in any order never leave an old value behind.
    #[test]
    fn no_order_of_reads_and_changes_leaves_an_old_value(
        moments in prop::collection::vec(moment(), 1..60),
    ) {
        let (coherence, cache) = cache(1 << 20);
        let mut truth = [0i64; 3];
        let mut under_way = Vec::new();
        for moment in moments {
            match moment {
                Moment::Change(key) => {
                    truth[usize::try_from(key).unwrap()] += 1;
                    coherence.invalidate(coherence.mark(&key));
                }
                Moment::Begin(key) => {
                    let value = truth[usize::try_from(key).unwrap()];
                    under_way.push((key, coherence.begin(), value));
                }
                Moment::End(at) if !under_way.is_empty() => {
                    let (key, since, value) = under_way.swap_remove(at % under_way.len());
                    cache.put(&key, since, LoadedValue::new(value, [coherence.mark(&key)]));
                }
                Moment::End(_) => {}
            }
            for key in 0..3i64 {
                if let Lookup::Fresh(value) = cache.get(&key, NOW) {
                    prop_assert_eq!(value, truth[usize::try_from(key).unwrap()]);
                }
            }
        }
    }
}

/// A caller whose time is over must not end those that have time left.
#[tokio::test]
async fn a_failure_that_is_the_loaders_own_is_not_shared() {
    let (_, cache) = cache(1 << 20);
    let go = Notify::new();
    let too_late = || async {
        go.notified().await;
        Err("no time")
    };
    let is_own = |error: &&str| *error == "no time";
    let mut first = Box::pin(cache.load_unless(1, now, is_own, too_late));
    let read = || async { Ok(LoadedValue::new(7, [])) };
    let mut second = Box::pin(cache.load_unless(1, now, is_own, read));
    assert!(futures::poll!(&mut first).is_pending());
    assert!(futures::poll!(&mut second).is_pending(), "it waits");
    go.notify_one();
    assert_eq!(first.await, Err("no time"));
    assert_eq!(second.await, Ok(7));
}
