//! A transaction as its body sees it, and how one run of a body ends.
//!
//! A [`Tx`] runs statements on one connection. Once one has failed, all later ones are refused, on
//! every dialect, whatever the body makes of the error. How a transaction begins and commits is not
//! known here (`commit.rs`), nor how often a body is run (`run.rs`).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sea_query::Query;
use seawall_types::{ChangeId, Context, Millis};

use crate::args::Args;
use crate::builder::Duplicate;
use crate::change::{self, Change};
use crate::connection::Connection;
use crate::dialect::errors::Failure;
use crate::error::{Error, Result};
use crate::pipeline::{self, DeferOptions, Expectation};
use crate::row::Row;
use crate::shared::SharedDatabase;
use crate::statement::{RenderedSql, Statement};
use crate::{args, random};

crate::statements! {
    /// The database's time.
    NOW: |d| Query::select().expr(d.now());
}

/// A transaction under way.
pub struct Tx {
    connection: Connection,
    shared: Arc<SharedDatabase>,
    context: Context,
    now: Option<Millis>,
    change: Option<ChangeId>,
    changes: Vec<Change>,
    failed: Option<Failure>,
}

impl Tx {
    /// All rows. Long lists are handled as by [`Session::all`](crate::Session::all).
    pub async fn all(&mut self, statement: &'static Statement, args: Args) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for (len, args) in statement.batches(&args)? {
            let rendered = self.rendered(statement, len)?;
            let execution = self.shared.execution(rendered, &args);
            let result = self.connection.fetch(&execution).await;
            rows.append(&mut self.note(result)?);
        }
        Ok(rows)
    }

    /// The first row, if any.
    pub async fn optional(
        &mut self,
        statement: &'static Statement,
        args: Args,
    ) -> Result<Option<Row>> {
        Ok(self.all(statement, args).await?.into_iter().next())
    }

    /// The first row; that there is one is the statement's promise.
    pub async fn one(&mut self, statement: &'static Statement, args: Args) -> Result<Row> {
        let row = self.optional(statement, args).await?;
        row.ok_or_else(|| Error::Decode(format!("{statement:?} returned no row")))
    }

    /// Runs a statement that returns nothing and says how many rows it inserted, deleted or, for an
    /// update, matched (whether or not they changed).
    pub async fn execute(&mut self, statement: &'static Statement, args: Args) -> Result<u64> {
        let mut rows = 0;
        for (len, args) in statement.batches(&args)? {
            let rendered = self.rendered(statement, len)?;
            let execution = self.shared.execution(rendered, &args);
            let result = self.connection.execute(&execution).await;
            if swallowed(rendered, &result) {
                continue;
            }
            let done = self.note(retryable(rendered, result))?;
            rows += if rendered.traits.upsert {
                done.rows.min(1)
            } else {
                done.rows
            };
        }
        Ok(rows)
    }

    /// Inserts one row by a statement made with `d.insert_returning` or `d.append`; returns its id.
    pub async fn insert(&mut self, statement: &'static Statement, args: Args) -> Result<i64> {
        let id = self.try_insert(statement, args).await?;
        id.ok_or_else(|| statement.wrong("returns no id"))
    }

    /// [`insert`](Self::insert) by a statement that may insert nothing, and then there is no id.
    pub async fn try_insert(
        &mut self,
        statement: &'static Statement,
        args: Args,
    ) -> Result<Option<i64>> {
        if statement.is_sized() {
            return Err(statement.wrong("inserts several rows; only one has an id to return"));
        }
        let rendered = self.rendered(statement, 0)?;
        self.insert_rendered(rendered, args).await
    }

    async fn insert_rendered(
        &mut self,
        rendered: &'static RenderedSql,
        args: Args,
    ) -> Result<Option<i64>> {
        let execution = self.shared.execution(rendered, &args);
        if rendered.traits.returns_id {
            let result = retryable(rendered, self.connection.fetch(&execution).await);
            let rows = self.note(result)?;
            return rows.first().map(|row| row.int(0)).transpose();
        }
        let result = retryable(rendered, self.connection.execute(&execution).await);
        if swallowed(rendered, &result) {
            return Ok(None);
        }
        let id = self.note(result)?.last_id;
        Ok((id != 0).then_some(id))
    }

    /// Runs a statement of whose outcome nothing is needed but that it does what is expected of it.
    /// It may be deferred and sent together with others, in its order: on SQLite, where a round
    /// trip for each is most of what it costs.
    pub async fn send(
        &mut self,
        statement: &'static Statement,
        args: Args,
        expect: Expectation,
    ) -> Result<()> {
        let deferral = DeferOptions {
            expect,
            has_id: false,
        };
        for (len, args) in statement.batches(&args)? {
            let rendered = self.rendered(statement, len)?;
            let execution = self.shared.execution(rendered, &args);
            let deferred = self.connection.defer(&execution, deferral);
            if self.note(deferred)? {
                if self.connection.is_full() {
                    self.flush().await?;
                }
                continue;
            }
            let result = self.connection.execute(&execution).await;
            let touched = if swallowed(rendered, &result) {
                0
            } else {
                self.note(retryable(rendered, result))?.rows
            };
            if expect == Expectation::ARow && touched == 0 {
                self.note(Err(pipeline::outdated()))?;
            }
        }
        Ok(())
    }

    /// Announces a change to all replicas, as part of this transaction.
    pub async fn change(&mut self, change: Change) -> Result<()> {
        let args = args![
            random::nonce(),
            change.kind,
            change.a,
            change.b,
            change.name.as_deref()
        ];
        self.append(&change::APPEND, args, 1).await?;
        self.changes.push(change);
        Ok(())
    }

    /// Notes a change that another transaction has announced and whose effect this one has seen:
    /// this one may end before the follower of this process has read the other's row, so what it
    /// tells its own process includes it.
    pub fn saw(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Announces several changes, every two by one statement.
    pub async fn changes(&mut self, changes: &[Change]) -> Result<()> {
        let (pairs, rest) = changes.as_chunks::<2>();
        for [first, second] in pairs {
            let args = args![
                random::nonce(),
                first.kind,
                first.a,
                first.b,
                first.name.as_deref(),
                random::nonce(),
                second.kind,
                second.a,
                second.b,
                second.name.as_deref()
            ];
            self.append(&change::APPEND_TWO, args, 2).await?;
            self.changes.extend([first.clone(), second.clone()]);
        }
        for change in rest {
            self.change(change.clone()).await?;
        }
        Ok(())
    }

    /// Appends rows to the change log; the last one's id is known at the end of the transaction at
    /// the latest.
    async fn append(&mut self, statement: &'static Statement, args: Args, rows: i64) -> Result<()> {
        let rendered = self.rendered(statement, 0)?;
        let deferral = DeferOptions {
            expect: Expectation::Nothing,
            has_id: true,
        };
        let execution = self.shared.execution(rendered, &args);
        let deferred = self.connection.defer(&execution, deferral);
        if self.note(deferred)? {
            return Ok(());
        }
        // Rows of one statement are numbered one by one. Where a server counts in larger steps, a
        // reader that has read the first has read all the same, since they were committed together.
        let id = self.insert_rendered(rendered, args).await?;
        let id = id.ok_or_else(|| statement.wrong("returns no id"))?;
        self.change = Some(ChangeId::from(id.saturating_add(rows - 1)));
        Ok(())
    }

    /// Sends what is deferred.
    async fn flush(&mut self) -> Result<()> {
        if self.failed.is_some() {
            self.connection.forget_deferred();
            return Ok(());
        }
        let sent = self.connection.flush().await;
        if let Some(id) = self.note(sent)? {
            self.change = Some(ChangeId::from(id));
        }
        Ok(())
    }

    /// The database's time, asked for once per transaction.
    pub async fn now(&mut self) -> Result<Millis> {
        if let Some(now) = self.now {
            return Ok(now);
        }
        let begun = self.shared.clock.elapsed();
        let now = self.one(&NOW, args![]).await?.millis(0)?;
        self.shared.time.note(now, begun);
        self.now = Some(now);
        Ok(now)
    }

    /// The text to run, charged; refused when an earlier statement has failed.
    fn rendered(&self, statement: &'static Statement, len: usize) -> Result<&'static RenderedSql> {
        if let Some(failure) = &self.failed {
            // PostgreSQL refuses, the others would go on: all of them refuse here.
            return Err(failure.error.clone());
        }
        let rendered = statement.for_len(self.shared.pools.dialect(), len)?;
        if rendered.is_read {
            self.context.cost.charge_reads(1);
        } else {
            self.context.cost.charge_writes(1);
        }
        Ok(rendered)
    }

    fn note<T>(&mut self, result: Result<T, Failure>) -> Result<T> {
        result.map_err(|failure| {
            let error = failure.error.clone();
            if matches!(error, Error::ReadOnly(_)) {
                self.shared.observe_standby();
            }
            self.failed = Some(failure);
            error
        })
    }
}

/// A duplicate in an append-only log is a void row that took our id: another attempt gets another
/// id.
fn retryable<T>(rendered: &RenderedSql, result: Result<T, Failure>) -> Result<T, Failure> {
    result.map_err(|mut failure| {
        failure.retry |= rendered.is_retried() && failure.error.is_unique();
        failure
    })
}

/// Whether a failure only says that the row was there already, which the statement is to allow.
fn swallowed<T>(rendered: &RenderedSql, result: &Result<T, Failure>) -> bool {
    rendered.traits.duplicate == Duplicate::Swallowed
        && result
            .as_ref()
            .is_err_and(|failure| failure.error.is_unique())
}

/// What a transaction returned, and what it announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOutcome<T> {
    /// What the body returned.
    pub value: T,
    /// The change that other replicas must have seen before the commit is acknowledged.
    pub change: Option<ChangeId>,
    /// All changes that it announced or saw, for this process, which need not wait for the log.
    pub changes: Vec<Change>,
}

