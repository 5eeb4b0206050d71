//! What tests get: a database with the migrations applied, empty and of their own, though others
//! had it before.

use std::collections::BTreeSet;

use sea_query::{Expr, Query};
use seawall_meta::fixture::{DatabaseBackend, TestDatabase, damage};
use seawall_meta::{Change, Error, MigrationStep, Migrations, args, statements};

use crate::Fixture;

/// Tables of these tests alone, so that their databases are nobody else's.
static NOTES: Migrations = Migrations {
    owner: "notes",
    steps: &[
        MigrationStep {
            file: "0001_create_book",
            sql: "CREATE TABLE book (name {name} NOT NULL PRIMARY KEY) {table}",
        },
        MigrationStep {
            file: "0002_create_note",
            sql: "CREATE TABLE note (id {id}, book {name} NOT NULL, \
                  FOREIGN KEY (book) REFERENCES book (name)) {table}",
        },
    ],
};

statements! {
    ROWS: |_d| Query::select().expr(Expr::cust(
        "(SELECT COUNT(*) FROM book) + (SELECT COUNT(*) FROM note)"));
    EXTRA: |_d| Query::select().expr(Expr::cust("COUNT(extra)")).from("note");
}

/// How many pairs of databases are taken at most until one is seen again.
const ROUNDS: u32 = 60;

/// Fills a database that must be empty, and in every other round changes its tables as well.
async fn use_up(database: TestDatabase, round: u32) {
    let fixture = Fixture::over(database).await;
    let session = fixture.session();
    let rows = session.one(&ROWS, args![]).await.unwrap();
    assert_eq!(rows.int(0).unwrap(), 0, "rows of another test");
    assert!(
        session.one(&EXTRA, args![]).await.is_err(),
        "a column of another test"
    );
    let changed = session.transaction::<_, Error, _>(|tx| {
        Box::pin(async move { tx.change(Change::default()).await })
    });
    let id = changed.await.unwrap().change.unwrap().get();
    assert_eq!(id, 1, "ids go on where another test ended");
    let mut statements = vec![
        "INSERT INTO book (name) VALUES ('a')".to_owned(),
        "INSERT INTO note (book) VALUES ('a')".to_owned(),
    ];
    if round % 2 == 1 {
        statements.push("ALTER TABLE note ADD COLUMN extra INTEGER".to_owned());
    }
    damage(&fixture.database.url, &statements).await.unwrap();
}

async fn every_test_finds_an_empty_database_of_its_own(backend: DatabaseBackend) {
    if !backend.is_available() {
        return;
    }
    let (mut seen, mut again) = (BTreeSet::new(), 0);
    for round in 0..ROUNDS {
        let one = TestDatabase::migrated(backend, &[NOTES]).await.unwrap();
        let other = TestDatabase::migrated(backend, &[NOTES]).await.unwrap();
        assert_ne!(one.url, other.url);
        for database in [one, other] {
            again += u32::from(!seen.insert(database.url.clone()));
            use_up(database, round).await;
        }
        // Where databases are not used again, two rounds show it all.
        if again > 2 || (backend != DatabaseBackend::Mariadb && round == 1) {
            return;
        }
    }
    panic!("{backend:?}: no database was used again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    every_test_finds_an_empty_database_of_its_own(DatabaseBackend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    every_test_finds_an_empty_database_of_its_own(DatabaseBackend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb() {
    every_test_finds_an_empty_database_of_its_own(DatabaseBackend::Mariadb).await;
}
