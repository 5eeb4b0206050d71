//! Pools and the connections lent from them: the only file that runs SQL.
//!
//! A [`Lease`] that is dropped before it was given back closes its connection,
//! so that no one ever inherits an open transaction. Nothing here may be wrapped
//! in a timeout or a `select!`: a half-read answer poisons a connection.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPool};
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Connection as _, MySql, Postgres, Sqlite};

use crate::args::{Arg, Args};
use crate::cells;
use crate::config::{Address, Config};
use crate::dialect::errors::{Failure, already_changed, classify};
use crate::dialect::{Dialect, Flavour};
use crate::error::Error;
use crate::pipeline::{Expect, Landed, Pipeline};
use crate::row::Row;
use crate::statement::Rendered;

/// Readers of a SQLite file; more of them are slower on few cores (measured).
const SQLITE_READERS: u32 = 4;

/// What the writer of a SQLite file keeps of it in memory, as SQLite has it: in KiB if it is negative.
const SQLITE_WRITER_CACHE: &str = "-16384";

/// How many pages of 4 KiB the write-ahead log takes before they are copied into the file. Most pushes change the same
/// pages as the ones before, so a longer log copies less; whoever fills it waits for the copying, and so does the next
/// start.
const SQLITE_LOG_PAGES: &str = "8192";

/// The connections of this process, opened when they are first needed.
pub(crate) enum Pools {
    Sqlite {
        readers: SqlitePool,
        writer: SqlitePool,
    },
    Postgres(PgPool),
    Mysql(MySqlPool),
}

impl Pools {
    /// Opens pools without connecting.
    pub(crate) fn new(
        address: &Address,
        config: &Config,
        flavour: Flavour,
    ) -> Result<Self, Failure> {
        let session = address.dialect.session(config, flavour);
        match address.dialect {
            Dialect::Sqlite => {
                let options = sqlite_options(address, config);
                let readers = options.clone().pragma("query_only", "ON");
                Ok(Self::Sqlite {
                    readers: pool(config, SQLITE_READERS).connect_lazy_with(readers),
                    writer: pool(config, 1).connect_lazy_with(writing(options)),
                })
            }
            Dialect::Postgres => {
                let options = postgres_options(address, config)?;
                let pool = pool(config, config.max_connections.max(2)).after_connect(
                    move |connection, _| {
                        let session = session.clone();
                        Box::pin(async move {
                            for statement in session {
                                sqlx::raw_sql(trusted(statement))
                                    .execute(&mut *connection)
                                    .await?;
                            }
                            Ok(())
                        })
                    },
                );
                Ok(Self::Postgres(pool.connect_lazy_with(options)))
            }
            Dialect::Mysql => {
                let options = mysql_options(address, config)?;
                let pool = pool(config, config.max_connections.max(2)).after_connect(
                    move |connection, _| {
                        let session = session.clone();
                        Box::pin(async move {
                            for statement in session {
                                sqlx::raw_sql(trusted(statement))
                                    .execute(&mut *connection)
                                    .await?;
                            }
                            Ok(())
                        })
                    },
                );
                Ok(Self::Mysql(pool.connect_lazy_with(options)))
            }
        }
    }

    /// A connection for one statement that reads.
    pub(crate) async fn reader(&self) -> Result<Lease, Failure> {
        match self {
            Self::Sqlite { readers, .. } => readers.acquire().await.map(Link::Sqlite),
            Self::Postgres(pool) => pool.acquire().await.map(Link::Postgres),
            Self::Mysql(pool) => pool.acquire().await.map(Link::Mysql),
        }
        .map(Lease::new)
        .map_err(|error| classify(self.dialect(), &error))
    }

    /// A connection for a transaction.
    pub(crate) async fn writer(&self) -> Result<Lease, Failure> {
        match self {
            Self::Sqlite { writer, .. } => {
                let link = writer.acquire().await.map(Link::Sqlite);
                link.map(Lease::new)
                    .map_err(|error| classify(Dialect::Sqlite, &error))
            }
            _ => self.reader().await,
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
            Self::Mysql(_) => Dialect::Mysql,
        }
    }

    /// Open and idle connections.
    pub(crate) fn size(&self) -> (u32, usize) {
        // The pool counts an idle connection out before it was counted in, so that for a moment the
        // count may be one less than none.
        let idle = |count: usize, size: u32| if count > size as usize { 0 } else { count };
        match self {
            Self::Sqlite { readers, writer } => (
                readers.size().saturating_add(writer.size()),
                idle(readers.num_idle(), readers.size()) + idle(writer.num_idle(), writer.size()),
            ),
            Self::Postgres(pool) => (pool.size(), idle(pool.num_idle(), pool.size())),
            Self::Mysql(pool) => (pool.size(), idle(pool.num_idle(), pool.size())),
        }
    }