/// What a transaction runs; it may run several times.
pub(crate) trait TransactionBody<T, E>:
    for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static
{
}

impl<T, E, F> TransactionBody<T, E> for F where
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static
{
}

/// How an attempt ended: of a body before the commit, of a transaction after it.
pub(crate) type AttemptResult<T, E> = Result<CommitOutcome<T>, AttemptError<E>>;

/// Why an attempt did not commit.
pub(crate) struct AttemptError<E> {
    pub(crate) error: E,
    pub(crate) retry: bool,
}

impl<E: From<Error>> From<Failure> for AttemptError<E> {
    fn from(failure: Failure) -> Self {
        Self {
            error: failure.error.into(),
            retry: failure.retry,
        }
    }
}

/// Runs a body in a transaction that is open. Says how it ended, and gives the connection back, on
/// which the last statements of a body that ended well may still be deferred.
pub(crate) async fn run_body<T, E, F>(
    shared: &Arc<SharedDatabase>,
    context: &Context,
    connection: Connection,
    body: &F,
) -> (Connection, AttemptResult<T, E>)
where
    F: TransactionBody<T, E>,
    E: From<Error>,
{
    let mut tx = Tx {
        connection,
        shared: Arc::clone(shared),
        context: context.clone(),
        now: None,
        change: None,
        changes: Vec::new(),
        failed: None,
    };
    // A panic in the body must not take the connection's transaction with it into the pool.
    let outcome = AssertUnwindSafe(async { body(&mut tx).await })
        .catch_unwind()
        .await;
    let outcome = match outcome {
        Ok(ended) => ended,
        Err(_) => Err(Error::Other("the body of a transaction panicked".into()).into()),
    };
    if outcome.is_err() || tx.failed.is_some() {
        tx.connection.forget_deferred();
    }
    let Tx {
        connection,
        change,
        changes,
        failed,
        ..
    } = tx;
    let attempt = match (outcome, failed) {
        (Ok(value), None) => Ok(CommitOutcome {
            value,
            change,
            changes,
        }),
        // The body overlooked an error; the transaction is lost on every dialect.
        (Ok(_), Some(failure)) => Err(failure.into()),
        (Err(error), failed) => Err(AttemptError {
            error,
            retry: failed.is_some_and(|failure| failure.retry),
        }),
    };
    (connection, attempt)
}
