//! Databases for tests: each test makes its own and it is gone when the value is dropped.
//!
//! Servers are named by `SEAWALL_TEST_POSTGRES` and `SEAWALL_TEST_MYSQL` (addresses of an account
//! that may create databases). A database with migrations applied is cloned from a template on
//! SQLite and PostgreSQL, and one that was used before and emptied on MariaDB. Never used outside
//! tests.

mod backend;
mod effort;
mod emptied;
mod proxy;
mod runtime;
mod slots;

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::connection::Connection;
use crate::dialect::errors::Failure;
use crate::error::{Error, Result};
use crate::meta::Meta;
use crate::migrate::{Migrations, Migrator, fingerprint};
use crate::pools;
use crate::random;
use crate::session::Session;
pub use backend::DatabaseBackend;
use backend::{ask, command, unchecked};
pub use effort::EffortGauge;
use emptied::BorrowedDatabase;
pub use proxy::TestProxy;
pub use runtime::{TestClock, TestTasks};
pub use slots::{ArgumentSlot, slots};

/// A database that lives as long as this value.
pub struct TestDatabase {
    backend: DatabaseBackend,
    /// For [`Config::url`].
    pub url: String,
    directory: PathBuf,
    name: String,
    /// If it is given back instead of dropped.
    taken: Option<BorrowedDatabase>,
}

impl std::fmt::Debug for TestDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TestDatabase").field(&self.name).finish()
    }
}

impl TestDatabase {
    /// An empty database.
    pub async fn create(backend: DatabaseBackend) -> Result<Self> {
        let database = Self::named(backend)?;
        match backend {
            DatabaseBackend::Sqlite => {}
            DatabaseBackend::Postgres => {
                // The template without local additions; collation as everywhere.
                command(
                    backend,
                    &format!("CREATE DATABASE {} TEMPLATE template0", database.name),
                )
                .await?;
            }
            DatabaseBackend::Mariadb => {
                command(backend, &format!("CREATE DATABASE {}", database.name)).await?;
            }
        }
        Ok(database)
    }

    /// A database in which these migrations (and this crate's own) are applied.
    pub async fn migrated(backend: DatabaseBackend, sets: &[Migrations]) -> Result<Self> {
        let print = fingerprint(sets);
        match backend {
            DatabaseBackend::Sqlite => {
                let database = Self::named(backend)?;
                let template = scratch().join(format!("seawall-template-{print:016x}.db"));
                if !template.exists() {
                    let made = Self::named(backend)?;
                    made.migrate(sets).await?;
                    // Renamed into place, since others may be making it, too.
                    let file = made.directory.join("seawall.db");
                    std::fs::rename(file, &template)
                        .map_err(|error| Error::Other(error.to_string()))?;
                }
                std::fs::copy(&template, database.directory.join("seawall.db"))
                    .map_err(|error| Error::Other(error.to_string()))?;
                Ok(database)
            }
            DatabaseBackend::Postgres => {
                let template = format!("seawall_template_{print:016x}");
                let database = Self::named(backend)?;
                let clone = format!("CREATE DATABASE {} TEMPLATE {template}", database.name);
                if command(backend, &clone).await.is_err() {
                    let made = Self::create(backend).await?;
                    made.migrate(sets).await?;
                    let rename = format!("ALTER DATABASE {} RENAME TO {template}", made.name);
                    // Fails when another process was faster; its outcome is as good.
                    drop(command(backend, &rename).await);
                    command(backend, &clone).await?;
                }
                Ok(database)
            }
            DatabaseBackend::Mariadb => {
                if let Some(taken) = BorrowedDatabase::emptied(print).await? {
                    return Self::over(taken);
                }
                let mut database = Self::over(BorrowedDatabase::bare(print).await?)?;
                database.migrate(sets).await?;
                if let Some(taken) = &mut database.taken {
                    taken.keep().await?;
                }
                Ok(database)
            }
        }
    }

