//! Statements that travel together, on SQLite.
//!
//! A SQLite connection lives in a thread of its own, and a trip there and back costs about as much as a statement. So
//! what nobody waits for is held back and goes along with the next statement whose outcome is wanted, or at the end.
//! Nothing overtakes anything: statements run in the order in which they came, and once one fails, none behind it runs.
//! An expectation that is not met is found out afterwards; what ran behind it is undone with its transaction.
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
}

#[derive(Clone, Copy)]
struct Step {
    expect: Expect,
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
        !self.broken && self.brackets.first() == Some(&Dialect::Sqlite.begin())
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
            expect,
            retried: rendered.is_retried(),
            has_id,
        });
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
        let ahead = self.brackets.len();
        let mut text = self.take_brackets()?;
        text.push_str(&self.text);
        let arguments = std::mem::take(&mut self.arguments);
        let steps = std::mem::take(&mut self.steps);
        self.text.clear();
        let kept = text.len() <= LONGEST_KEPT;
        let query = sqlx::query_with(AssertSqlSafe(text), arguments).persistent(kept);
        let mut answers = connection.fetch_many(query);
        let (mut done, mut rows, mut touched) = (0, Vec::new(), 0);
        loop {
            let step = steps.get(usize::wrapping_sub(done, ahead)).copied();
            match answers.try_next().await {
                Ok(Some(Either::Right(row))) => rows.push(row),
                Ok(Some(Either::Left(result))) => {
                    done += 1;
                    touched = result.rows_affected();
                    if let Some(step) = step {
                        let id = step.settle(touched, &rows)?;
                        self.last_id = id.or(self.last_id);
                    }
                    // Those of the last are wanted.
                    if done < ahead + steps.len() {
                        rows.clear();
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    self.broken = done < ahead;
                    let mut failure = classify(Dialect::Sqlite, &error);
                    let retried = step.is_some_and(|step| step.retried);
                    failure.retry |= retried && failure.error.is_unique();
                    return Err(failure);
                }
            }
        }
        let rows = rows
            .iter()
            .map(cells::sqlite_row)
            .collect::<Result<_, _>>()?;
        Ok(Landed { rows, touched })
    }
}

impl Step {
    /// Whether it did what was expected; the id that it returned.
    fn settle(self, touched: u64, rows: &[SqliteRow]) -> Result<Option<i64>, Failure> {
        if self.expect == Expect::ARow && touched == 0 {
            return Err(outdated());
        }
        match rows.last() {
            Some(row) if self.has_id => Ok(Some(cells::sqlite_row(row)?.int(0)?)),
            _ => Ok(None),
        }
    }
}

/// A row was there, or was not, other than had been read.
pub(crate) fn outdated() -> Failure {
    Failure {
        error: Error::Busy("what was read is out of date".into()),
        retry: true,
        lost: false,
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
