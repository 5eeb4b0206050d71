//! Deferred statements: what is sent to SQLite in one round trip.
//!
//! A SQLite connection lives in a thread of its own, and a round trip to that thread costs about as
//! much as a statement. So a statement whose outcome is not needed at once is deferred, and is sent
//! with the next one whose outcome is, or at the end. The order is kept: statements run in the
//! order in which they came, and once one fails, none behind it runs. An expectation is checked by
//! a statement of ours behind the one that is to meet it, which fails if it has not, so that even a
//! commit may be part of the same round trip.
//!
//! Transaction control (`BEGIN`, `SAVEPOINT`, `RELEASE`) is deferred, too, and sent ahead of the
//! statements. If it fails, the connection is in an unknown state, and from then on everything is
//! refused but the rollback.

use futures::TryStreamExt as _;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Either, Executor as _};

use crate::cells;
use crate::dialect::SqlDialect;
use crate::dialect::errors::{Failure, classify};
use crate::error::Error;
use crate::row::Row;
use crate::statement::Execution;

/// How many statements are deferred at most: a transaction may have thousands.
const MOST: usize = 16;

/// A longer text, in bytes, is not kept prepared. Texts are put together in many ways, and each
/// that is kept takes many times its length.
const LONGEST_KEPT: usize = 8 << 10;

/// Fails if the statement before it has touched no row. SQLite raises errors of ours within
/// triggers only; outside of them a text that is no JSON does as well.
const EXPECTED: &str = "SELECT CASE changes() WHEN 0 THEN json('') END;";

/// What a statement must do for its transaction to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// Anything but fail.
    Nothing,
    /// Insert, change or delete a row. If it does not, what the transaction had read before was out
    /// of date, and it is run again.
    ARow,
}

/// How a statement is deferred.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeferOptions {
    /// What it must do.
    pub(crate) expect: Expectation,
    /// Whether the id that it returns is of interest.
    pub(crate) has_id: bool,
}

impl Default for DeferOptions {
    fn default() -> Self {
        Self {
            expect: Expectation::Nothing,
            has_id: false,
        }
    }
}

/// What is deferred on a connection.
#[derive(Default)]
pub(crate) struct Pipeline {
    /// Transaction control, sent ahead of the statements.
    control: Vec<&'static str>,
    text: String,
    arguments: SqliteArguments,
    steps: Vec<PipelineStep>,
    /// The last id that a deferred statement has returned.
    last_id: Option<i64>,
    /// Transaction control failed, so the state of the connection is not known.
    broken: bool,
    /// Why the transaction could not be begun; there is none then.
    begin_failure: Option<Failure>,
}

#[derive(Clone, Copy, Default)]
struct PipelineStep {
    /// It is not the caller's, but says whether the one before did what was expected.
    checks: bool,
    /// A duplicate is overcome by running the transaction again.
    retried: bool,
    /// The id that it returns is of interest.
    has_id: bool,
}

/// The outcome of the last statement of a round trip.
pub(crate) struct FlushOutcome {
    pub(crate) rows: Vec<Row>,
    pub(crate) touched: u64,
}

/// Why a round trip ended early.
pub(crate) struct FlushError {
    pub(crate) failure: Failure,
    /// It was the commit that failed, not what it was to make durable.
    pub(crate) at_commit: bool,
}

impl Pipeline {
    /// Whether nothing is deferred.
    pub(crate) fn is_empty(&self) -> bool {
        self.control.is_empty() && self.steps.is_empty() && !self.broken
    }

    /// Whether statements are deferred.
    pub(crate) fn has_steps(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Whether no more should be deferred.
    pub(crate) fn is_full(&self) -> bool {
        self.steps.len() >= MOST
    }

    /// Whether the transaction has not even begun.
    pub(crate) fn is_unbegun(&self) -> bool {
        self.is_to_begin() || self.begin_failure.is_some()
    }

    /// Whether the beginning of the transaction is itself deferred.
    pub(crate) fn is_to_begin(&self) -> bool {
        !self.broken && self.control.first() == Some(&SqlDialect::Sqlite.begin())
    }

    /// Why the transaction could not be begun, if that was tried.
    pub(crate) fn begin_failure(&self) -> Option<&Failure> {
        self.begin_failure.as_ref()
    }

    /// Defers transaction control. There must be no statements.
    pub(crate) fn defer_control(&mut self, text: &'static str) {
        self.control.push(text);
    }

    /// Defers a statement.
    pub(crate) fn defer(
        &mut self,
        execution: &Execution<'_>,
        deferred: DeferOptions,
    ) -> Result<(), Failure> {
        let arguments = std::mem::take(&mut self.arguments);
        self.arguments = cells::sqlite_arguments(arguments, execution)?;
        self.text.push_str(&execution.rendered.sql);
        self.text.push(';');
        self.steps.push(PipelineStep {
            retried: execution.rendered.is_retried(),
            has_id: deferred.has_id,
            ..PipelineStep::default()
        });
        if deferred.expect == Expectation::ARow {
            self.text.push_str(EXPECTED);
            self.steps.push(PipelineStep {
                checks: true,
                ..PipelineStep::default()
            });
        }
        Ok(())
    }

    /// Forgets the deferred statements, not the transaction control.
    pub(crate) fn forget_steps(&mut self) {
        self.text.clear();
        self.arguments = SqliteArguments::default();
        self.steps.clear();
        self.last_id = None;
    }

    /// The last id that a deferred statement returned.
    pub(crate) fn take_id(&mut self) -> Option<i64> {
        self.last_id.take()
    }

    /// The deferred transaction control as text, which the caller runs before its own. There must
    /// be no statements.
    pub(crate) fn take_control(&mut self) -> Result<String, Failure> {
        if self.broken {
            return Err(broken());
        }
        let mut text = String::new();
        for control in self.control.drain(..) {
            text.push_str(control);
            text.push(';');
        }
        Ok(text)
    }

    /// Refuses everything from now on.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
    }

