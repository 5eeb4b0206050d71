//! Statements that travel together, on SQLite.
//!
//! A SQLite connection lives in a thread of its own, and a trip there and back costs about as much as a statement. So
//! what nobody waits for is held back and goes along with the next statement whose outcome is wanted, or at the end.
//! Nothing overtakes anything: statements run in the order in which they came, and once one fails, none behind it runs.
//! An expectation is checked by a statement of ours behind the one that is to meet it, which fails if it has not, so
//! that even a commit may travel along.
//!
//! Brackets (`BEGIN`, `SAVEPOINT`, `RELEASE`) travel ahead of the statements. One that fails leaves the connection in an
//! unknown place, so that from then on all is refused but the way back.

use futures::TryStreamExt as _;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Either, Executor as _};

use crate::args::{Arg, Args};
use crate::cells;
use crate::dialect::Dialect;
use crate::dialect::errors::{Failure, classify};
use crate::error::Error;
use crate::row::Row;
use crate::statement::Rendered;

/// So many statements are held back at most: a transaction may have thousands.
const MOST: usize = 16;

/// A longer text, in bytes, is not kept prepared. Texts are put together in many ways, and each that is kept takes many
/// times its length.
const LONGEST_KEPT: usize = 8 << 10;

/// Fails if the statement before it has touched no row. SQLite raises errors of ours within triggers only; outside of
/// them a text that is no JSON does as well.
const EXPECTED: &str = "SELECT CASE changes() WHEN 0 THEN json('') END;";

/// What a statement must do for its transaction to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything but fail.
    Nothing,
    /// Insert, change or delete a row. If it does not, what the transaction had read before was out of date, and it is
    /// run again.
    ARow,
}

/// What is held back.
#[derive(Default)]
pub(crate) struct Pipeline {
    brackets: Vec<&'static str>,
    text: String,
    arguments: SqliteArguments,
    steps: Vec<Step>,
    /// The last id that a statement which was held back has returned.
    last_id: Option<i64>,
    broken: bool,
    /// Why the transaction could not be begun; there is none then.
    unbegun: Option<Failure>,
}

#[derive(Clone, Copy, Default)]
struct Step {
    /// It is not the caller's, but says whether the one before did what was expected.
    checks: bool,
    /// A duplicate is overcome by running the transaction again.
    retried: bool,
    /// The id that it returns is of interest.
    has_id: bool,
}

/// The outcome of the last statement of a trip.
pub(crate) struct Landed {
    pub(crate) rows: Vec<Row>,
    pub(crate) touched: u64,
}

/// Why a trip ended early.
pub(crate) struct Stopped {
    pub(crate) failure: Failure,
    /// It was the commit that failed, not what it was to make durable.
    pub(crate) at_the_end: bool,
}

impl Pipeline {
    /// Whether nothing is held back.
    pub(crate) fn is_empty(&self) -> bool {
        self.brackets.is_empty() && self.steps.is_empty() && !self.broken
    }

    /// Whether statements are held back.
    pub(crate) fn has_steps(&self) -> bool {
        !self.steps.is_empty()
    }

    /// Whether no more should be held back.
    pub(crate) fn is_full(&self) -> bool {
        self.steps.len() >= MOST
    }

    /// Whether the transaction has not even begun.
    pub(crate) fn is_unbegun(&self) -> bool {
        self.is_to_begin() || self.unbegun.is_some()
    }

    /// Whether the beginning of the transaction is itself held back.
    pub(crate) fn is_to_begin(&self) -> bool {
        !self.broken && self.brackets.first() == Some(&Dialect::Sqlite.begin())
    }

    /// Why the transaction could not be begun, if that was tried.
    pub(crate) fn why_unbegun(&self) -> Option<&Failure> {
        self.unbegun.as_ref()
    }

    /// Holds a bracket back. There must be no statements.
    pub(crate) fn bracket(&mut self, text: &'static str) {
        self.brackets.push(text);
    }