    /// Which product it is on.
    pub fn backend(&self) -> DatabaseBackend {
        self.backend
    }

    /// A configuration for it.
    pub fn config(&self) -> Config {
        Config {
            max_connections: 8,
            ..Config::at(self.url.clone())
        }
    }

    /// A directory of its own, which goes with it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Opens it with tasks and a clock for tests.
    pub async fn open(&self) -> Result<Meta> {
        Meta::open(
            &self.config(),
            &self.directory,
            TestTasks::tasks(),
            TestClock::new(),
        )
        .await
    }

    /// Ends all its connections from the server's side, as a restart or a failover would.
    pub async fn disconnect(&self) -> Result<()> {
        let name = &self.name;
        let question = match self.backend {
            DatabaseBackend::Sqlite => return Ok(()),
            DatabaseBackend::Postgres => format!(
                "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'"
            ),
            DatabaseBackend::Mariadb => {
                format!("SELECT id FROM information_schema.processlist WHERE db = '{name}'")
            }
        };
        let rows = ask(self.backend, &question).await?;
        if self.backend == DatabaseBackend::Mariadb {
            for row in rows {
                command(self.backend, &format!("KILL {}", row.int(0)?)).await?;
            }
        }
        Ok(())
    }

    /// How many transactions of this database are open without a statement running in them. Always
    /// 0 on SQLite, where an open one shows by the next write that waits in vain.
    pub async fn open_transactions(&self, session: &Session) -> Result<i64> {
        let statement = match self.backend {
            DatabaseBackend::Sqlite => return Ok(0),
            DatabaseBackend::Postgres => postgres_only::ALL[0],
            DatabaseBackend::Mariadb => mariadb_only::ALL[0],
        };
        session.one(statement, crate::args![]).await?.int(0)
    }

    async fn migrate(&self, sets: &[Migrations]) -> Result<()> {
        let meta = self.open().await?;
        Migrator::new(&meta, sets).apply().await?;
        meta.close().await;
        Ok(())
    }

    /// A value with a fresh name, before the database exists.
    fn named(backend: DatabaseBackend) -> Result<Self> {
        Self::called(backend, format!("seawall_test_{:016x}", random::nonce()))
    }

    /// A database that was taken.
    fn over(taken: BorrowedDatabase) -> Result<Self> {
        let mut database = Self::called(DatabaseBackend::Mariadb, taken.name.clone())?;
        database.taken = Some(taken);
        Ok(database)
    }

    fn called(backend: DatabaseBackend, name: String) -> Result<Self> {
        // Not the database's name, which others will have after it.
        let directory = scratch().join(format!("seawall_test_{:016x}", random::nonce()));
        std::fs::create_dir_all(&directory).map_err(|error| Error::Other(error.to_string()))?;
        let server = backend
            .server()
            .ok_or_else(|| Error::Configuration(format!("no server for tests on {backend:?}")))?;
        let url = match backend {
            DatabaseBackend::Sqlite => format!("sqlite:{}", directory.join("seawall.db").display()),
            _ => other_database(&server, &name),
        };
        Ok(Self {
            backend,
            url,
            directory,
            name,
            taken: None,
        })
    }
}

/// Keeps a connection busy for 0.6 seconds; `false` on SQLite, which has no such statement.
pub async fn occupy(backend: DatabaseBackend, session: &Session) -> Result<bool> {
    let statement = match backend {
        DatabaseBackend::Sqlite => return Ok(false),
        DatabaseBackend::Postgres => &postgres_only::SLEEP,
        DatabaseBackend::Mariadb => &mariadb_only::SLEEP,
    };
    session.all(statement, crate::args![]).await?;
    Ok(true)
}

mod postgres_only {
    use sea_query::{Expr, Query};

