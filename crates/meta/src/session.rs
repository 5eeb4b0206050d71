//! The handle by which an operation reads and writes.
//!
//! Every call runs in a task of its own that always comes to its end: a caller that hangs up, or
//! whose deadline passes, stops waiting and cancels nothing.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use seawall_types::Context;

use crate::args::Args;
use crate::commit;
use crate::connection::Connection;
use crate::detached::detached;
use crate::dialect::errors::Failure;
use crate::error::{Error, Result};
use crate::row::Row;
use crate::run::{self, run};
use crate::shared::{ReconnectBudget, SharedDatabase};
use crate::start::StartGate;
use crate::statement::Statement;
use crate::tx::{CommitOutcome, Tx};

/// One operation's access to the database; clones charge the same operation.
#[derive(Clone)]
pub struct Session {
    shared: Arc<SharedDatabase>,
    context: Context,
    /// Whether it reads on the connection apart from the pool.
    apart: bool,
    /// Whether every call is refused.
    refusing: bool,
}

impl Session {
    pub(crate) fn new(shared: Arc<SharedDatabase>, context: Context) -> Self {
        Self {
            shared,
            context,
            apart: false,
            refusing: false,
        }
    }

    /// The same, reading on the connection apart.
    pub(crate) fn apart(mut self) -> Self {
        self.apart = true;
        self
    }

    /// The same, refusing every call as unavailable: for what may be answered from caches only.
    pub fn refusing(mut self) -> Self {
        self.refusing = true;
        self
    }

    fn refused(&self) -> Result<()> {
        if self.refusing {
            return Err(Error::Unavailable(
                "the feature answers from caches only".into(),
            ));
        }
        Ok(())
    }

    /// What this session carries.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// All rows of a statement that only reads. With list arguments longer than the largest size it
    /// is run several times and the rows are put one after the other; with empty ones it is not run
    /// at all.
    pub async fn all(&self, statement: &'static Statement, args: Args) -> Result<Vec<Row>> {
        Ok(self.timed(statement, args).await?.rows)
    }

    /// [`all`](Self::all), and since when there was a connection to read on.
    pub(crate) async fn timed(
        &self,
        statement: &'static Statement,
        args: Args,
    ) -> Result<TimedRows> {
        self.refused()?;
        // Boxed: it is part of every future that reads.
        let reading = Box::pin(async {
            // A caller that gives up while it waits for a connection leaves the queue; a statement
            // that runs on one comes to its end.
            let first = self.shared.lend(self.apart).await;
            let first = first.map_err(|failure| failure.error)?;
            let read = ReadStatement {
                shared: Arc::clone(&self.shared),
                context: self.context.clone(),
                apart: self.apart,
                statement,
                args,
            };
            let tasks = &self.shared.tasks;
            let reading = detached(tasks, "meta.read", async move { read.run(first).await });
            reading.await?
        });
        let limit = self.shared.reading_limit();
        if self.shared.is_past_deadline(&self.context) {
            return Err(late());
        }
        let read = self.in_time(limit, reading).await;
        read.unwrap_or_else(|| Err(late()))
    }

    /// The first row, if any.
    pub async fn optional(&self, statement: &'static Statement, args: Args) -> Result<Option<Row>> {
        Ok(self.all(statement, args).await?.into_iter().next())
    }

    /// The first row; that there is one is the statement's promise.
    pub async fn one(&self, statement: &'static Statement, args: Args) -> Result<Row> {
        self.optional(statement, args)
            .await?
            .ok_or_else(|| Error::Decode(format!("{statement:?} returned no row")))
    }