    /// Waits for all work and closes.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer } => {
                // The writer last: the last connection folds the write-ahead log back into the file.
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
            Self::Mysql(pool) => pool.close().await,
        }
    }
}

fn pool<DB: sqlx::Database>(config: &Config, max: u32) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(max)
        .acquire_timeout(config.acquire_timeout())
        // A cancelled test would cost the connection, and a broken one is noticed by its first statement.
        .test_before_acquire(false)
        .max_lifetime(None)
        .idle_timeout(Duration::from_mins(10))
}

fn sqlite_options(address: &Address, config: &Config) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&address.url)
        .create_if_missing(true)
        // The command line writes beside the server.
        .busy_timeout(Duration::from_millis(config.lock_timeout_ms.max(5_000)))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .statement_cache_capacity(config.statement_cache)
}

/// What makes writing cheaper and takes nothing from what is promised: all of it is about copies of pages on their way.
fn writing(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        // Else what a savepoint would bring back is written to a file, twice the size of what was changed.
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", SQLITE_WRITER_CACHE)
        .pragma("wal_autocheckpoint", SQLITE_LOG_PAGES)
}

fn postgres_options(address: &Address, config: &Config) -> Result<PgConnectOptions, Failure> {
    let options = PgConnectOptions::from_str(&address.url).map_err(|_| malformed())?;
    let named = options.get_application_name().is_some();
    let options = options.statement_cache_capacity(config.statement_cache);
    Ok(if named {
        options
    } else {
        options.application_name("seawall")
    })
}

fn mysql_options(address: &Address, config: &Config) -> Result<MySqlConnectOptions, Failure> {
    let options = MySqlConnectOptions::from_str(&address.url).map_err(|_| malformed())?;
    Ok(options
        .charset("utf8mb4")
        .statement_cache_capacity(config.statement_cache))
}

/// The driver's own words could contain the password.
fn malformed() -> Failure {
    Error::Configuration("the database address cannot be parsed".into()).into()
}

enum Link {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
    Mysql(PoolConnection<MySql>),
    // Opened outside the pool, closed after use.
    OwnSqlite(SqliteConnection),
    OwnPostgres(PgConnection),
    OwnMysql(MySqlConnection),
}

/// All text comes from `Statement`s, migrations and this crate's own constants, never from a caller's value.
fn trusted(text: impl Into<Arc<str>>) -> AssertSqlSafe<Arc<str>> {
    AssertSqlSafe(text.into())
}

/// A connection by its driver.
enum Raw<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
    Mysql(&'c mut MySqlConnection),
}

/// A connection of which nobody else knows, until it is given back or dropped.
pub(crate) struct Lease {
    link: Option<Link>,
    /// SQLite only. Boxed, since leases lie in futures of every size.
    pipeline: Box<Pipeline>,
}

/// What a statement did that returned no rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    pub(crate) rows: u64,
    /// MariaDB only.
    pub(crate) last_id: i64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        match self.link.take() {
            Some(Link::Sqlite(connection)) => drop(connection.detach()),
            Some(Link::Postgres(connection)) => drop(connection.detach()),
            Some(Link::Mysql(connection)) => drop(connection.detach()),
            _ => {}
        }
    }
}

impl Lease {
    fn new(link: Link) -> Self {
        Self {
            link: Some(link),
            pipeline: Box::default(),
        }
    }

    /// Opens a connection outside the pools, with the server's own words when that fails.
    pub(crate) async fn connect(address: &Address, config: &Config) -> Result<Self, Failure> {
        let link = match address.dialect {
            Dialect::Sqlite => SqliteConnection::connect_with(&sqlite_options(address, config))
                .await
                .map(Link::OwnSqlite),
            Dialect::Postgres => PgConnection::connect_with(&postgres_options(address, config)?)
                .await
                .map(Link::OwnPostgres),
            Dialect::Mysql => MySqlConnection::connect_with(&mysql_options(address, config)?)
                .await
                .map(Link::OwnMysql),
        };
        link.map(Self::new)
            .map_err(|error| classify(address.dialect, &error))
    }

    /// Gives the connection back to its pool (or closes one of its own). The connection must not be in a transaction.
    pub(crate) async fn finish(mut self) {
        match self.link.take() {
            Some(Link::OwnSqlite(connection)) => drop(connection.close().await),
            Some(Link::OwnPostgres(connection)) => drop(connection.close().await),
            Some(Link::OwnMysql(connection)) => drop(connection.close().await),
            // Dropping a pooled connection returns it.
            _ => {}
        }
    }