    crate::statements! {
        /// Transactions of this database that are open and idle.
        OPEN: |_d| Query::select().expr(Expr::cust("COUNT(*)")).from("pg_stat_activity")
            .and_where(Expr::cust(
                "datname = current_database() AND state LIKE 'idle in transaction%'"));
        /// Takes its time.
        SLEEP: |_d| Query::select().expr(Expr::cust("CAST(pg_sleep(0.6) AS TEXT)"));
    }
}

mod mariadb_only {
    use sea_query::{Expr, Query};

    crate::statements! {
        /// Transactions of this database that are open.
        OPEN: |_d| Query::select().expr(Expr::cust(
            "(SELECT COUNT(*) FROM information_schema.innodb_trx t \
             JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
             WHERE p.db = DATABASE() AND p.command = 'Sleep')"));
        /// Takes its time.
        SLEEP: |_d| Query::select().expr(Expr::cust("SLEEP(0.6)"));
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.directory));
        if let Some(taken) = self.taken.take() {
            // Nothing waits for it: until then the lock keeps others away, and the end of the
            // process gives it back, too.
            drop(apart(taken.give_back()));
            return;
        }
        let text = match self.backend {
            DatabaseBackend::Sqlite => return,
            DatabaseBackend::Postgres => {
                format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)
            }
            DatabaseBackend::Mariadb => format!("DROP DATABASE IF EXISTS {}", self.name),
        };
        let backend = self.backend;
        let dropping = apart(async move {
            if let Err(error) = command(backend, &text).await {
                tracing::warn!(%error, "a test database was left behind");
            }
        });
        drop(dropping.join());
    }
}

/// Runs on a thread and a runtime of its own: the test's may be ending, also in a panic.
fn apart(work: impl Future<Output = ()> + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime {
            runtime.block_on(work);
        }
    })
}

/// The same server's address with another database.
fn other_database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').map_or((server, ""), |(a, q)| (a, q));
    let start = address.find("://").map_or(0, |at| at + 3);
    let end = address[start..]
        .find('/')
        .map_or(address.len(), |at| start + at);
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    format!("{}/{name}{query}", &address[..end])
}

fn scratch() -> PathBuf {
    std::env::temp_dir()
}

/// Does to the database at this address what the product never would: statements as they stand,
/// with foreign keys switched off. For tests of what finds damage.
pub async fn damage(url: &str, statements: &[String]) -> Result<()> {
    let config = Config::at(url);
    let address = config.address(Path::new(""))?;
    let run = async {
        let mut connection = pools::connect(&address, &config).await?;
        connection.command(unchecked(address.dialect)).await?;
        for statement in statements {
            connection.command(statement).await?;
        }
        connection.finish().await;
        Ok(())
    };
    run.await.map_err(|failure: Failure| failure.error)
}

/// A transaction of another program that stands open and keeps its locks. For tests of who waits
/// for them.
pub struct OpenTransaction(Connection);

impl OpenTransaction {
    /// Opens one at this address and runs statements in it, as they stand.
    pub async fn open(url: &str, statements: &[&str]) -> Result<Self> {
        let config = Config::at(url);
        let address = config.address(Path::new(""))?;
        let run = async {
            let mut connection = pools::connect(&address, &config).await?;
            connection.command(address.dialect.begin()).await?;
            for statement in statements {
                connection.command(statement).await?;
            }
            Ok(Self(connection))
        };
        run.await.map_err(|failure: Failure| failure.error)
    }

    /// Undoes what it did, and lets go of what it locked.
    pub async fn end(mut self) -> Result<()> {
        let ended = self.0.command("ROLLBACK").await;
        self.0.finish().await;
        ended.map_err(|failure| failure.error)
    }
}

#[cfg(test)]
mod tests {
    use super::other_database;

    #[test]
    fn another_database_of_the_same_server() {
        assert_eq!(
            other_database("postgres://u:p@h:1/a?x=/y", "b"),
            "postgres://u:p@h:1/b?x=/y"
        );
        assert_eq!(other_database("mysql://u@h", "b"), "mysql://u@h/b");
    }
}
