//! The database's time in a process that runs, and what a process knows of its own writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use seawall_cache::LoadedValue;
use seawall_meta::args;
use seawall_types::lane::Lane;
use seawall_types::{Error, Reason};
use tokio::sync::Notify;

use super::{Process, eventually, store};
use crate::auth::Actor;
use crate::cache::ReadCache;
use crate::op::{Op, Origin};
use crate::{changes, lanes};

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_of_the_database_that_is_set_after_the_start_is_followed() {
    let process = Process::new().await;
    process.start(&[]).await;
    let before = process.op().now().get();
    let days = 20 * 86_400_000;
    process.kernel.meta().set_clock(days);
    let near = |target: i64| {
        let kernel = Arc::clone(&process.kernel);
        async move { (kernel.now().get() - target).abs() < 60_000 }
    };
    eventually("twenty days on", || near(before + days)).await;
    process.kernel.meta().set_clock(-days);
    eventually("and back", || near(before)).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_no_commit_unheard() {
    let process = Process::new().await;
    let heard = Arc::new(AtomicBool::new(false));
    let hearing = Arc::clone(&heard);
    process
        .kernel
        .changes()
        .subscribe(move |_| hearing.store(true, Ordering::SeqCst));
    let op = process.op();
    let writing = op.transaction((), |tx, _op, ()| {
        let change = changes::change(changes::REPOSITORY, 1, 0);
        Box::pin(async move { Ok(tx.change(change).await?) })
    });
    let mut writing = Box::pin(writing);
    // Once begun, it is left alone; on a busy machine it may even be over by then.
    let _ = futures::poll!(&mut writing);
    drop(writing);
    // Nothing follows the log here: it is heard where it was committed, or never.
    let is_heard = || async { heard.load(Ordering::SeqCst) };
    eventually("the change is heard", is_heard).await;
    process.stop().await;
}

/// A body may come for a day and a job run for hours, but no use of the database does.
#[tokio::test]
async fn an_operation_without_a_deadline_uses_the_database_with_one() {
    let process = Process::new().await;
    let op = streaming(&process);
    let sql = op.sql();
    sql.all(&store::JOBS, args![]).await.unwrap();
    process.clock.advance(lanes::deadline(Lane::Push));
    let late = sql.all(&store::JOBS, args![]).await.map(drop);
    assert!(
        matches!(late, Err(seawall_meta::Error::Unavailable(_))),
        "{late:?}"
    );
    // It is counted from each use on, and the operation has not ended.
    op.sql().all(&store::JOBS, args![]).await.unwrap();
    process.stop().await;
}

/// The time of a body that came for an hour is no time for the database.
#[tokio::test]
async fn an_hour_of_waiting_for_a_body_gives_the_database_no_hour() {
    let process = Process::new().await;
    let op = streaming(&process);
    let hour = Duration::from_hours(1);
    process.clock.advance(hour);
    op.cost().charge_body_wait(hour);
    let sql = op.sql();
    sql.all(&store::JOBS, args![]).await.unwrap();
    process.clock.advance(lanes::deadline(Lane::Push));
    let late = sql.all(&store::JOBS, args![]).await.map(drop);
    assert!(
        matches!(late, Err(seawall_meta::Error::Unavailable(_))),
        "{late:?}"
    );
    process.stop().await;
}

/// A load that has no time left ends its own caller only, whether that is the time of the
/// operation or, for one without an end, that of this use of the database.
#[tokio::test]
async fn a_load_that_runs_out_of_time_fails_no_caller_that_has_time_left() {
    let process = Process::new().await;
    let limit = lanes::deadline(Lane::Push);
    let bounded = operation(&process, Some(limit));
    for first in [bounded, streaming(&process)] {
        let cache = ReadCache::new("test", process.kernel.changes().coherence(), 1 << 20);
        let second = operation(&process, Some(2 * limit));
        let go = Notify::new();
        let slow = || async {
            let sql = first.sql();
            go.notified().await;
            sql.all(&store::JOBS, args![]).await?;
            Ok(LoadedValue::new(1_i64, []))
        };
        let quick = || async {
            second.sql().all(&store::JOBS, args![]).await?;
            Ok(LoadedValue::new(2_i64, []))
        };
        let mut leading = Box::pin(first.recall(&cache, 1_i64, slow));
        assert!(futures::poll!(&mut leading).is_pending());
        let mut waiting = Box::pin(second.recall(&cache, 1_i64, quick));
        assert!(futures::poll!(&mut waiting).is_pending());
        process.clock.advance(limit);
        go.notify_one();
        let late = leading.await;
        let late = late.map_err(|error| error.reason());
        assert!(matches!(late, Err(Reason::Unavailable)), "{late:?}");
        assert_eq!(waiting.await.ok(), Some(2));
    }
    process.stop().await;
}

/// A failure of the database itself is shared: a thousand callers do not ask it one by one.
#[tokio::test]
async fn a_load_that_fails_in_time_fails_all_who_wait_for_it() {
    let process = Process::new().await;
    let cache = ReadCache::new("test", process.kernel.changes().coherence(), 1 << 20);
    let (first, second) = (streaming(&process), streaming(&process));
    let go = Notify::new();
    let failing = || async {
        go.notified().await;
        Err(Error::new(Reason::Unavailable, "the database is ill"))
    };
    let unused = || async { Ok(LoadedValue::new(2_i64, [])) };
    let mut leading = Box::pin(first.recall(&cache, 1_i64, failing));
    assert!(futures::poll!(&mut leading).is_pending());
    let mut waiting = Box::pin(second.recall(&cache, 1_i64, unused));
    assert!(futures::poll!(&mut waiting).is_pending());
    go.notify_one();
    assert!(leading.await.is_err() && waiting.await.is_err());
    process.stop().await;
}

fn operation(process: &Process, limit: Option<Duration>) -> Op {
    let origin = Origin::internal("test");
    let kernel = &process.kernel;
    kernel.op(Lane::Push, Actor::operator(), origin, limit)
}

/// An operation whose body may come for a day.
fn streaming(process: &Process) -> Op {
    operation(process, None)
}
