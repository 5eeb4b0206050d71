//! A connection that is lent: the only file that runs SQL.
//!
//! A [`Lease`] that is dropped before it was given back closes its connection, so that no one ever inherits an open
//! transaction. Each trip to a server has a limit, after which the connection is closed: the server ends statements by
//! itself well before, so that one which has said nothing until then will not. The limit is kept here and nowhere else,
//! since a half-read answer poisons a connection: where the waiting ends, the connection must go, too.
//!
//! SQLite has no such limit: its connections are threads that cannot be ended, and a file that does not answer has no
//! other end that could be reached anew. There the callers' waiting is limited (`session.rs`).

use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor};
use tokio::time::timeout;

use crate::args::{Arg, Args};
use crate::cells;
use crate::dialect::Dialect;
use crate::dialect::errors::{Failure, already_changed, classify};
use crate::error::Error;
use crate::pipeline::{Expect, Landed, Pipeline, Stopped};
use crate::pool::Lent;
use crate::row::Row;
use crate::statement::Rendered;

/// How long a change of the schema may take: it may have to read a large table.
const SCHEMA_LIMIT: Duration = Duration::from_hours(24);

fn only_sqlite() -> Failure {
    Error::Other("only SQLite holds statements back".into()).into()
}

pub(crate) enum Link {
    Sqlite(Lent<SqliteConnection>),
    Postgres(Lent<PgConnection>),
    Mysql(Lent<MySqlConnection>),
}

/// All text comes from `Statement`s, migrations and this crate's own constants, never from a caller's value.
pub(crate) fn trusted(text: impl Into<Arc<str>>) -> AssertSqlSafe<Arc<str>> {
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
    /// How long an answer of a server is waited for.
    limit: Duration,
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
    /// A lease that waits so long for each answer.
    pub(crate) fn new(link: Link, limit: Duration) -> Self {
        Self {
            link: Some(link),
            limit,
            pipeline: Box::default(),
        }
    }

    /// The same for work of which each step may take as long as a change of the schema.
    pub(crate) fn be_patient(&mut self) {
        self.limit = SCHEMA_LIMIT;
    }

    /// Waits for the end of a trip; an answer that did not come in time.
    async fn heard<T>(
        limit: Option<Duration>,
        trip: impl Future<Output = Result<T, Failure>>,
    ) -> Option<Result<T, Failure>> {
        match limit {
            None => Some(trip.await),
            Some(limit) => timeout(limit, trip).await.ok(),
        }
    }

    /// The limit of a trip, which only a server has.
    fn limit(&self) -> Option<Duration> {
        let is_server = !matches!(self.link, Some(Link::Sqlite(_)));
        is_server.then_some(self.limit)
    }

    /// What was heard; if it was nothing, the connection is closed, for it is in the middle of something.
    fn ended<T>(&mut self, heard: Option<Result<T, Failure>>) -> Result<T, Failure> {
        heard.unwrap_or_else(|| {
            match self.link.take() {
                Some(Link::Sqlite(connection)) => connection.abandon(),
                Some(Link::Postgres(connection)) => connection.abandon(),
                Some(Link::Mysql(connection)) => connection.abandon(),
                None => {}
            }
            let text = format!("no answer within {:?}", self.limit);
            Err(Failure {
                error: Error::Unavailable(text),
                retry: false,
                lost: true,
            })
        })
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

    /// Whether nothing was sent since the transaction was to begin, so that there is nothing to commit.
    pub(crate) fn is_unused(&self) -> bool {
        self.pipeline.is_to_begin() && !self.pipeline.has_steps()
    }

    /// Why a transaction could not be begun, on SQLite, where that is found out by its first statement.
    pub(crate) fn why_unbegun(&self) -> Option<&Failure> {
        self.pipeline.why_unbegun()
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
        let limit = self.limit();
        let heard = Self::heard(limit, self.fetch_here(rendered, args, shift)).await;
        self.ended(heard)
    }

    async fn fetch_here(
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
        let limit = self.limit();
        let heard = Self::heard(limit, self.execute_here(rendered, args, shift)).await;
        self.ended(heard)
    }

    async fn execute_here(
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
        let limit = self.limit();
        let heard = Self::heard(limit, self.ask_here(text)).await;
        self.ended(heard)
    }

    async fn ask_here(&mut self, text: &str) -> Result<Vec<Row>, Failure> {
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
        let limit = self.limit();
        let heard = Self::heard(limit, self.prepare_here(rendered)).await;
        self.ended(heard)
    }

    async fn prepare_here(&mut self, rendered: &Rendered) -> Result<(), Failure> {
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
        let limit = self.limit();
        let heard = Self::heard(limit, self.run_here(text)).await;
        self.ended(heard)
    }

    async fn run_here(
        &mut self,
        text: &str,
    ) -> Result<(Dialect, Result<(), sqlx::Error>), Failure> {
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