    /// Holds a statement back until the next that is sent; says whether it did. Only SQLite does.
    pub(crate) fn hold(
        &mut self,
        rendered: &Rendered,
        arguments: (&Args, &Arg),
        expect: Expect,
        has_id: bool,
    ) -> Result<bool, Failure> {
        let holds = matches!(self.raw()?, Raw::Sqlite(_));
        if holds {
            self.pipeline.hold(rendered, arguments, expect, has_id)?;
        }
        Ok(holds)
    }

    /// Holds a bracket back, on SQLite.
    pub(crate) fn bracket(&mut self, text: &'static str) {
        self.pipeline.bracket(text);
    }

    /// Sends the statements that are held back; the last id that one of them returned.
    pub(crate) async fn flush(&mut self) -> Result<Option<i64>, Failure> {
        if self.pipeline.has_steps() {
            self.send().await?;
        }
        Ok(self.pipeline.take_id())
    }

    /// Whether so much is held back that it should be sent.
    pub(crate) fn is_full(&self) -> bool {
        self.pipeline.is_full()
    }

    /// Forgets the statements that are held back.
    pub(crate) fn forget(&mut self) {
        self.pipeline.forget_steps();
    }

    async fn send(&mut self) -> Result<Landed, Failure> {
        let mut pipeline = std::mem::take(&mut self.pipeline);
        let Raw::Sqlite(connection) = self.raw()? else {
            return Err(Error::Other("only SQLite holds statements back".into()).into());
        };
        let landed = pipeline.send(connection).await;
        self.pipeline = pipeline;
        landed
    }

    /// Undoes all that was done since the transaction began.
    pub(crate) async fn roll_back(&mut self) -> Result<(), Failure> {
        let pipeline = std::mem::take(&mut self.pipeline);
        if pipeline.is_unbegun() {
            return Ok(());
        }
        self.command("ROLLBACK").await
    }

    /// Runs a statement and reads all its rows.
    pub(crate) async fn fetch(
        &mut self,
        rendered: &Rendered,
        args: &Args,
        shift: &Arg,
    ) -> Result<Vec<Row>, Failure> {
        if !self.pipeline.is_empty() {
            self.pipeline
                .hold(rendered, (args, shift), Expect::Nothing, false)?;
            return Ok(self.send().await?.rows);
        }
        let text = trusted(rendered.sql.clone());
        match self.raw()? {
            Raw::Sqlite(connection) => {
                let arguments = cells::sqlite_arguments(<_>::default(), rendered, args, shift)?;
                let rows = sqlx::query_with(text, arguments)
                    .fetch_all(connection)
                    .await;
                rows.map_err(|error| classify(Dialect::Sqlite, &error))?
                    .iter()
                    .map(cells::sqlite_row)
                    .collect()
            }
            Raw::Postgres(connection) => {
                let arguments = cells::postgres_arguments(<_>::default(), rendered, args, shift)?;
                let rows = sqlx::query_with(text, arguments)
                    .fetch_all(connection)
                    .await;
                rows.map_err(|error| classify(Dialect::Postgres, &error))?
                    .iter()
                    .map(cells::postgres_row)
                    .collect()
            }
            Raw::Mysql(connection) => {
                let arguments = cells::mysql_arguments(<_>::default(), rendered, args, shift)?;
                let rows = sqlx::query_with(text, arguments)
                    .fetch_all(connection)
                    .await;
                rows.map_err(|error| classify(Dialect::Mysql, &error))?
                    .iter()
                    .map(cells::mysql_row)
                    .collect()
            }
        }
    }

    /// Runs a statement that returns no rows.
    pub(crate) async fn execute(
        &mut self,
        rendered: &Rendered,
        args: &Args,
        shift: &Arg,
    ) -> Result<Done, Failure> {
        if !self.pipeline.is_empty() {
            self.pipeline
                .hold(rendered, (args, shift), Expect::Nothing, false)?;
            let rows = self.send().await?.touched;
            return Ok(Done { rows, last_id: 0 });
        }
        let text = trusted(rendered.sql.clone());
        match self.raw()? {
            Raw::Sqlite(connection) => {
                let arguments = cells::sqlite_arguments(<_>::default(), rendered, args, shift)?;
                let done = sqlx::query_with(text, arguments).execute(connection).await;
                let done = done.map_err(|error| classify(Dialect::Sqlite, &error))?;
                Ok(Done {
                    rows: done.rows_affected(),
                    last_id: 0,
                })
            }
            Raw::Postgres(connection) => {
                let arguments = cells::postgres_arguments(<_>::default(), rendered, args, shift)?;
                let done = sqlx::query_with(text, arguments).execute(connection).await;
                let done = done.map_err(|error| classify(Dialect::Postgres, &error))?;
                Ok(Done {
                    rows: done.rows_affected(),
                    last_id: 0,
                })
            }
            Raw::Mysql(connection) => {
                let arguments = cells::mysql_arguments(<_>::default(), rendered, args, shift)?;
                let done = sqlx::query_with(text, arguments).execute(connection).await;
                let done = done.map_err(|error| classify(Dialect::Mysql, &error))?;
                Ok(Done {
                    rows: done.rows_affected(),
                    last_id: done.last_insert_id().cast_signed(),
                })
            }
        }
    }

