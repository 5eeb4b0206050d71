//! Transactions commit, roll back, come again, and count what they cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_query::{Expr, ExprTrait as _, Query};
use seawall_meta::fixture::DatabaseBackend;
use seawall_meta::{Change, Error, arg, args, statements};
use tokio::sync::Barrier;

use crate::on_every_database;

statements! {
    INSERT: |d| Query::insert().into_table("test_name").columns(["name", "value", "changed_at"])
        .values_panic([arg(0), arg(1), d.now()]);
    VALUE: |_d| Query::select().column("value").from("test_name")
        .and_where(Expr::col("name").eq(arg(0)));
    ADD: |_d| Query::update().table("test_name").value("value", Expr::col("value").add(1))
        .and_where(Expr::col("name").eq(arg(0)));
    DELETE: |_d| Query::delete().from_table("test_name").and_where(Expr::col("name").eq(arg(0)));
}

/// An error type of a caller's own.
#[derive(Debug)]
enum TestError {
    Meta(Error),
    Refused,
}

impl From<Error> for TestError {
    fn from(error: Error) -> Self {
        Self::Meta(error)
    }
}

on_every_database! {
    async fn an_error_of_the_body_rolls_back(fixture: Fixture) {
        let session = fixture.session();
        let refused = session.transaction::<(), TestError, _>(|tx| Box::pin(async move {
            tx.execute(&INSERT, args!["a", 1]).await?;
            Err(TestError::Refused)
        })).await;
        assert!(matches!(refused, Err(TestError::Refused)));
        assert!(session.optional(&VALUE, args!["a"]).await.unwrap().is_none());
    }

    async fn a_panic_of_the_body_rolls_back(fixture: Fixture) {
        let session = fixture.session();
        let panicked = session.transaction::<(), TestError, _>(|tx| Box::pin(async move {
            tx.execute(&INSERT, args!["a", 1]).await?;
            panic!("on purpose");
        })).await;
        assert!(matches!(panicked, Err(TestError::Meta(Error::Other(_)))), "{panicked:?}");
        assert!(session.optional(&VALUE, args!["a"]).await.unwrap().is_none());
    }

    async fn a_duplicate_is_told_apart_and_ends_the_transaction(fixture: Fixture) {
        let session = fixture.session();
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let overlooked = session.transaction::<_, Error, _>(move |tx| {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                tx.execute(&INSERT, args!["a", 1]).await?;
                assert!(tx.execute(&INSERT, args!["a", 2]).await.unwrap_err().is_unique());
                // The same on every dialect: nothing works any more.
                assert!(tx.execute(&INSERT, args!["b", 2]).await.unwrap_err().is_unique());
                Ok(())
            })
        }).await;
        assert!(overlooked.unwrap_err().is_unique());
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        assert!(session.optional(&VALUE, args!["a"]).await.unwrap().is_none());
    }

    async fn what_fails_beside_others_takes_nothing_along(fixture: Fixture) {
        // Many at once: on SQLite they share commits.
        let one = |number: i64| {
            let session = fixture.session();
            async move {
                let ended = session.transaction::<(), TestError, _>(move |tx| Box::pin(async move {
                    let name = format!("number {number}");
                    tx.execute(&INSERT, args![&name, number]).await?;
                    match number % 4 {
                        1 => return Err(TestError::Refused),
                        2 => drop(tx.execute(&INSERT, args![&name, number]).await?),
                        3 => panic!("on purpose"),
                        _ => {}
                    }
                    Ok(())
                })).await;
                ended.is_ok()
            }
        };
        let ended = futures::future::join_all((0..64).map(one)).await;
        for (number, ended) in (0..).zip(ended) {
            let row = fixture.session().optional(&VALUE, args![format!("number {number}")]).await.unwrap();
            assert_eq!((ended, row.is_some()), (number % 4 == 0, number % 4 == 0), "{number}");
        }
    }

    async fn several_changes_are_announced_in_their_order(fixture: Fixture) {
        let session = fixture.session();
        let before = fixture.session().transaction::<_, Error, _>(|tx| Box::pin(async move {
            tx.change(Change { kind: 9, ..Change::default() }).await
        })).await.unwrap();
        let changes: Vec<_> = (1..=5).map(|kind| Change { kind, a: 7, ..Change::default() }).collect();
        let done = session.transaction::<_, Error, _>(move |tx| {
            let changes = changes.clone();
            Box::pin(async move { tx.changes(&changes).await })
        }).await.unwrap();
        let mut follower = fixture.meta.changes(before.change.unwrap().get()).await.unwrap();
        let seen: Vec<_> = follower.poll().await.unwrap().rows.iter().map(|row| (row.id, row.kind)).collect();
        let kinds: Vec<_> = seen.iter().map(|(_, kind)| *kind).collect();
        assert_eq!(kinds, [1, 2, 3, 4, 5]);
        assert_eq!(done.change.map(seawall_types::ChangeId::get), seen.last().map(|(id, _)| *id));
        assert_eq!(session.context().cost.snapshot().writes, 3);
    }

    async fn changes_are_numbered(fixture: Fixture) {
        let session = fixture.session();
        let change = |kind| Change { kind, a: 1, b: 2, name: Some("x".into()) };
        let first = session.transaction::<_, Error, _>(move |tx| {
            Box::pin(async move { tx.change(change(1)).await })
        }).await.unwrap();
        let second = session.transaction::<_, Error, _>(move |tx| Box::pin(async move {
            tx.change(change(1)).await?;
            tx.change(change(2)).await
        })).await.unwrap();
        let (first, second) = (first.change.unwrap(), second.change.unwrap());
        let mut follower = fixture.meta.changes(first.get()).await.unwrap();
        let seen: Vec<_> = follower.poll().await.unwrap().rows.iter().map(|row| (row.id, row.kind)).collect();
        assert_eq!(seen, [(second.get() - 1, 1), (second.get(), 2)]);
        assert_eq!(session.context().seen.load(Ordering::Acquire), second.get());
        let none = session.transaction::<_, Error, _>(|_| Box::pin(async { Ok(()) })).await;
        assert_eq!(none.unwrap().change, None);
    }

    async fn statements_are_charged_and_brackets_are_not(fixture: Fixture) {
        let session = fixture.session();
        session.optional(&VALUE, args!["a"]).await.unwrap();
        session.transaction::<_, Error, _>(|tx| Box::pin(async move {
            tx.execute(&INSERT, args!["a", 1]).await?;
            tx.one(&VALUE, args!["a"]).await?;
            tx.execute(&DELETE, args!["a"]).await
        })).await.unwrap();
        let cost = session.context().cost.snapshot();
        assert_eq!((cost.reads, cost.writes), (2, 2));
        assert!(cost.db_micros > 0);
    }

    async fn a_deadlock_is_overcome(fixture: Fixture) {
        // Two rows locked in opposite orders. SQLite has one writer, where the barrier would never
        // open.
        let rivals = if fixture.is(DatabaseBackend::Sqlite) { 1 } else { 2 };
        let barrier = Arc::new(Barrier::new(rivals));
        fixture.session().transaction::<_, Error, _>(|tx| Box::pin(async move {
            tx.execute(&INSERT, args!["a", 0]).await?;
            tx.execute(&INSERT, args!["b", 0]).await
        })).await.unwrap();
        let runs = Arc::new(AtomicU32::new(0));
        let rival = |first: &'static str, second: &'static str| {
            let (session, barrier, runs) = (fixture.session(), barrier.clone(), runs.clone());
            async move {
                let met = Arc::new(AtomicU32::new(0));
                session.transaction::<_, Error, _>(move |tx| {
                    let (barrier, met) = (barrier.clone(), met.clone());
                    runs.fetch_add(1, Ordering::Relaxed);
                    Box::pin(async move {
                        tx.execute(&ADD, args![first]).await?;
                        if met.fetch_add(1, Ordering::Relaxed) == 0 {
                            barrier.wait().await;
                        }
                        tx.execute(&ADD, args![second]).await
                    })
                }).await
            }
        };
        let (one, other) = tokio::join!(rival("a", "b"), rival("b", "a"));
        assert_eq!((one.unwrap().value, other.unwrap().value), (1, 1));
        let a = fixture.session().one(&VALUE, args!["a"]).await.unwrap();
        let b = fixture.session().one(&VALUE, args!["b"]).await.unwrap();
        assert_eq!((a.int(0).unwrap(), b.int(0).unwrap()), (2, 2));
        assert!(runs.load(Ordering::Relaxed) > u32::try_from(rivals).unwrap());
    }

    async fn a_deadline_ends_the_waiting_only(fixture: Fixture) {
        use seawall_types::Clock as _;
        let deadline = fixture.clock.elapsed() + std::time::Duration::from_millis(50);
        let context = seawall_types::Context::new(seawall_types::Lane::Push).until(deadline);
        let session = fixture.meta.session(context);
        let late = session.transaction::<_, Error, _>(|tx| Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            tx.execute(&INSERT, args!["late", 1]).await
        })).await;
        // It is going to be committed, and its caller must not take it for failed.
        let late: seawall_types::Error = late.unwrap_err().into();
        assert!(seawall_meta::may_be_committed(&late), "{late:?}");
        crate::eventually("the commit", || async {
            fixture.session().optional(&VALUE, args!["late"]).await.unwrap().is_some()
        }).await;
    }

    async fn connections_that_broke_while_idle_are_replaced(fixture: Fixture) {
        let session = fixture.session();
        for _ in 0..2 {
            // Several connections, all broken at once.
            let reads = (0..6).map(|_| session.optional(&VALUE, args!["a"]));
            futures::future::try_join_all(reads).await.unwrap();
            fixture.database.disconnect().await.unwrap();
            session.optional(&VALUE, args!["a"]).await.unwrap();
            fixture.database.disconnect().await.unwrap();
            session.transaction::<_, Error, _>(|tx| {
                Box::pin(async move { tx.execute(&ADD, args!["a"]).await })
            }).await.unwrap();
        }
    }

    async fn a_connection_that_breaks_in_a_transaction_fails_it(fixture: Fixture) {
        if fixture.is(DatabaseBackend::Sqlite) {
            return; // Nothing to break.
        }
        let database = Arc::new(fixture.database);
        let session = fixture.meta.session(seawall_types::Context::new(seawall_types::Lane::Push));
        let breaking = Arc::clone(&database);
        let broken = session.transaction::<_, Error, _>(move |tx| {
            let database = Arc::clone(&breaking);
            Box::pin(async move {
                tx.execute(&INSERT, args!["a", 1]).await?;
                database.disconnect().await?;
                tx.execute(&INSERT, args!["b", 1]).await
            })
        }).await;
        assert!(matches!(broken, Err(Error::Unavailable(_))), "{broken:?}");
        assert!(!seawall_meta::may_be_committed(&broken.unwrap_err().into()));
        assert!(session.optional(&VALUE, args!["a"]).await.unwrap().is_none());
    }

    async fn the_server_is_known_and_healthy(fixture: Fixture) {
        assert!(fixture.meta.health().await.unwrap().writable);
        assert!(!fixture.meta.server().is_empty());
        assert!(fixture.meta.stats().open >= 1);
    }
}

#[tokio::test]
async fn a_refused_connection_says_why_and_hides_the_password() {
    use seawall_meta::fixture::{TestClock, TestTasks};
    let config = seawall_meta::Config::at("postgres://u:hunter2@127.0.0.1:1/d");
    let opened = seawall_meta::Meta::open(
        &config,
        std::path::Path::new("/nonexistent"),
        TestTasks::tasks(),
        TestClock::new(),
    );
    let text = opened.await.unwrap_err().to_string();
    assert!(
        text.contains("postgres://127.0.0.1:1/d") && text.contains("refused"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}
