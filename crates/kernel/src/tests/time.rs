//! The database's time in a process that runs, and what a process knows of its own writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use seawall_meta::args;
use seawall_types::lane::Lane;

use super::{Process, eventually, store};
use crate::auth::Actor;
use crate::changes;
use crate::op::Origin;

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
    let op = process.kernel.op(
        Lane::Push,
        Actor::operator(),
        Origin::internal("body"),
        None,
    );
    let sql = op.sql();
    sql.all(&store::JOBS, args![]).await.unwrap();
    process.clock.advance(Duration::from_mins(1));
    let late = sql.all(&store::JOBS, args![]).await.map(drop);
    assert!(
        matches!(late, Err(seawall_meta::Error::Unavailable(_))),
        "{late:?}"
    );
    // It is counted from each use on, and the operation has not ended.
    op.sql().all(&store::JOBS, args![]).await.unwrap();
    process.stop().await;
}