    /// Runs text of our own without arguments and without preparing it: brackets, settings, schema changes.
    pub(crate) async fn command(&mut self, text: &str) -> Result<(), Failure> {
        if self.pipeline.is_empty() {
            let (dialect, result) = self.run(text).await?;
            return result.map_err(|error| classify(dialect, &error));
        }
        let text = self.pipeline.take_brackets()? + text;
        let (dialect, result) = self.run(&text).await?;
        result.map_err(|error| {
            self.pipeline.break_off();
            classify(dialect, &error)
        })
    }

    /// A schema change: like [`command`](Self::command), but says `false` when `tolerant` and it was made already.
    pub(crate) async fn change_schema(
        &mut self,
        text: &str,
        tolerant: bool,
    ) -> Result<bool, Failure> {
        match self.run(text).await? {
            (_, Ok(())) => Ok(true),
            (_, Err(error)) if tolerant && already_changed(&error) => Ok(false),
            (dialect, Err(error)) => Err(classify(dialect, &error)),
        }
    }

    /// The rows of text of our own without arguments.
    pub(crate) async fn ask(&mut self, text: &str) -> Result<Vec<Row>, Failure> {
        let text = trusted(text);
        match self.raw()? {
            Raw::Sqlite(connection) => {
                let rows = sqlx::query(text)
                    .persistent(false)
                    .fetch_all(connection)
                    .await;
                rows.map_err(|error| classify(Dialect::Sqlite, &error))?
                    .iter()
                    .map(cells::sqlite_row)
                    .collect()
            }
            Raw::Postgres(connection) => {
                let rows = sqlx::query(text)
                    .persistent(false)
                    .fetch_all(connection)
                    .await;
                rows.map_err(|error| classify(Dialect::Postgres, &error))?
                    .iter()
                    .map(cells::postgres_row)
                    .collect()
            }
            Raw::Mysql(connection) => {
                let rows = sqlx::query(text)
                    .persistent(false)
                    .fetch_all(connection)
                    .await;
                rows.map_err(|error| classify(Dialect::Mysql, &error))?
                    .iter()
                    .map(cells::mysql_row)
                    .collect()
            }
        }
    }

    /// Lets the database check a statement without running it.
    pub(crate) async fn prepare(&mut self, rendered: &Rendered) -> Result<(), Failure> {
        use sqlx::{Executor as _, SqlSafeStr as _};
        let text = trusted(rendered.sql.clone()).into_sql_str();
        match self.raw()? {
            Raw::Sqlite(connection) => connection
                .prepare(text)
                .await
                .map(drop)
                .map_err(|error| classify(Dialect::Sqlite, &error)),
            Raw::Postgres(connection) => {
                let types = cells::postgres_types(rendered);
                let prepared = connection.prepare_with(text, &types).await;
                prepared
                    .map(drop)
                    .map_err(|error| classify(Dialect::Postgres, &error))
            }
            Raw::Mysql(connection) => connection
                .prepare(text)
                .await
                .map(drop)
                .map_err(|error| classify(Dialect::Mysql, &error)),
        }
    }

    async fn run(&mut self, text: &str) -> Result<(Dialect, Result<(), sqlx::Error>), Failure> {
        let query = sqlx::raw_sql(trusted(text));
        Ok(match self.raw()? {
            Raw::Sqlite(connection) => (Dialect::Sqlite, query.execute(connection).await.map(drop)),
            Raw::Postgres(connection) => {
                (Dialect::Postgres, query.execute(connection).await.map(drop))
            }
            Raw::Mysql(connection) => (Dialect::Mysql, query.execute(connection).await.map(drop)),
        })
    }

    fn raw(&mut self) -> Result<Raw<'_>, Failure> {
        match &mut self.link {
            Some(Link::Sqlite(connection)) => Ok(Raw::Sqlite(connection)),
            Some(Link::Postgres(connection)) => Ok(Raw::Postgres(connection)),
            Some(Link::Mysql(connection)) => Ok(Raw::Mysql(connection)),
            Some(Link::OwnSqlite(connection)) => Ok(Raw::Sqlite(connection)),
            Some(Link::OwnPostgres(connection)) => Ok(Raw::Postgres(connection)),
            Some(Link::OwnMysql(connection)) => Ok(Raw::Mysql(connection)),
            None => Err(Error::Other("the connection was given back".into()).into()),
        }
    }
}
