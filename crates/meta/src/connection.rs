//! Pools and the connections lent from them: the only file that runs SQL.
//!
//! A [`Lease`] that is dropped before it was given back closes its connection,
//! so that no one ever inherits an open transaction. Nothing here may be wrapped
//! in a timeout or a `select!`: a half-read answer poisons a connection.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::args::{Arg, Args};
use crate::cells;
use crate::config::{Address, Config};
use crate::dialect::errors::{Failure, already_changed, classify};
use crate::dialect::{Dialect, Flavour};
use crate::error::Error;
use crate::pipeline::{Expect, Landed, Pipeline, Stopped};
use crate::pool::{Lent, Pool, Terms};
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
        readers: Pool<SqliteConnection>,
        writer: Pool<SqliteConnection>,
    },
    Postgres(Pool<PgConnection>),
    Mysql(Pool<MySqlConnection>),
}

impl Pools {
    /// Opens pools without connecting.
    pub(crate) fn new(
        address: &Address,
        config: &Config,
        flavour: Flavour,
        terms: &Terms,
    ) -> Result<Self, Failure> {
        let session = address.dialect.session(config, flavour);
        Ok(match address.dialect {
            Dialect::Sqlite => {
                let options = sqlite_options(address, config);
                let readers = options.clone().pragma("query_only", "ON");
                Self::Sqlite {
                    readers: pool(terms.of(SQLITE_READERS), readers, session.clone()),
                    writer: pool(terms.of(1), writing(options), session),
                }
            }
            Dialect::Postgres => {
                let options = postgres_options(address, config)?;
                Self::Postgres(pool(terms.clone(), options, session))
            }
            Dialect::Mysql => {
                let options = mysql_options(address, config)?;
                Self::Mysql(pool(terms.clone(), options, session))
            }
        })
    }

    /// A connection for one statement that reads.
    pub(crate) async fn reader(&self) -> Result<Lease, Failure> {
        match self {
            Self::Sqlite { readers, .. } => readers.lend().await.map(Link::Sqlite),
            Self::Postgres(pool) => pool.lend().await.map(Link::Postgres),
            Self::Mysql(pool) => pool.lend().await.map(Link::Mysql),
        }
        .map(Lease::new)
        .map_err(|error| classify(self.dialect(), &error))
    }

    /// A connection for a transaction.
    pub(crate) async fn writer(&self) -> Result<Lease, Failure> {
        match self {
            Self::Sqlite { writer, .. } => {
                let link = writer.lend().await.map(Link::Sqlite);
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
        match self {
            Self::Sqlite { readers, writer } => {
                let (readers, writer) = (readers.size(), writer.size());
                (readers.0 + writer.0, readers.1 + writer.1)
            }
            Self::Postgres(pool) => pool.size(),
            Self::Mysql(pool) => pool.size(),
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

/// Connections that are opened as `options` say, each told what a `session` of it is to be like.
fn pool<C>(terms: Terms, options: <C as Connection>::Options, session: Vec<String>) -> Pool<C>
where
    C: Connection + 'static,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
{
    let open = move || {
        let (options, session) = (options.clone(), session.clone());
        Box::pin(async move {
            let mut connection = C::connect_with(&options).await?;
            for statement in session {
                (&mut connection)
                    .execute(sqlx::raw_sql(trusted(statement)))
                    .await?;
            }
            Ok(connection)
        }) as BoxFuture<'static, _>
    };
    Pool::new(terms, Box::new(open))
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

fn only_sqlite() -> Failure {
    Error::Other("only SQLite holds statements back".into()).into()
}

enum Link {
    Sqlite(Lent<SqliteConnection>),
    Postgres(Lent<PgConnection>),
    Mysql(Lent<MySqlConnection>),
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
                .map(|connection| Link::Sqlite(Lent::apart(connection))),
            Dialect::Postgres => PgConnection::connect_with(&postgres_options(address, config)?)
                .await
                .map(|connection| Link::Postgres(Lent::apart(connection))),
            Dialect::Mysql => MySqlConnection::connect_with(&mysql_options(address, config)?)
                .await
                .map(|connection| Link::Mysql(Lent::apart(connection))),
        };
        link.map(Self::new)
            .map_err(|error| classify(address.dialect, &error))
    }

    /// Gives the connection back to its pool (or closes one of its own). The connection must not be in a transaction.
    pub(crate) async fn finish(mut self) {
        match self.link.take() {
            Some(Link::Sqlite(connection)) => connection.give_back().await,
            Some(Link::Postgres(connection)) => connection.give_back().await,
            Some(Link::Mysql(connection)) => connection.give_back().await,
            None => {}
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

    /// Whether statements are held back.
    pub(crate) fn holds_back(&self) -> bool {
        self.pipeline.has_steps()
    }

    /// Sends the statements that are held back and commits, in one trip; the last id that one of them returned.
    pub(crate) async fn flush_and_commit(&mut self) -> Result<Option<i64>, Stopped> {
        let mut pipeline = std::mem::take(&mut self.pipeline);
        let committed = match self.raw() {
            Ok(Raw::Sqlite(connection)) => pipeline.commit(connection).await,
            _ => Err(Stopped::on_the_way(only_sqlite())),
        };
        self.pipeline = pipeline;
        committed.map(|()| self.pipeline.take_id())
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
            return Err(only_sqlite());
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

    /// The rows of text of our own without arguments, which is not prepared: that were two trips more.
    pub(crate) async fn ask(&mut self, text: &str) -> Result<Vec<Row>, Failure> {
        let text = trusted(text);
        match self.raw()? {
            Raw::Sqlite(connection) => {
                let rows = sqlx::raw_sql(text).fetch_all(connection).await;
                rows.map_err(|error| classify(Dialect::Sqlite, &error))?
                    .iter()
                    .map(cells::sqlite_row)
                    .collect()
            }
            Raw::Postgres(connection) => {
                let rows = sqlx::raw_sql(text).fetch_all(connection).await;
                rows.map_err(|error| classify(Dialect::Postgres, &error))?
                    .iter()
                    .map(cells::postgres_row)
                    .collect()
            }
            Raw::Mysql(connection) => {
                let rows = sqlx::raw_sql(text).fetch_all(connection).await;
                rows.map_err(|error| classify(Dialect::Mysql, &error))?
                    .iter()
                    .map(cells::mysql_row)
                    .collect()
            }
        }
    }

    /// Lets the database check a statement without running it.
    pub(crate) async fn prepare(&mut self, rendered: &Rendered) -> Result<(), Failure> {
        use sqlx::SqlSafeStr as _;
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

    /// Calls for every step of the machine that runs statements, on SQLite.
    #[cfg(feature = "test-fixture")]
    pub(crate) async fn on_every_step(
        &mut self,
        mut call: Box<dyn FnMut() + Send>,
    ) -> Result<(), Failure> {
        if let Raw::Sqlite(connection) = self.raw()? {
            let handle = connection.lock_handle().await;
            let mut handle = handle.map_err(|error| classify(Dialect::Sqlite, &error))?;
            handle.set_progress_handler(1, move || {
                call();
                true
            });
        }
        Ok(())
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
            None => Err(Error::Other("the connection was given back".into()).into()),
        }
    }
}
