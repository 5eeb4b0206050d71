//! No wait outlives the deadline of its operation, and what has not begun by then never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sea_query::{Expr, ExprTrait as _, Query};
use seawall_meta::fixture::{DatabaseBackend, TestTasks};
use seawall_meta::{Config, Error, Expectation, Meta, Session, arg, args, statements};
use seawall_types::{Clock as _, Context, Lane};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::{Fixture, eventually, on_every_database};

statements! {
    INSERT: |d| Query::insert().into_table("test_name").columns(["name", "value", "changed_at"])
        .values_panic([arg(0), arg(1), d.now()]);
    TOUCH: |_d| Query::update().table("test_name").value("value", 1)
        .and_where(Expr::col("name").eq(arg(0)));
    VALUE: |_d| Query::select().column("value").from("test_name")
        .and_where(Expr::col("name").eq(arg(0)));
}

/// Longer than any deadline here, shorter than the patience of the pool and of the write queue.
const LONG: Duration = Duration::from_secs(30);

/// A handle with one connection for everything that is shared, for which callers wait a minute.
async fn narrow(fixture: &Fixture) -> Meta {
    let config = Config {
        max_connections: 2,
        acquire_timeout_ms: 60_000,
        ..fixture.database.config()
    };
    let data = fixture.database.directory().to_owned();
    Meta::open(&config, &data, TestTasks::tasks(), fixture.clock.clone())
        .await
        .unwrap()
}

/// An operation that has so much time.
fn within(fixture: &Fixture, meta: &Meta, time: Duration) -> Session {
    let deadline = fixture.clock.elapsed() + time;
    meta.session(Context::new(Lane::Push).until(deadline))
}

async fn insert(session: &Session, name: &'static str) -> Result<(), Error> {
    let inserted = session.transaction::<_, Error, _>(move |tx| {
        Box::pin(async move { tx.execute(&INSERT, args![name, 1]).await.map(drop) })
    });
    inserted.await.map(drop)
}

/// Inserts a row and keeps the transaction open until it is told to go on.
async fn hold(
    session: Session,
    name: &'static str,
    held: Arc<Notify>,
    over: Arc<Notify>,
) -> Result<(), Error> {
    let holding = session.transaction::<_, Error, _>(move |tx| {
        let (held, over) = (Arc::clone(&held), Arc::clone(&over));
        Box::pin(async move {
            tx.execute(&INSERT, args![name, 1]).await?;
            held.notify_one();
            over.notified().await;
            Ok(())
        })
    });
    holding.await.map(drop)
}

on_every_database! {
    async fn what_has_not_begun_at_its_deadline_never_runs(fixture: Fixture) {
        let meta = narrow(&fixture).await;
        let (held, over) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let session = meta.session(Context::new(Lane::Push));
        let holding = hold(session.clone(), "first", Arc::clone(&held), Arc::clone(&over));
        let late = async {
            held.notified().await;
            let soon = Duration::from_millis(300);
            let session = within(&fixture, &meta, soon);
            let written = timeout(LONG, insert(&session, "late")).await.unwrap();
            // Not uncertain: its caller knows that nothing was done.
            assert!(
                matches!(written, Err(Error::Unavailable(_) | Error::Busy(_))),
                "{written:?}"
            );
            if !fixture.is(DatabaseBackend::Sqlite) {
                let session = within(&fixture, &meta, soon);
                let read = session.optional(&VALUE, args!["first"]);
                let read = timeout(LONG, read).await.unwrap();
                assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
                assert_eq!(session.context().cost.snapshot().reads, 0);
            }
            over.notify_one();
        };
        let (held, ()) = futures::join!(holding, late);
        held.unwrap();
        insert(&session, "next").await.unwrap();
        assert!(session.optional(&VALUE, args!["first"]).await.unwrap().is_some());
        assert!(session.optional(&VALUE, args!["late"]).await.unwrap().is_none());
    }

    async fn a_transaction_under_way_at_its_deadline_runs_to_its_end(fixture: Fixture) {
        let (held, over) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let session = within(&fixture, &fixture.meta, Duration::from_millis(500));
        let told = hold(session, "row", held, Arc::clone(&over));
        let told = timeout(LONG, told).await.unwrap();
        assert!(matches!(told, Err(Error::Uncertain(_))), "{told:?}");
        over.notify_one();
        let session = fixture.session();
        eventually("the row is there", || async {
            session.optional(&VALUE, args!["row"]).await.unwrap().is_some()
        }).await;
    }

    async fn no_attempt_begins_after_the_deadline(fixture: Fixture) {
        let attempts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&attempts);
        let session = within(&fixture, &fixture.meta, Duration::from_millis(250));
        let written = session.transaction::<_, Error, _>(move |tx| {
            let counted = Arc::clone(&counted);
            Box::pin(async move {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
                // There is no such row, so that it is to be run again.
                tx.send(&TOUCH, args!["absent"], Expectation::ARow).await
            })
        });
        assert!(timeout(LONG, written).await.unwrap().is_err());
        eventually("the work is over", || async { Arc::strong_count(&attempts) == 1 }).await;
        let attempts = attempts.load(Ordering::SeqCst);
        assert!(attempts < 6, "{attempts} attempts");
    }

    async fn an_operation_past_its_deadline_asks_nothing(fixture: Fixture) {
        let session = within(&fixture, &fixture.meta, Duration::ZERO);
        assert!(session.optional(&VALUE, args!["row"]).await.is_err());
        assert!(insert(&session, "row").await.is_err());
        let cost = session.context().cost.snapshot();
        assert_eq!((cost.reads, cost.writes), (0, 0));
        let row = fixture.session().optional(&VALUE, args!["row"]).await.unwrap();
        assert!(row.is_none());
    }
}