    /// Holds a statement back.
    pub(crate) fn hold(
        &mut self,
        rendered: &Rendered,
        (args, shift): (&Args, &Arg),
        expect: Expect,
        has_id: bool,
    ) -> Result<(), Failure> {
        let arguments = std::mem::take(&mut self.arguments);
        self.arguments = cells::sqlite_arguments(arguments, rendered, args, shift)?;
        self.text.push_str(&rendered.sql);
        self.text.push(';');
        self.steps.push(Step {
            retried: rendered.is_retried(),
            has_id,
            ..Step::default()
        });
        if expect == Expect::ARow {
            self.text.push_str(EXPECTED);
            self.steps.push(Step {
                checks: true,
                ..Step::default()
            });
        }
        Ok(())
    }

    /// Forgets the statements that are held back, not the brackets.
    pub(crate) fn forget_steps(&mut self) {
        self.text.clear();
        self.arguments = SqliteArguments::default();
        self.steps.clear();
        self.last_id = None;
    }

    /// The last id that a statement returned which was held back.
    pub(crate) fn take_id(&mut self) -> Option<i64> {
        self.last_id.take()
    }

    /// The brackets as text, which the caller runs before its own. There must be no statements.
    pub(crate) fn take_brackets(&mut self) -> Result<String, Failure> {
        if self.broken {
            return Err(astray());
        }
        let mut text = String::new();
        for bracket in self.brackets.drain(..) {
            text.push_str(bracket);
            text.push(';');
        }
        Ok(text)
    }

    /// Refuses everything from now on.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
    }

    /// Sends what is held back, and reads what the last statement returned.
    pub(crate) async fn send(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<Landed, Failure> {
        let sent = self.travel(connection, "").await;
        sent.map_err(|stopped| stopped.failure)
    }

    /// Sends what is held back with a `COMMIT` behind it.
    pub(crate) async fn commit(
        &mut self,
        connection: &mut SqliteConnection,
    ) -> Result<(), Stopped> {
        self.travel(connection, "COMMIT").await.map(drop)
    }

    async fn travel(
        &mut self,
        connection: &mut SqliteConnection,
        last: &str,
    ) -> Result<Landed, Stopped> {
        let ahead = self.brackets.len();
        let begins = self.brackets.first() == Some(&Dialect::Sqlite.begin());
        let commits = !last.is_empty();
        let mut text = self.take_brackets().map_err(Stopped::on_the_way)?;
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
        // What cannot be read is told at the end: statements behind it, a commit too, run all the same.
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
                    return Err(Stopped::on_the_way(outdated()));
                }
                Err(error) => {
                    self.broken = done < ahead;
                    let mut failure = classify(Dialect::Sqlite, &error);
                    if begins && done == 0 {
                        self.unbegun = Some(failure.clone());
                    }
                    let retried = step.is_some_and(|step| step.retried);
                    failure.retry |= retried && failure.error.is_unique();
                    let at_the_end = done == ahead + steps.len();
                    return Err(Stopped {
                        failure,
                        at_the_end,
                    });
                }
            }
        }
        if commits {
            // It is done, and nothing that was read on the way changes that. An id that is none is one less to wait for.
            let rows = Vec::new();
            return Ok(Landed { rows, touched });
        }
        if let Some(failure) = unreadable {
            return Err(Stopped::on_the_way(failure));
        }
        let rows = rows
            .iter()
            .map(cells::sqlite_row)
            .collect::<Result<_, _>>()
            .map_err(Stopped::on_the_way)?;
        Ok(Landed { rows, touched })
    }
}

impl Stopped {
    /// Before the end.
    pub(crate) fn on_the_way(failure: Failure) -> Self {
        Self {
            failure,
            at_the_end: false,
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

/// The connection's thread ended on the way. Whether there was a commit then nobody knows.
fn broken_off(committing: bool) -> Stopped {
    Stopped {
        failure: Failure {
            error: Error::Unavailable("the connection broke off".into()),
            retry: false,
            lost: true,
        },
        at_the_end: committing,
    }
}

/// What a connection answers on which a bracket failed.
fn astray() -> Failure {
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
        pipeline.bracket("");
        let failure = pipeline.send(&mut connection).await.err().unwrap();
        assert!(failure.lost && !failure.retry);

        pipeline.bracket("");
        pipeline.bracket(Dialect::Sqlite.begin());
        let stopped = pipeline.commit(&mut connection).await.err().unwrap();
        assert!(stopped.failure.lost && stopped.at_the_end);
    }
}
