//! A connection on loan from its pool: the only file that runs SQL.
//!
//! A [`Connection`] that is dropped before it was given back is closed, so that an open transaction
//! is never passed on. Each round trip to a server has a limit, after which the connection is
//! closed: the server ends statements by itself well before, so one that has said nothing until
//! then will not. The limit is kept here and nowhere else, since a half-read answer poisons a
//! connection: where the waiting ends, the connection must go, too.
//!
//! SQLite has no such limit: its connections are threads that cannot be ended, and a file that does
//! not answer has no other end that could be reached anew. There the callers' waiting is limited
//! (`session.rs`). On SQLite, statements may be deferred until the next one is sent
//! (`pipeline.rs`).

use std::time::Duration;

use tokio::time::timeout;

use crate::dialect::SqlDialect;
use crate::dialect::errors::Failure;
use crate::driver::{Driver as _, DriverConnection, ExecuteOutcome, on_driver};
use crate::error::Error;
use crate::pipeline::{DeferOptions, FlushError, FlushOutcome, Pipeline};
use crate::row::Row;
use crate::statement::{Execution, RenderedSql};

/// How long a change of the schema may take: it may have to read a large table.
const SCHEMA_LIMIT: Duration = Duration::from_hours(24);

/// A connection that has no other user until it is given back or dropped.
pub(crate) struct Connection {
    /// None once it was closed for its silence.
    driver: Option<DriverConnection>,
    /// How long an answer of a server is waited for.
    limit: Duration,
    /// SQLite only. Boxed, since connections lie in futures of every size.
    pipeline: Box<Pipeline>,
}

/// Runs one operation of the driver within the limit of an answer.
macro_rules! limited {
    ($self:ident, $connection:ident => $operation:expr) => {{
        let limit = $self.limit();
        let operation = async { on_driver!($self.driver()?, $connection => $operation.await) };
        let answer = match limit {
            None => Some(operation.await),
            Some(limit) => timeout(limit, operation).await.ok(),
        };
        answer.unwrap_or_else(|| Err($self.close_silent()))
    }};
}

impl Connection {
    /// A connection that waits so long for each answer.
    pub(crate) fn new(driver: impl Into<DriverConnection>, limit: Duration) -> Self {
        Self {
            driver: Some(driver.into()),
            limit,
            pipeline: Box::default(),
        }
    }

    /// From now on, waits for each answer as long as a change of the schema may take.
    pub(crate) fn lift_answer_limit(&mut self) {
        self.limit = SCHEMA_LIMIT;
    }

    /// The limit of a round trip, which only a server has.
    fn limit(&self) -> Option<Duration> {
        (!self.is_sqlite()).then_some(self.limit)
    }

    fn is_sqlite(&self) -> bool {
        let driver = self.driver.as_ref();
        driver.is_some_and(|driver| driver.dialect() == SqlDialect::Sqlite)
    }

    /// Closes a connection whose answer did not come in time, for it is in the middle of something.
    fn close_silent(&mut self) -> Failure {
        if let Some(driver) = self.driver.take() {
            on_driver!(driver, connection => connection.abandon());
        }
        Failure {
            error: Error::Unavailable(format!("no answer within {:?}", self.limit)),
            retry: false,
            lost: true,
        }
    }

    /// Gives the connection back to its pool, or closes one that has no pool. It must not be in a
    /// transaction.
    pub(crate) async fn finish(mut self) {
        if let Some(driver) = self.driver.take() {
            on_driver!(driver, connection => connection.give_back().await);
        }
    }

    /// Runs a statement and reads all its rows.
    pub(crate) async fn fetch(&mut self, execution: &Execution<'_>) -> Result<Vec<Row>, Failure> {
        if !self.pipeline.is_empty() {
            self.pipeline.defer(execution, DeferOptions::default())?;
            return Ok(self.flush_pipeline().await?.rows);
        }
        limited!(self, connection => connection.fetch(execution))
    }

    /// Runs a statement that returns no rows.
    pub(crate) async fn execute(
        &mut self,
        execution: &Execution<'_>,
    ) -> Result<ExecuteOutcome, Failure> {
        if !self.pipeline.is_empty() {
            self.pipeline.defer(execution, DeferOptions::default())?;
            let rows = self.flush_pipeline().await?.touched;
            return Ok(ExecuteOutcome { rows, last_id: 0 });
        }
        limited!(self, connection => connection.execute(execution))
    }

    /// Runs text of our own without arguments and without preparing it: transaction control,
    /// settings.
    pub(crate) async fn command(&mut self, text: &str) -> Result<(), Failure> {
        if self.pipeline.is_empty() {
            return limited!(self, connection => connection.command(text));
        }
        let text = self.pipeline.take_control()? + text;
        let done = limited!(self, connection => connection.command(&text));
        if done.is_err() {
            self.pipeline.break_off();
        }
        done
    }

