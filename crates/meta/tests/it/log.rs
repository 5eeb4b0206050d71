//! A follower sees every row once, in whatever order they are committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sea_query::{Expr, ExprTrait as _, Query};
use seawall_meta::fixture::Backend;
use seawall_meta::log::{Follower, Poll};
use seawall_meta::{CHANGES, Change, Error, arg, args, statements};
use tokio::sync::Notify;

use crate::{Fixture, on_every_database};

const LONG: Duration = Duration::from_secs(3);

statements! {
    /// Arguments: id, kind.
    APPEND_AT: |d| d.append(
        Query::insert().into_table("change").columns(["id", "nonce", "kind", "at"])
            .values_panic([arg(0), arg(0), arg(1), d.now()]),
        "id",
    );
    NONCE: |_d| Query::update().table("change").value("nonce", Expr::col("nonce").add(1))
        .and_where(Expr::col("id").eq(arg(0)));
    DELETE: |_d| Query::delete().from_table("change").and_where(Expr::col("id").gte(arg(0)));
    VOIDS: |_d| Query::select().column("id").from("change").and_where(Expr::col("kind").eq(0));
}

fn change(kind: i64) -> Change {
    Change {
        kind,
        a: kind * 10,
        ..Change::default()
    }
}

/// Announces and commits; the id.
async fn announce(fixture: &Fixture, kind: i64) -> i64 {
    let session = fixture.session();
    let committed = session.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move { tx.change(change(kind)).await })
    });
    committed.await.unwrap().change.unwrap().get()
}

/// A transaction that has announced and waits for its end.
struct Slow {
    end: Arc<Notify>,
    running: tokio::task::JoinHandle<Result<(), Error>>,
}

impl Slow {
    async fn begin(fixture: &Fixture, kind: i64, commits: bool) -> Self {
        let (session, end, begun) = (
            fixture.session(),
            Arc::new(Notify::new()),
            Arc::new(Notify::new()),
        );
        let (ended, announced) = (end.clone(), begun.clone());
        #[expect(clippy::disallowed_methods, reason = "a caller of its own")]
        let running = tokio::spawn(async move {
            let done = session.transaction::<(), Error, _>(move |tx| {
                let (ended, announced) = (ended.clone(), announced.clone());
                Box::pin(async move {
                    tx.change(change(kind)).await?;
                    announced.notify_one();
                    ended.notified().await;
                    if commits {
                        Ok(())
                    } else {
                        Err(Error::Other("rolled back".into()))
                    }
                })
            });
            done.await.map(|_| ())
        });
        begun.notified().await;
        Self { end, running }
    }

    async fn end(self) -> Result<(), Error> {
        self.end.notify_one();
        self.running.await.unwrap()
    }
}

fn kinds(poll: &Poll) -> Vec<i64> {
    poll.rows.iter().map(|row| row.kind).collect()
}

