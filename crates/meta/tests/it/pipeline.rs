//! Statements that are sent and not waited for: they run in their turn, or the transaction fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sea_query::{Expr, ExprTrait as _, Query};
use seawall_meta::fixture::{DatabaseBackend, damage};
use seawall_meta::{Change, Error, Expectation, arg, args, statements};
use tokio::sync::Notify;

use crate::on_every_database;

statements! {
    INSERT: |d| Query::insert().into_table("test_name").columns(["name", "value", "changed_at"])
        .values_panic([arg(0), arg(1), d.now()]);
    VALUE: |_d| Query::select().column("value").from("test_name")
        .and_where(Expr::col("name").eq(arg(0)));
    ADD: |_d| Query::update().table("test_name").value("value", Expr::col("value").add(1))
        .and_where(Expr::col("name").eq(arg(0)));
    HALF: |_d| Query::select().expr(Expr::cust("0.5"));
    LATE: |_d| Query::insert().into_table("late").columns(["name"]).values_panic([arg(0)]);
}

on_every_database! {
    async fn what_was_sent_runs_before_what_comes_after_it(fixture: Fixture) {
        let session = fixture.session();
        let done = session.transaction::<_, Error, _>(|tx| Box::pin(async move {
            tx.send(&INSERT, args!["a", 1], Expectation::ARow).await?;
            tx.send(&ADD, args!["a"], Expectation::ARow).await?;
            let seen = tx.one(&VALUE, args!["a"]).await?.int(0)?;
            tx.send(&ADD, args!["a"], Expectation::Nothing).await?;
            tx.change(Change { kind: 3, ..Change::default() }).await?;
            let added = tx.execute(&ADD, args!["a"]).await?;
            tx.send(&ADD, args!["a"], Expectation::ARow).await?;
            Ok((seen, added))
        })).await.unwrap();
        assert_eq!(done.value, (2, 1));
        assert!(done.change.is_some());
        let value = fixture.session().one(&VALUE, args!["a"]).await.unwrap().int(0).unwrap();
        assert_eq!(value, 5);
        assert_eq!(session.context().cost.snapshot().writes, 6);
    }

    async fn rows_that_nobody_wants_do_not_fail_what_was_committed(fixture: Fixture) {
        let session = fixture.session();
        session.transaction::<_, Error, _>(|tx| Box::pin(async move {
            tx.send(&INSERT, args!["a", 1], Expectation::ARow).await?;
            // A row that none of our types can take, the last before the commit.
            tx.send(&HALF, args![], Expectation::Nothing).await
        })).await.unwrap();
        let value = session.one(&VALUE, args!["a"]).await.unwrap().int(0).unwrap();
        assert_eq!(value, 1);
    }

    async fn thousands_may_be_sent(fixture: Fixture) {
        let session = fixture.session();
        let done = session.transaction::<_, Error, _>(|tx| Box::pin(async move {
            tx.send(&INSERT, args!["a", 0], Expectation::ARow).await?;
            tx.change(Change { kind: 3, ..Change::default() }).await?;
            for _ in 0..2000 {
                tx.send(&ADD, args!["a"], Expectation::ARow).await?;
            }
            Ok(())
        })).await.unwrap();
        assert!(done.change.is_some());
        let value = session.one(&VALUE, args!["a"]).await.unwrap().int(0).unwrap();
        assert_eq!(value, 2000);
    }

    async fn what_was_sent_and_fails_fails_the_transaction(fixture: Fixture) {
        let session = fixture.session();
        let failed = session.transaction::<(), Error, _>(|tx| Box::pin(async move {
            tx.send(&INSERT, args!["a", 1], Expectation::Nothing).await?;
            tx.send(&INSERT, args!["a", 2], Expectation::Nothing).await?;
            tx.send(&INSERT, args!["b", 2], Expectation::Nothing).await
        })).await;
        assert!(failed.as_ref().is_err_and(Error::is_unique), "{failed:?}");
        for name in ["a", "b"] {
            assert!(session.optional(&VALUE, args![name]).await.unwrap().is_none());
        }
    }

    async fn a_row_that_was_expected_and_is_not_there_runs_it_again(fixture: Fixture) {
        let session = fixture.session();
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        session.transaction::<_, Error, _>(move |tx| {
            let run = counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                tx.send(&INSERT, args!["a", i64::from(run)], Expectation::ARow).await?;
                if run == 0 {
                    tx.send(&ADD, args!["nobody"], Expectation::ARow).await?;
                }
                Ok(())
            })
        }).await.unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 2);
        let value = session.one(&VALUE, args!["a"]).await.unwrap().int(0).unwrap();
        assert_eq!(value, 1);
    }

    async fn a_change_that_was_taken_back_is_nobodys(fixture: Fixture) {
        let session = fixture.session();
        session.transaction::<_, Error, _>(|tx| Box::pin(async move {
            tx.execute(&INSERT, args!["there", 0]).await
        })).await.unwrap();
        // Many at once: on SQLite they share commits. Every other one fails behind its change, and
        // the next has none.
        let one = |number: i64| {
            let session = fixture.session();
            async move {
                let ended = session.transaction::<_, Error, _>(move |tx| Box::pin(async move {
                    if number % 2 == 1 {
                        tx.change(Change { kind: 1, ..Change::default() }).await?;
                        tx.send(&INSERT, args!["there", number], Expectation::Nothing).await?;
                    }
                    Ok(())
                })).await;
                ended.map(|committed| committed.change)
            }
        };
        let ended = futures::future::join_all((0..60).map(one)).await;
        for (number, ended) in (0..).zip(ended) {
            if number % 2 == 1 {
                assert!(ended.is_err_and(|error| error.is_unique()), "{number}");
            } else {
                assert_eq!(ended.unwrap(), None, "{number}");
            }
        }
    }

    async fn a_commit_that_fails_fails_all_who_share_it(fixture: Fixture) {
        if !fixture.is(DatabaseBackend::Sqlite) {
            return; // Nobody shares one.
        }
        // What is checked at the commit and not before.
        let late = "CREATE TABLE late (name TEXT REFERENCES test_name (name) DEFERRABLE INITIALLY DEFERRED)";
        damage(&fixture.database.url, &[late.to_owned()]).await.unwrap();
        let mut shared = false;
        for round in 0..20 {
            let name: &'static str = format!("round {round}").leak();
            let (session, begun) = (fixture.session(), Arc::new(Notify::new()));
            let telling = Arc::clone(&begun);
            let first = session.transaction::<_, Error, _>(move |tx| {
                let begun = Arc::clone(&telling);
                Box::pin(async move {
                    tx.execute(&INSERT, args![name, 1]).await?;
                    begun.notify_one();
                    // The other gets in line meanwhile, mostly.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Ok(())
                })
            });
            let session = fixture.session();
            let last = async {
                begun.notified().await;
                session.transaction::<_, Error, _>(|tx| {
                    Box::pin(async move { tx.send(&LATE, args!["nobody"], Expectation::ARow).await })
                }).await
            };
            let (first, last) = tokio::join!(first, last);
            assert!(last.is_err());
            let row = fixture.session().optional(&VALUE, args![name]).await.unwrap();
            assert_eq!(row.is_some(), first.is_ok(), "{first:?}");
            shared = first.is_err();
            if shared {
                break;
            }
        }
        assert!(shared);
    }

    async fn what_is_sent_beside_others_takes_nothing_along(fixture: Fixture) {
        // Many at once: on SQLite they share commits, and what one holds back must not become
        // another's.
        let one = |number: i64| {
            let session = fixture.session();
            async move {
                let runs = Arc::new(AtomicU32::new(0));
                let ended = session.transaction::<_, Error, _>(move |tx| {
                    let run = runs.fetch_add(1, Ordering::Relaxed);
                    Box::pin(async move {
                        let refused = || Err(Error::Other("refused".into()));
                        let name = format!("number {number}");
                        if number % 6 == 1 {
                            return refused();
                        }
                        if number % 6 == 2 {
                            return Ok(());
                        }
                        tx.send(&INSERT, args![&name, number], Expectation::ARow).await?;
                        tx.change(Change { kind: 1, a: number, ..Change::default() }).await?;
                        match number % 6 {
                            3 => return refused(),
                            4 => tx.send(&INSERT, args![&name, number], Expectation::Nothing).await?,
                            5 if run == 0 => tx.send(&ADD, args!["nobody"], Expectation::ARow).await?,
                            _ => {}
                        }
                        Ok(())
                    })
                }).await;
                ended.map(|committed| committed.change)
            }
        };
        let ended = futures::future::join_all((0..96).map(one)).await;
        let mut follower = fixture.meta.changes(0).await.unwrap();
        let seen = follower.poll().await.unwrap().rows;
        for (number, ended) in (0..).zip(ended) {
            let name = format!("number {number}");
            let row = fixture.session().optional(&VALUE, args![name]).await.unwrap();
            assert_eq!(ended.is_ok(), [0, 2, 5].contains(&(number % 6)), "{number} {ended:?}");
            assert_eq!(row.is_some(), [0, 5].contains(&(number % 6)), "{number}");
            let told: Vec<_> = seen.iter().filter(|row| row.row.int(0).unwrap() == number).map(|row| row.id).collect();
            let change = ended.ok().flatten().map(seawall_types::ChangeId::get);
            assert_eq!(told, change.into_iter().collect::<Vec<_>>(), "{number}");
        }
    }
}