    /// A schema change: like [`command`](Self::command), but says `false` when `tolerant` and it
    /// was made already.
    pub(crate) async fn change_schema(
        &mut self,
        text: &str,
        tolerant: bool,
    ) -> Result<bool, Failure> {
        limited!(self, connection => connection.change_schema(text, tolerant))
    }

    /// The rows of text of our own without arguments.
    pub(crate) async fn ask(&mut self, text: &str) -> Result<Vec<Row>, Failure> {
        limited!(self, connection => connection.ask(text))
    }

    /// Lets the database check a statement without running it.
    pub(crate) async fn check(&mut self, rendered: &RenderedSql) -> Result<(), Failure> {
        limited!(self, connection => connection.check(rendered))
    }

    fn driver(&mut self) -> Result<&mut DriverConnection, Failure> {
        let closed = || Error::Other("the connection was closed".into());
        self.driver.as_mut().ok_or_else(|| closed().into())
    }

    /// Calls for every step of the machine that runs statements, on SQLite.
    #[cfg(feature = "test-fixture")]
    pub(crate) async fn on_every_step(
        &mut self,
        mut call: Box<dyn FnMut() + Send>,
    ) -> Result<(), Failure> {
        if let DriverConnection::Sqlite(connection) = self.driver()? {
            let handle = connection.lock_handle().await;
            let mut handle = handle
                .map_err(|error| crate::dialect::errors::classify(SqlDialect::Sqlite, &error))?;
            handle.set_progress_handler(1, move || {
                call();
                true
            });
        }
        Ok(())
    }
}

/// What may be deferred on SQLite, and what becomes of it.
impl Connection {
    /// Defers a statement until the next that is sent; says whether it did. Only SQLite does.
    pub(crate) fn defer(
        &mut self,
        execution: &Execution<'_>,
        deferred: DeferOptions,
    ) -> Result<bool, Failure> {
        self.driver()?;
        let defers = self.is_sqlite();
        if defers {
            self.pipeline.defer(execution, deferred)?;
        }
        Ok(defers)
    }

    /// Defers transaction control, on SQLite.
    pub(crate) fn defer_control(&mut self, text: &'static str) {
        self.pipeline.defer_control(text);
    }

    /// Sends the statements that are deferred; the last id that one of them returned.
    pub(crate) async fn flush(&mut self) -> Result<Option<i64>, Failure> {
        if self.pipeline.has_steps() {
            self.flush_pipeline().await?;
        }
        Ok(self.pipeline.take_id())
    }

    /// Sends the statements that are deferred and commits, in one round trip; the last id that one
    /// of them returned.
    pub(crate) async fn flush_and_commit(&mut self) -> Result<Option<i64>, FlushError> {
        let mut pipeline = std::mem::take(&mut self.pipeline);
        let committed = match self.driver() {
            Ok(DriverConnection::Sqlite(connection)) => pipeline.commit(connection).await,
            _ => Err(FlushError::before_commit(only_sqlite())),
        };
        self.pipeline = pipeline;
        committed.map(|()| self.pipeline.take_id())
    }

    async fn flush_pipeline(&mut self) -> Result<FlushOutcome, Failure> {
        let mut pipeline = std::mem::take(&mut self.pipeline);
        let DriverConnection::Sqlite(connection) = self.driver()? else {
            return Err(only_sqlite());
        };
        let outcome = pipeline.flush(connection).await;
        self.pipeline = pipeline;
        outcome
    }

    /// Undoes all that was done since the transaction began.
    pub(crate) async fn roll_back(&mut self) -> Result<(), Failure> {
        let pipeline = std::mem::take(&mut self.pipeline);
        if pipeline.is_unbegun() {
            return Ok(());
        }
        self.command("ROLLBACK").await
    }

    /// Whether statements are deferred.
    pub(crate) fn has_deferred(&self) -> bool {
        self.pipeline.has_steps()
    }

    /// Whether so much is deferred that it should be sent.
    pub(crate) fn is_full(&self) -> bool {
        self.pipeline.is_full()
    }

    /// Whether nothing was sent since the transaction was to begin, so that there is nothing to
    /// commit.
    pub(crate) fn is_unused(&self) -> bool {
        self.pipeline.is_to_begin() && !self.pipeline.has_steps()
    }

    /// Why a transaction could not be begun, on SQLite, where its first statement finds that out.
    pub(crate) fn begin_failure(&self) -> Option<&Failure> {
        self.pipeline.begin_failure()
    }

    /// Forgets the statements that are deferred.
    pub(crate) fn forget_deferred(&mut self) {
        self.pipeline.forget_steps();
    }
}

fn only_sqlite() -> Failure {
    Error::Other("only SQLite defers statements".into()).into()
}
