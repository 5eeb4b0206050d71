//! Transactions that run to their end, and again when the database asks for it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sea_query::Query;
use seawall_types::{ChangeId, Context, Millis};

use crate::args::Args;
use crate::change::{self, Change};
use crate::connection::Lease;
use crate::dialect::Dialect;
use crate::dialect::errors::Failure;
use crate::error::{Error, Result};
use crate::meta::Shared;
use crate::pipeline::{self, Expect};
use crate::row::Row;
use crate::session::{Committed, Repeats, batches};
use crate::statement::{Duplicate, Rendered, Statement};
use crate::{args, joint, random};

/// How often a transaction is run at most.
const ATTEMPTS: u32 = 8;
/// No further attempt begins after so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// The first pause between attempts; doubled each time.
const PAUSE: Duration = Duration::from_millis(5);

crate::statements! {
    /// The database's time.
    NOW: |d| Query::select().expr(d.now());
}

/// A transaction under way.
pub struct Tx {
    lease: Lease,
    shared: Arc<Shared>,
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
        for (len, args) in batches(statement, &args)? {
            let rendered = self.rendered(statement, len)?;
            let result = self
                .lease
                .fetch(rendered, &args, &self.shared.shift())
                .await;
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

    /// Runs a statement that returns nothing and says how many rows it inserted, deleted or, for an update, matched
    /// (whether or not they changed).
    pub async fn execute(&mut self, statement: &'static Statement, args: Args) -> Result<u64> {
        let mut rows = 0;
        for (len, args) in batches(statement, &args)? {
            let rendered = self.rendered(statement, len)?;
            let result = self
                .lease
                .execute(rendered, &args, &self.shared.shift())
                .await;
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
        rendered: &'static Rendered,
        args: Args,
    ) -> Result<Option<i64>> {
        let shift = self.shared.shift();
        if rendered.traits.returns_id {
            let result = retryable(rendered, self.lease.fetch(rendered, &args, &shift).await);
            let rows = self.note(result)?;
            return rows.first().map(|row| row.int(0)).transpose();
        }
        let result = retryable(rendered, self.lease.execute(rendered, &args, &shift).await);
        if swallowed(rendered, &result) {
            return Ok(None);
        }
        let id = self.note(result)?.last_id;
        Ok((id != 0).then_some(id))
    }

    /// Runs a statement of whose outcome nothing is wanted but that it does what is expected of it. It may run later, in
    /// its turn, together with others: on SQLite, where waiting for each is most of what it costs.
    pub async fn send(
        &mut self,
        statement: &'static Statement,
        args: Args,
        expect: Expect,
    ) -> Result<()> {
        for (len, args) in batches(statement, &args)? {
            let rendered = self.rendered(statement, len)?;
            let shift = self.shared.shift();
            let held = self.lease.hold(rendered, (&args, &shift), expect, false);
            if self.note(held)? {
                if self.lease.is_full() {
                    self.flush().await?;
                }
                continue;
            }
            let result = self.lease.execute(rendered, &args, &shift).await;
            let touched = if swallowed(rendered, &result) {
                0
            } else {
                self.note(retryable(rendered, result))?.rows
            };
            if expect == Expect::ARow && touched == 0 {
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

    /// Notes a change that another transaction has announced and whose effect this one has seen: it may end before this
    /// process has heard of the other's end, so what it tells its own process includes it.
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

    /// Appends rows to the change log; the last one's id is known at the end of the transaction at the latest.
    async fn append(&mut self, statement: &'static Statement, args: Args, rows: i64) -> Result<()> {
        let rendered = self.rendered(statement, 0)?;
        let shift = self.shared.shift();
        let held = self
            .lease
            .hold(rendered, (&args, &shift), Expect::Nothing, true);
        if self.note(held)? {
            return Ok(());
        }
        // Rows of one statement are numbered one by one. Where a server counts in larger steps, whoever
        // has read the first has read all the same, since they were committed together.
        let id = self.insert_rendered(rendered, args).await?;
        let id = id.ok_or_else(|| statement.wrong("returns no id"))?;
        self.change = Some(ChangeId::from(id.saturating_add(rows - 1)));
        Ok(())
    }

    /// Sends what was held back.
    async fn flush(&mut self) -> Result<()> {
        if self.failed.is_some() {
            self.lease.forget();
            return Ok(());
        }
        let sent = self.lease.flush().await;
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
        self.shared.note_time(now, begun);
        self.now = Some(now);
        Ok(now)
    }

    /// The text to run, charged; refused when an earlier statement has failed.
    fn rendered(&self, statement: &'static Statement, len: usize) -> Result<&'static Rendered> {
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
                self.shared.saw_standby();
            }
            self.failed = Some(failure);
            error
        })
    }
}

/// A duplicate in an append-only log is a void row that took our id: another attempt gets another id.
fn retryable<T>(rendered: &Rendered, result: Result<T, Failure>) -> Result<T, Failure> {
    result.map_err(|mut failure| {
        failure.retry |= rendered.is_retried() && failure.error.is_unique();
        failure
    })
}

/// Whether a failure only says that the row was there already, which is what the statement meant to allow.
fn swallowed<T>(rendered: &Rendered, result: &Result<T, Failure>) -> bool {
    rendered.traits.duplicate == Duplicate::Swallowed
        && result
            .as_ref()
            .is_err_and(|failure| failure.error.is_unique())
}

/// What a transaction runs; it may run several times.
pub(crate) trait Body<T, E>:
    for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static
{
}

impl<T, E, F> Body<T, E> for F where
    F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static
{
}

/// How a body ended, before its transaction did.
pub(crate) type Ran<T, E> = Result<Committed<T>, Aborted<E>>;

/// How one attempt ended when it did not commit.
pub(crate) struct Aborted<E> {
    pub(crate) error: E,
    pub(crate) retry: bool,
}

impl<E: From<Error>> From<Failure> for Aborted<E> {
    fn from(failure: Failure) -> Self {
        Self {
            error: failure.error.into(),
            retry: failure.retry,
        }
    }
}

/// Runs the body until it commits, fails for good, or patience ends.
pub(crate) async fn run<T, E, F>(
    shared: &Arc<Shared>,
    context: &Context,
    body: F,
) -> Result<Committed<T>, E>
where
    F: Body<T, E>,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let begun = shared.clock.elapsed();
    let body = Arc::new(body);
    let joint = shared.pools.dialect() == Dialect::Sqlite;
    let mut attempt = 1;
    loop {
        let ran = if joint {
            joint::attempt(shared, context, &body).await
        } else {
            attempt_once(shared, context, &*body).await
        };
        let aborted = match ran {
            Ok(committed) => return Ok(committed),
            Err(aborted) => aborted,
        };
        let waited = shared.clock.elapsed().saturating_sub(begun);
        if !aborted.retry || attempt >= ATTEMPTS || waited >= PATIENCE {
            return Err(aborted.error);
        }
        // No connection is held while waiting.
        tokio::time::sleep(random::jitter(PAUSE * 2_u32.pow(attempt))).await;
        attempt += 1;
    }
}

async fn attempt_once<T, E, F>(shared: &Arc<Shared>, context: &Context, body: &F) -> Ran<T, E>
where
    F: Body<T, E>,
    E: From<Error>,
{
    let (lease, held) = begin(shared).await?;
    let (lease, ran) = run_body(shared, context, lease, body).await;
    let ended = end(lease, ran).await;
    context
        .cost
        .charge_db(shared.clock.elapsed().saturating_sub(held));
    ended
}

/// Runs a body in a transaction that is open; says how it ended, and gives the connection back, which may hold back the
/// last statements of a body that ended well.
pub(crate) async fn run_body<T, E, F>(
    shared: &Arc<Shared>,
    context: &Context,
    lease: Lease,
    body: &F,
) -> (Lease, Ran<T, E>)
where
    F: Body<T, E>,
    E: From<Error>,
{
    let mut tx = Tx {
        lease,
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
        tx.lease.forget();
    }
    let Tx {
        lease,
        change,
        changes,
        failed,
        ..
    } = tx;
    let ran = match (outcome, failed) {
        (Ok(value), None) => Ok(Committed {
            value,
            change,
            changes,
        }),
        // The body overlooked an error; the transaction is lost on every dialect.
        (Ok(_), Some(failure)) => Err(failure.into()),
        (Err(error), failed) => Err(Aborted {
            error,
            retry: failed.is_some_and(|failure| failure.retry),
        }),
    };
    (lease, ran)
}

/// A connection in a new transaction, and since when it is held.
pub(crate) async fn begin(shared: &Shared) -> Result<(Lease, Duration), Failure> {
    let mut repeats = Repeats::new(shared);
    loop {
        let mut lease = shared.pools.writer().await?;
        let held = shared.clock.elapsed();
        if shared.pools.dialect() == Dialect::Sqlite {
            lease.bracket(Dialect::Sqlite.begin());
            return Ok((lease, held));
        }
        match lease.command(shared.pools.dialect().begin()).await {
            Ok(()) => return Ok((lease, held)),
            // Broken while idle: nothing has happened yet.
            Err(failure) if failure.lost && repeats.one_more() => {}
            Err(failure) if failure.lost => return Err(failure),
            Err(failure) => {
                lease.finish().await;
                return Err(failure);
            }
        }
    }
}

async fn end<T, E: From<Error>>(mut lease: Lease, ran: Ran<T, E>) -> Ran<T, E> {
    match ran {
        Ok(committed) => commit(lease)
            .await
            .map(|()| committed)
            .map_err(Aborted::from),
        Err(aborted) => {
            if lease.roll_back().await.is_ok() {
                lease.finish().await;
            }
            Err(aborted)
        }
    }
}

/// Commits, or rolls back if that fails.
pub(crate) async fn commit(mut lease: Lease) -> Result<(), Failure> {
    if lease.is_unused() {
        // Nothing was sent, so there is nothing to commit, and nothing is waited for.
        lease.roll_back().await?;
        lease.finish().await;
        return Ok(());
    }
    match lease.command("COMMIT").await {
        Ok(()) => {
            lease.finish().await;
            Ok(())
        }
        Err(failure) => not_committed(lease, failure).await,
    }
}

/// Rolls back after a commit that failed, and says how.
pub(crate) async fn not_committed(mut lease: Lease, failure: Failure) -> Result<(), Failure> {
    if failure.lost {
        return Err(failure.error.of_unknown_end().into());
    }
    if lease.roll_back().await.is_ok() {
        lease.finish().await;
    }
    Err(failure)
}