/// Polls until every id is accounted for; the kinds seen.
async fn settle(follower: &mut Follower) -> Vec<i64> {
    let mut seen = Vec::new();
    for _ in 0..200 {
        let poll = follower.poll().await.unwrap();
        seen.extend(kinds(&poll));
        if poll.low_water == poll.high_water {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("holes stay open");
}

on_every_database! {
    async fn rows_arrive_once_and_in_order(fixture: Fixture) {
        let mut follower = fixture.meta.changes(0).await.unwrap();
        assert_eq!(follower.poll().await.unwrap(), Poll::default());
        let first = announce(&fixture, 1).await;
        let second = announce(&fixture, 2).await;
        let poll = follower.poll().await.unwrap();
        assert_eq!(kinds(&poll), [1, 2]);
        assert_eq!((poll.low_water, poll.rows[0].id), (second, first));
        assert_eq!(poll.rows[1].row.int(0).unwrap(), 20);
        assert_eq!(poll.rows[1].row.opt_text(2).unwrap(), None);
        assert_eq!(kinds(&follower.poll().await.unwrap()), [0; 0]);
        announce(&fixture, 3).await;
        assert_eq!(kinds(&follower.poll().await.unwrap()), [3]);
        // From a stored position.
        let mut other = fixture.meta.changes(first).await.unwrap();
        assert_eq!(kinds(&other.poll().await.unwrap()), [2, 3]);
    }

    async fn long_logs_come_in_pages(fixture: Fixture) {
        fixture.session().transaction::<_, Error, _>(|tx| Box::pin(async move {
            for kind in 1..=2500 {
                tx.change(change(kind)).await?;
            }
            Ok(())
        })).await.unwrap();
        let mut follower = fixture.meta.changes(0).await.unwrap();
        let mut seen = Vec::new();
        loop {
            let poll = follower.poll().await.unwrap();
            seen.extend(kinds(&poll));
            if !poll.more {
                break;
            }
        }
        assert_eq!(seen, (1..=2500).collect::<Vec<_>>());
    }

    async fn a_commit_that_was_overtaken_is_seen(fixture: Fixture) {
        if fixture.is(Backend::Sqlite) {
            return; // One writer: nothing overtakes.
        }
        let mut follower = fixture.meta.changes(0).await.unwrap();
        let slow = Slow::begin(&fixture, 1, true).await;
        let fast = announce(&fixture, 2).await;
        let poll = follower.poll().await.unwrap();
        assert_eq!((kinds(&poll), poll.low_water, poll.high_water), (vec![2], fast - 2, fast));
        slow.end().await.unwrap();
        let poll = follower.poll().await.unwrap();
        assert_eq!((kinds(&poll), poll.low_water), (vec![1], fast));
        assert_eq!(kinds(&follower.poll().await.unwrap()), [0; 0]);
    }

    async fn a_hole_is_not_closed_while_its_transaction_lives(fixture: Fixture) {
        if fixture.is(Backend::Sqlite) {
            return;
        }
        let mut follower = fixture.meta.changes(0).await.unwrap();
        let slow = Slow::begin(&fixture, 1, true).await;
        let fast = announce(&fixture, 2).await;
        follower.poll().await.unwrap();
        fixture.clock.advance(LONG);
        for _ in 0..10 {
            let poll = follower.poll().await.unwrap();
            assert_eq!((kinds(&poll), poll.low_water), (vec![], fast - 2));
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        slow.end().await.unwrap();
        assert_eq!(settle(&mut follower).await, [1]);
        assert_eq!(fixture.session().all(&VOIDS, args![]).await.unwrap().len(), 0);
    }

    async fn a_hole_that_nobody_fills_is_closed(fixture: Fixture) {
        if fixture.is(Backend::Sqlite) {
            return; // A rollback takes the ids back, too.
        }
        let mut follower = fixture.meta.changes(0).await.unwrap();
        let mut other = fixture.meta.changes(0).await.unwrap();
        let slow = Slow::begin(&fixture, 1, false).await;
        let fast = announce(&fixture, 2).await;
        slow.end().await.unwrap_err();
        assert_eq!(follower.poll().await.unwrap().low_water, fast - 2);
        assert_eq!(other.poll().await.unwrap().low_water, fast - 2);
        // Young: stays open.
        assert_eq!(follower.poll().await.unwrap().low_water, fast - 2);
        fixture.clock.advance(LONG);
        let (mine, others) = tokio::join!(settle(&mut follower), settle(&mut other));
        assert_eq!((mine, others), (vec![], vec![]));
        assert_eq!(fixture.session().all(&VOIDS, args![]).await.unwrap().len(), 1);
    }

    async fn a_wide_hole_is_closed_bit_by_bit(fixture: Fixture) {
        announce(&fixture, 1).await;
        let mut follower = fixture.meta.changes(0).await.unwrap();
        follower.poll().await.unwrap();
        fixture.session().transaction::<_, Error, _>(|tx| {
            Box::pin(async move { tx.execute(&APPEND_AT, args![6_000, 2]).await })
        }).await.unwrap();
        follower.poll().await.unwrap();
        fixture.clock.advance(LONG);
        assert_eq!(settle(&mut follower).await, [0; 0]);
        assert_eq!(follower.low_water(), 6_000);
    }

    async fn a_late_row_fails_and_gets_another_id(fixture: Fixture) {
        let void = announce(&fixture, 1).await;
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let late = fixture.session().transaction::<_, Error, _>(move |tx| {
            let run = counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                if run == 0 {
                    // The id was taken before, and given to a void row since.
                    tx.execute(&APPEND_AT, args![void, 2]).await?;
                }
                tx.change(change(2)).await
            })
        }).await.unwrap();
        assert!(late.change.unwrap().get() > void);
        assert_eq!(runs.load(Ordering::Relaxed), 2);
    }

    async fn a_history_that_went_back_is_noticed(fixture: Fixture) {
        let mut follower = fixture.meta.changes(0).await.unwrap();
        announce(&fixture, 1).await;
        let last = announce(&fixture, 2).await;
        assert_eq!(kinds(&follower.poll().await.unwrap()), [1, 2]);
        let session = fixture.session();
        let tamper = |statement, id: i64| session.transaction::<_, Error, _>(move |tx| {
            Box::pin(async move { tx.execute(statement, args![id]).await })
        });
        // Another row in its place.
        assert_eq!(tamper(&NONCE, last).await.unwrap().value, 1);
        assert!(follower.poll().await.unwrap().history_changed);
        assert_eq!(kinds(&follower.poll().await.unwrap()), [1, 2]);
        // None in its place.
        tamper(&DELETE, last).await.unwrap();
        let poll = follower.poll().await.unwrap();
        assert!(poll.history_changed && poll.rows.is_empty());
        assert_eq!(kinds(&follower.poll().await.unwrap()), [1]);
    }

    async fn a_stored_position_that_is_gone_is_noticed(fixture: Fixture) {
        let last = announce(&fixture, 1).await;
        let mut there = fixture.meta.changes(last).await.unwrap();
        assert!(!there.poll().await.unwrap().history_changed);
        let mut gone = fixture.meta.changes(last + 1).await.unwrap();
        assert!(gone.poll().await.unwrap().history_changed);
        assert_eq!(kinds(&gone.poll().await.unwrap()), [1]);
    }

    async fn pruning_moves_the_floor(fixture: Fixture) {
        let mut follower = fixture.meta.changes(0).await.unwrap();
        let first = announce(&fixture, 1).await;
        let second = announce(&fixture, 2).await;
        let third = announce(&fixture, 3).await;
        let low_water = follower.poll().await.unwrap().low_water;
        let prune = || fixture.meta.prune(&CHANGES, low_water, Duration::from_mins(10));
        assert_eq!(prune().await.unwrap(), 0);
        fixture.meta.shift_time(Duration::from_mins(20));
        assert_eq!(prune().await.unwrap(), 2);
        assert_eq!(fixture.meta.log_floor(&CHANGES).await.unwrap(), second);
        // Who was up to date goes on; who slept must begin anew.
        assert!(!follower.poll().await.unwrap().history_changed);
        let mut late = fixture.meta.changes(first).await.unwrap();
        let poll = late.poll().await.unwrap();
        assert!(poll.history_changed && poll.low_water == second);
        let poll = late.poll().await.unwrap();
        assert_eq!((kinds(&poll), poll.low_water), (vec![3], third));
        assert_eq!(prune().await.unwrap(), 0);
    }
}
