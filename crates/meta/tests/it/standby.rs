//! A server that takes no writes any more is not read from either, on whatever connection.

use sea_query::{Expr, Query};
use seawall_meta::fixture::{DatabaseBackend, damage};
use seawall_meta::{Change, Error, args, statements};

use crate::Fixture;

statements! {
    /// The server's number of the connection.
    NUMBER: |_d| Query::select().expr(Expr::cust("CAST(pg_backend_pid() AS BIGINT)"));
}

async fn connection(fixture: &Fixture) -> i64 {
    let row = fixture.session().one(&NUMBER, args![]).await;
    row.unwrap().int(0).unwrap()
}

async fn announce(fixture: &Fixture) -> Result<(), Error> {
    let session = fixture.session();
    let announced = session.transaction::<_, Error, _>(|tx| {
        Box::pin(async move {
            let kind = 1;
            let change = Change {
                kind,
                ..Change::default()
            };
            tx.change(change).await
        })
    });
    announced.await.map(drop)
}

/// What new connections are told: as if the address led to another server. Those that are open live
/// on, as they do on a primary that was made a standby.
async fn lead_to(fixture: &Fixture, standby: bool) {
    let url = &fixture.database.url;
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    let set = if standby { "SET" } else { "RESET" };
    let value = if standby { " = on" } else { "" };
    let statements = [
        "SET default_transaction_read_only = off".into(),
        format!("ALTER DATABASE {name} {set} default_transaction_read_only{value}"),
    ];
    damage(url, &statements).await.unwrap();
}

/// Ends the connection on which the log is followed.
async fn disconnect_follower(fixture: &Fixture) {
    let statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                     AND query LIKE '%FROM \"change\"%' AND pid <> pg_backend_pid()";
    damage(&fixture.database.url, &[statement.into()])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_first_sign_of_a_standby_no_connection_is_used_again() {
    if !DatabaseBackend::Postgres.is_available() {
        return;
    }
    let fixture = Fixture::new(DatabaseBackend::Postgres).await;
    let mut follower = fixture.meta.changes(0).await.unwrap();
    announce(&fixture).await.unwrap();
    assert_eq!(follower.poll().await.unwrap().rows.len(), 1);
    let before = connection(&fixture).await;
    assert_eq!(connection(&fixture).await, before, "connections are kept");
    lead_to(&fixture, true).await;
    disconnect_follower(&fixture).await;
    let seen = follower.poll().await.unwrap_err();
    assert!(matches!(seen, Error::ReadOnly(_)), "{seen:?}");
    let during = connection(&fixture).await;
    assert_ne!(during, before);
    // It lasts, and costs no more than it must.
    for _ in 0..3 {
        follower.poll().await.unwrap_err();
        assert_eq!(connection(&fixture).await, during);
    }
    lead_to(&fixture, false).await;
    assert_eq!(follower.poll().await.unwrap().rows, []);
    let after = connection(&fixture).await;
    assert_ne!(after, during, "it may lead to the standby");
    announce(&fixture).await.unwrap();
    assert_eq!(follower.poll().await.unwrap().rows.len(), 1);
    assert_eq!(connection(&fixture).await, after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_a_standby_refuses_is_the_first_sign_as_well() {
    if !DatabaseBackend::Postgres.is_available() {
        return;
    }
    let fixture = Fixture::new(DatabaseBackend::Postgres).await;
    announce(&fixture).await.unwrap();
    lead_to(&fixture, true).await;
    fixture.database.disconnect().await.unwrap();
    let before = connection(&fixture).await;
    let refused = announce(&fixture).await.unwrap_err();
    assert!(matches!(refused, Error::ReadOnly(_)), "{refused:?}");
    let during = connection(&fixture).await;
    assert_ne!(during, before);
    announce(&fixture).await.unwrap_err();
    lead_to(&fixture, false).await;
    let mut follower = fixture.meta.changes(0).await.unwrap();
    follower.poll().await.unwrap();
    assert_ne!(connection(&fixture).await, during);
    announce(&fixture).await.unwrap();
}
