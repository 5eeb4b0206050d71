//! The database layer on every product for which there is a server.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

mod cancellation;
mod databases;
mod deadlines;
mod durability;
mod log;
mod migrations;
mod online;
mod pipeline;
mod silence;
mod standby;
mod transactions;
mod values;
mod wal;

use std::sync::Arc;
use std::time::Duration;

use seawall_meta::fixture::{DatabaseBackend, TestClock, TestDatabase, TestTasks};
use seawall_meta::{Meta, MigrationStep, Migrations, Session};
use seawall_types::{Context, Lane};

/// Tables that the tests use.
pub(crate) static TABLES: Migrations = Migrations {
    owner: "test",
    steps: &[
        MigrationStep {
            file: "0001_create_test_value",
            sql: "CREATE TABLE test_value (id {id}, number {bigint}, small {int}, name {name}, \
                  wide {text}, narrow {bytes}, digest {digest}, body {blob}) {table}",
        },
        MigrationStep {
            file: "0002_create_test_name",
            sql: "CREATE TABLE test_name (name {name} NOT NULL PRIMARY KEY, value {bigint} NOT NULL, \
                  changed_at {bigint} NOT NULL) {table}",
        },
        MigrationStep {
            file: "0003_create_test_child",
            sql: "CREATE TABLE test_child (id {id}, name {name} NOT NULL, \
                  FOREIGN KEY (name) REFERENCES test_name (name)) {table}",
        },
    ],
};

/// An open database with [`TABLES`].
pub(crate) struct Fixture {
    pub(crate) meta: Meta,
    pub(crate) clock: Arc<TestClock>,
    // Last, so that it is dropped after its connections.
    pub(crate) database: TestDatabase,
}

impl Fixture {
    pub(crate) async fn new(backend: DatabaseBackend) -> Self {
        let database = TestDatabase::migrated(backend, &[TABLES]).await.unwrap();
        Self::over(database).await
    }

    pub(crate) async fn over(database: TestDatabase) -> Self {
        let clock = TestClock::new();
        let (config, data) = (database.config(), database.directory().to_owned());
        let meta = Meta::open(&config, &data, TestTasks::tasks(), clock.clone())
            .await
            .unwrap();
        Self {
            meta,
            clock,
            database,
        }
    }

    pub(crate) fn session(&self) -> Session {
        self.meta.session(Context::new(Lane::Push))
    }

    pub(crate) fn is(&self, backend: DatabaseBackend) -> bool {
        self.database.backend() == backend
    }
}

/// Waits until a condition holds that others bring about; fails after 20 seconds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    for _ in 0..100 {
        if condition().await {
            return;
        }
        // MariaDB refreshes its list of transactions only when nobody looked for 100 ms.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{what} did not come true");
}

/// Defines a test on each product; skipped where there is no server.
#[macro_export]
macro_rules! on_every_database {
    ($($(#[$meta:meta])* async fn $name:ident($fixture:ident: Fixture) $body:block)*) => {$(
        $(#[$meta])*
        async fn $name($fixture: $crate::Fixture) $body

        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name($crate::Fixture::new($crate::DatabaseBackend::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if $crate::DatabaseBackend::Postgres.is_available() {
                    super::$name($crate::Fixture::new($crate::DatabaseBackend::Postgres).await).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mariadb() {
                if $crate::DatabaseBackend::Mariadb.is_available() {
                    super::$name($crate::Fixture::new($crate::DatabaseBackend::Mariadb).await).await;
                }
            }
        }
    )*};
}
