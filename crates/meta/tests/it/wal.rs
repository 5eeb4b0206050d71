//! The write-ahead log of SQLite, where readers always overlap.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::future::{join, join_all};
use sea_query::{Expr, Query};
use seawall_meta::fixture::DatabaseBackend;
use seawall_meta::{Error, arg, args, statements};

use crate::Fixture;

/// What one transaction writes, and how many there are.
const BYTES: usize = 4 << 20;
const WRITES: u64 = 30;

/// Twice what the log should have, and what may be written before that is seen.
const LONGEST: u64 = (64 << 20) + 4 * BYTES as u64;

statements! {
    NAME_ADD: |d| Query::insert()
        .into_table("test_name")
        .columns(["name", "value", "changed_at"])
        .values_panic([arg(0), Expr::val(1i64), d.now()])
        .to_owned();
    BODY_ADD: |_d| Query::insert()
        .into_table("test_value")
        .columns(["body"])
        .values_panic([arg(0)])
        .to_owned();
    /// Takes some milliseconds.
    COUNT: |_d| Query::select()
        .expr(Expr::cust("COUNT(*)"))
        .from_as("test_name", "a")
        .from_as("test_name", "b")
        .from_as("test_name", "c")
        .to_owned();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_sqlite_is_cut_off_though_readers_overlap() {
    let fixture = Fixture::new(DatabaseBackend::Sqlite).await;
    let session = fixture.session();
    let named = session.transaction::<_, Error, _>(|tx| {
        Box::pin(async move {
            for number in 0..60 {
                tx.execute(&NAME_ADD, args![format!("n{number}")]).await?;
            }
            Ok(())
        })
    });
    named.await.unwrap();
    let log = fixture.database.directory().join("seawall.db-wal");
    let (written, reads, longest) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let reading = async || {
        while !written.load(Ordering::Acquire) {
            session.all(&COUNT, args![]).await.unwrap();
            reads.fetch_add(1, Ordering::AcqRel);
        }
    };
    let writing = async {
        for _ in 0..WRITES {
            let body = vec![7_u8; BYTES];
            let wrote = session.transaction::<_, Error, _>(move |tx| {
                let body = body.clone();
                Box::pin(async move { tx.execute(&BODY_ADD, args![body]).await })
            });
            wrote.await.unwrap();
            longest.fetch_max(std::fs::metadata(&log).unwrap().len(), Ordering::AcqRel);
        }
        written.store(true, Ordering::Release);
    };
    join(join_all((0..8).map(|_| reading())), writing).await;
    let (reads, longest) = (reads.into_inner(), longest.into_inner());
    assert!(reads > WRITES, "only {reads} reads");
    assert!(longest < LONGEST, "the log had {longest} bytes");
}
