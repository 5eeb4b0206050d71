//! A follower sees every row once, in whatever order they are committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sea_query::{Expr, ExprTrait as _, Query};
use seawall_meta::fixture::DatabaseBackend;
use seawall_meta::log::{Follower, PollOutcome};
use seawall_meta::{Args, CHANGES, Change, Error, Statement, arg, args, statements};
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
    TIME: |d| Query::select().expr(d.now());
    VOIDS: |_d| Query::select().column("id").from("change").and_where(Expr::col("kind").eq(0));
}

fn change(kind: i64) -> Change {
    Change {
        kind,
        a: kind * 10,
        ..Change::default()
    }
}

/// What moves a floor, as a pruner would.
fn floor_raise() -> &'static Statement {
    let mut all = seawall_meta::STATEMENTS.iter().copied().flatten();
    all.find(|statement| statement.name() == "FLOOR_RAISE")
        .unwrap()
}

/// Announces so many changes in one transaction.
async fn bulk(fixture: &Fixture, count: i64) {
    let session = fixture.session();
    let announced = session.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move {
            for kind in 1..=count {
                tx.change(change(kind)).await?;
            }
            Ok(())
        })
    });
    announced.await.unwrap();
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

fn kinds(poll: &PollOutcome) -> Vec<i64> {
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
        let began = follower.poll().await.unwrap();
        let began = PollOutcome { began: Duration::ZERO, ..began };
        assert_eq!(began, PollOutcome::default());
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
        if fixture.is(DatabaseBackend::Sqlite) {
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
        if fixture.is(DatabaseBackend::Sqlite) {
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
        if fixture.is(DatabaseBackend::Sqlite) {
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

    async fn a_row_that_came_and_went_while_a_reader_slept_is_not_taken_for_void(fixture: Fixture) {
        let hole = announce(&fixture, 1).await;
        let session = fixture.session();
        let run = |statement, arguments: Args| session.transaction::<_, Error, _>(move |tx| {
            let arguments = arguments.clone();
            Box::pin(async move { tx.execute(statement, arguments).await })
        });
        // A transaction has taken an id, another one the next, and the reader has seen the second
        // only.
        run(&DELETE, args![hole]).await.unwrap();
        let last = announce(&fixture, 2).await;
        let mut follower = fixture.meta.changes(0).await.unwrap();
        let poll = follower.poll().await.unwrap();
        assert_eq!((kinds(&poll), poll.low_water), (vec![2], hole - 1));
        // While it sleeps, the first commits, and another process prunes it.
        run(&APPEND_AT, args![hole, 1]).await.unwrap();
        fixture.meta.shift_time(Duration::from_mins(20));
        let pruned = fixture.meta.prune(&CHANGES, last, Duration::from_mins(10));
        assert_eq!(pruned.await.unwrap(), 1);
        fixture.clock.advance(LONG);
        let mut again = false;
        for _ in 0..3 {
            again |= follower.poll().await.unwrap().history_changed;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(again, "what was pruned unheard is gone without a word");
        assert_eq!(settle(&mut follower).await, [0; 0]);
        assert_eq!(follower.low_water(), last);
    }

    async fn a_reader_that_begins_while_the_log_is_pruned_is_told(fixture: Fixture) {
        for kind in 1..=4 {
            announce(&fixture, kind).await;
        }
        let mut follower = fixture.meta.changes(0).await.unwrap();
        fixture.meta.shift_time(Duration::from_mins(20));
        let pruned = fixture.meta.prune(&CHANGES, i64::MAX, Duration::from_mins(10));
        assert_eq!(pruned.await.unwrap(), 3);
        assert!(follower.poll().await.unwrap().history_changed);
        assert_eq!(kinds(&follower.poll().await.unwrap()), [4]);
    }

    async fn a_floor_only_rises(fixture: Fixture) {
        let mut ids = Vec::new();
        for kind in 1..=6 {
            ids.push(announce(&fixture, kind).await);
        }
        fixture.meta.shift_time(Duration::from_mins(20));
        let prune = |low_water| fixture.meta.prune(&CHANGES, low_water, Duration::from_mins(10));
        prune(ids[3]).await.unwrap();
        assert_eq!(fixture.meta.log_floor(&CHANGES).await.unwrap(), ids[3]);
        // A second process computed its horizon earlier and comes late.
        let session = fixture.session();
        for (row, floor) in [(ids[1], ids[3]), (ids[4], ids[4])] {
            session.transaction::<_, Error, _>(move |tx| {
                Box::pin(async move { tx.execute(floor_raise(), args!["change", row]).await })
            }).await.unwrap();
            assert_eq!(fixture.meta.log_floor(&CHANGES).await.unwrap(), floor);
        }
        // Who stands where the late one would have put it must begin anew.
        let mut slept = fixture.meta.changes(ids[1]).await.unwrap();
        assert!(slept.poll().await.unwrap().history_changed);
    }

    async fn a_long_log_is_pruned_piece_by_piece(fixture: Fixture) {
        bulk(&fixture, 2500).await;
        let mut follower = fixture.meta.changes(0).await.unwrap();
        while follower.poll().await.unwrap().more {}
        fixture.meta.shift_time(Duration::from_mins(20));
        let last = announce(&fixture, 1).await;
        let pruned = fixture.meta.prune(&CHANGES, follower.low_water(), Duration::from_mins(10));
        assert_eq!(pruned.await.unwrap(), 2500);
        let poll = follower.poll().await.unwrap();
        assert!(poll.history_changed || kinds(&poll) == [1]);
        settle(&mut follower).await;
        assert_eq!(follower.low_water(), last);
    }

    async fn a_bulk_of_rows_that_was_overtaken_comes_in_pieces(fixture: Fixture) {
        let before = announce(&fixture, 1).await;
        let session = fixture.session();
        session.transaction::<_, Error, _>(move |tx| {
            Box::pin(async move { tx.execute(&APPEND_AT, args![before + 2501, 2]).await })
        }).await.unwrap();
        let mut follower = fixture.meta.changes(0).await.unwrap();
        assert_eq!(kinds(&follower.poll().await.unwrap()), [1, 2]);
        session.transaction::<_, Error, _>(move |tx| Box::pin(async move {
            for id in before + 1..=before + 2500 {
                tx.execute(&APPEND_AT, args![id, 3]).await?;
            }
            Ok(())
        })).await.unwrap();
        let (mut seen, mut polls) = (0, 0);
        loop {
            let poll = follower.poll().await.unwrap();
            assert!(!poll.history_changed && poll.rows.len() <= 1001, "{} rows", poll.rows.len());
            seen += kinds(&poll).iter().filter(|kind| **kind == 3).count();
            polls += 1;
            if !poll.more {
                break;
            }
        }
        assert_eq!((seen, polls), (2500, 3));
        assert_eq!(follower.low_water(), before + 2501);
    }

    async fn the_databases_clock_is_followed_by_every_poll(fixture: Fixture) {
        let session = fixture.session();
        let apart = || async {
            let database = session.one(&TIME, args![]).await.unwrap();
            database.int(0).unwrap() - fixture.meta.now().get()
        };
        let mut follower = fixture.meta.changes(0).await.unwrap();
        let days = 20 * 86_400_000;
        for by in [days, -days, days] {
            // The second and the third time there is a row to read.
            follower.poll().await.unwrap();
            assert!(apart().await.abs() < 5_000);
            fixture.meta.set_clock(by);
            assert!((apart().await - by).abs() < 5_000, "nothing has been asked yet");
            follower.poll().await.unwrap();
            assert!(apart().await.abs() < 5_000, "{} ms apart", apart().await);
            announce(&fixture, 1).await;
        }
        // What is no more than inexactness makes time stand still, not go back.
        let before = fixture.meta.now();
        fixture.meta.set_clock(-500);
        follower.poll().await.unwrap();
        assert!(fixture.meta.now() >= before);
    }
}
