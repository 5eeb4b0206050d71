//! What the embedded database promises when the power goes: a commit that returned is on the disk.

use sea_query::{Expr, Query};
use seawall_meta::fixture::DatabaseBackend;
use seawall_meta::{Error, args, statements};

use crate::Fixture;

statements! {
    /// With 2, which is FULL, the log is synced before a commit returns; in this mode 1 would not
    /// do.
    SYNCHRONOUS: |_d| Query::select().expr(Expr::cust("synchronous")).from("pragma_synchronous");
    JOURNAL: |_d| Query::select().expr(Expr::cust("journal_mode")).from("pragma_journal_mode");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_database_syncs_every_commit() {
    let fixture = Fixture::new(DatabaseBackend::Sqlite).await;
    // The connection that writes is not one of those that read.
    let committed = fixture
        .session()
        .transaction::<_, Error, _>(|tx| {
            Box::pin(async move {
                let synchronous = tx.one(&SYNCHRONOUS, args![]).await?.int(0)?;
                let journal = tx.one(&JOURNAL, args![]).await?.text(0)?.to_owned();
                Ok((synchronous, journal))
            })
        })
        .await
        .unwrap();
    assert_eq!(committed.value, (2, "wal".to_owned()));
}