    /// Sends what is deferred, and reads what the last statement returned.
    pub(crate) async fn flush(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<FlushOutcome, Failure> {
        let flushed = self.flush_with(connection, "").await;
        flushed.map_err(|error| error.failure)
    }

    /// Sends what is deferred with a `COMMIT` behind it.
    pub(crate) async fn commit(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), FlushError> {
        self.flush_with(connection, "COMMIT").await.map(drop)
    }

    async fn flush_with(
        &mut self,
        connection: &mut SqliteConnection,
        last: &str,
    ) -> Result<FlushOutcome, FlushError> {
        let ahead = self.control.len();
        let begins = self.control.first() == Some(&SqlDialect::Sqlite.begin());
        let commits = !last.is_empty();
        let mut text = self.take_control().map_err(FlushError::before_commit)?;
        text.push_str(&self.text);
        text.push_str(last);
        let arguments = std::mem::take(&mut self.arguments);
        let steps = std::mem::take(&mut self.steps);
        self.text.clear();
        let expected = ahead + steps.len() + usize::from(commits);
        let kept = text.len() <= LONGEST_KEPT;
        let query = sqlx::query_with(AssertSqlSafe(text), arguments).persistent(kept);
        let mut answers = connection.fetch_many(query);
        let (mut done, mut rows, mut touched) = (0, Vec::new(), 0);
        // What cannot be read is reported at the end: the statements behind it run all the same,
        // and so does a commit.
        let mut unreadable = None;
        loop {
            let step = steps.get(usize::wrapping_sub(done, ahead)).copied();
            match answers.try_next().await {
                Ok(Some(Either::Right(row))) => rows.push(row),
                Ok(Some(Either::Left(result))) => {
                    done += 1;
                    touched = result.rows_affected();
                    if step.is_some_and(|step| step.has_id) {
                        match id_of(&rows) {
                            Ok(id) => self.last_id = id,
                            Err(failure) => unreadable = Some(failure),
                        }
                    }
                    // Those of the last are wanted.
                    if done < ahead + steps.len() {
                        rows.clear();
                    }
                }
                Ok(None) if done < expected => return Err(broken_off(commits)),
                Ok(None) => break,
                Err(_) if step.is_some_and(|step| step.checks) => {
                    return Err(FlushError::before_commit(outdated()));
                }
                Err(error) => {
                    self.broken = done < ahead;
                    let mut failure = classify(SqlDialect::Sqlite, &error);
                    if begins && done == 0 {
                        self.begin_failure = Some(failure.clone());
                    }
                    let retried = step.is_some_and(|step| step.retried);
                    failure.retry |= retried && failure.error.is_unique();
                    let at_commit = done == ahead + steps.len();
                    return Err(FlushError { failure, at_commit });
                }
            }
        }
        if commits {
            // It is done, and nothing that was read before changes that. An id that could not be
            // read is only one less to wait for.
            let rows = Vec::new();
            return Ok(FlushOutcome { rows, touched });
        }
        if let Some(failure) = unreadable {
            return Err(FlushError::before_commit(failure));
        }
        let rows = rows
            .iter()
            .map(cells::sqlite_row)
            .collect::<Result<_, _>>()
            .map_err(FlushError::before_commit)?;
        Ok(FlushOutcome { rows, touched })
    }
}

impl FlushError {
    /// A failure before the commit.
    pub(crate) fn before_commit(failure: Failure) -> Self {
        Self {
            failure,
            at_commit: false,
        }
    }
}

/// The id that a statement returned, if it did.
fn id_of(rows: &[SqliteRow]) -> Result<Option<i64>, Failure> {
    let Some(row) = rows.last() else {
        return Ok(None);
    };
    Ok(Some(cells::sqlite_row(row)?.int(0)?))
}

/// A row was there, or was not, other than had been read.
pub(crate) fn outdated() -> Failure {
    Failure {
        error: Error::Busy("what was read is out of date".into()),
        retry: true,
        lost: false,
    }
}

/// The connection's thread ended before it had answered. Whether there was a commit is not known.
fn broken_off(committing: bool) -> FlushError {
    FlushError {
        failure: Failure {
            error: Error::Unavailable("the connection broke off".into()),
            retry: false,
            lost: true,
        },
        at_commit: committing,
    }
}

/// What a connection answers on which transaction control has failed.
fn broken() -> Failure {
    Failure {
        error: Error::Unavailable("the transaction was broken off".into()),
        retry: true,
        lost: false,
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_never_comes_is_no_success() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let mut pipeline = Pipeline::default();
        // SQLite has no answer to nothing, as it has none to what was sent when its thread ended.
        pipeline.defer_control("");
        let failure = pipeline.flush(&mut connection).await.err().unwrap();
        assert!(failure.lost && !failure.retry);

        pipeline.defer_control("");
        pipeline.defer_control(SqlDialect::Sqlite.begin());
        let error = pipeline.commit(&mut connection).await.err().unwrap();
        assert!(error.failure.lost && error.at_commit);
    }
}