    /// Runs `body` in a transaction (READ COMMITTED) and commits when it returns `Ok`.
    ///
    /// The body owns its inputs and may be run several times: it is repeated after a deadlock and
    /// the like, up to 8 times. It must therefore do nothing but talk to the [`Tx`]: no bytes, no
    /// network, no waiting. Once a statement has failed, the transaction is lost on every dialect,
    /// whatever the body makes of the error.
    pub async fn transaction<T, E, F>(&self, body: F) -> Result<CommitOutcome<T>, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.transaction_then(body, |_| {}).await
    }

    /// [`transaction`](Self::transaction), and `then` as soon as it is committed, in the task that
    /// committed it: so it happens even if the caller has gone. It must be quick, and must not
    /// block.
    pub async fn transaction_then<T, E, F, A>(
        &self,
        body: F,
        then: A,
    ) -> Result<CommitOutcome<T>, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        A: FnOnce(&CommitOutcome<T>) + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.refused()?;
        let (shared, context) = (Arc::clone(&self.shared), self.context.clone());
        let gate = Arc::new(StartGate::default());
        let start = Arc::clone(&gate);
        // Boxed: each that passes it on would be as large again.
        let running = Box::pin(async move {
            let ended = run(&shared, &context, &start, body).await;
            ended.inspect(then)
        });
        let running = detached(&self.shared.tasks, "meta.transaction", running);
        let limit = self.shared.reading_limit();
        let limit = limit.map(|limit| limit + run::PATIENCE);
        let Some(ended) = self.in_time(limit, running).await else {
            // What is under way goes on in its task although its caller stops waiting.
            return Err(if gate.cancel() {
                commit::past_deadline().error.into()
            } else {
                Error::Uncertain("the transaction did not end in time".into()).into()
            });
        };
        let committed = ended.map_err(Error::of_unknown_end)??;
        if let Some(change) = committed.change {
            self.context.see(change);
        }
        Ok(committed)
    }

    /// Waits no longer than there is time, by the operation's deadline and by our own limit.
    async fn in_time<T>(
        &self,
        limit: Option<Duration>,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let left = self.context.remaining(&*self.shared.clock);
        match left.into_iter().chain(limit).min() {
            Some(left) => tokio::time::timeout(left, work).await.ok(),
            None => Some(work.await),
        }
    }
}

/// The error of a caller whose read had no answer in time.
fn late() -> Error {
    Error::Unavailable("no answer in time".into())
}

/// Rows, and since when there was a connection to read them on.
pub(crate) struct TimedRows {
    pub(crate) rows: Vec<Row>,
    pub(crate) since: Duration,
}

/// A statement that reads, on its way.
struct ReadStatement {
    shared: Arc<SharedDatabase>,
    context: Context,
    apart: bool,
    statement: &'static Statement,
    args: Args,
}

impl ReadStatement {
    async fn run(self, first: Connection) -> Result<TimedRows> {
        let mut broken = ReconnectBudget::new(&self.shared);
        let mut connection = first;
        loop {
            let since = self.shared.clock.elapsed();
            match self.on(connection).await {
                Ok(rows) => return Ok(TimedRows { rows, since }),
                // No caller waits for it any more.
                Err(failure) if self.shared.is_past_deadline(&self.context) => {
                    return Err(failure.error);
                }
                // Connections that broke while idle are found one by one, each at once.
                Err(failure) if failure.lost && broken.one_more() => {}
                Err(failure) => return Err(failure.error),
            }
            if self.apart {
                // The next one may be to another server, after a switch from one to the other: what
                // is read from the pool must not be older than what this connection reads.
                self.shared.pools.distrust();
            }
            let next = self.shared.lend(self.apart).await;
            connection = next.map_err(|failure| failure.error)?;
        }
    }

    async fn on(&self, mut connection: Connection) -> Result<Vec<Row>, Failure> {
        let (shared, context) = (&self.shared, &self.context);
        let begun = shared.clock.elapsed();
        let result = self.rows(&mut connection).await;
        context
            .cost
            .charge_db(shared.clock.elapsed().saturating_sub(begun));
        if result.as_ref().err().is_none_or(|failure| !failure.lost) {
            connection.finish().await;
        }
        result
    }

    async fn rows(&self, connection: &mut Connection) -> Result<Vec<Row>, Failure> {
        let dialect = self.shared.pools.dialect();
        let mut rows = Vec::new();
        for (len, args) in self.statement.batches(&self.args)? {
            let rendered = self.statement.for_len(dialect, len)?;
            if !rendered.is_read {
                let wrong = self.statement.wrong("writes, and belongs in a transaction");
                return Err(wrong.into());
            }
            self.context.cost.charge_reads(1);
            let execution = self.shared.execution(rendered, &args);
            let mut batch = connection.fetch(&execution).await?;
            if rows.is_empty() {
                rows = batch;
            } else {
                rows.append(&mut batch);
            }
        }
        Ok(rows)
    }
}
