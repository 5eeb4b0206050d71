//! The handle by which an operation reads and writes.
//!
//! Every call runs in a task of its own that always comes to its end: a caller
//! that hangs up, or whose deadline passes, stops waiting and cancels nothing.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use seawall_types::{ChangeId, Context, Tasks};
use tokio::sync::oneshot;

use crate::args::Args;
use crate::change::Change;
use crate::connection::Lease;
use crate::dialect::errors::Failure;
use crate::error::{Error, Result};
use crate::meta::Shared;
use crate::row::Row;
use crate::statement::{SIZES, Statement};
use crate::transaction::{self, Tx};

/// One operation's access to the database; clones charge the same operation.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
    context: Context,
    /// Whether it reads on the connection apart from the pool.
    apart: bool,
}

/// What a transaction returned, and what it announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the body returned.
    pub value: T,
    /// The change that other replicas must have seen before anybody is told of the commit.
    pub change: Option<ChangeId>,
    /// All changes that it announced or saw, for this process, which need not wait for the log.
    pub changes: Vec<Change>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, context: Context) -> Self {
        let apart = false;
        Self {
            shared,
            context,
            apart,
        }
    }

    /// The same, reading on the connection apart.
    pub(crate) fn apart(mut self) -> Self {
        self.apart = true;
        self
    }

    /// What this session carries.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// All rows of a statement that only reads. With list arguments longer than the largest size it is run several
    /// times and the rows are put one after the other; with empty ones it is not run at all.
    pub async fn all(&self, statement: &'static Statement, args: Args) -> Result<Vec<Row>> {
        Ok(self.timed(statement, args).await?.rows)
    }

    /// [`all`](Self::all), and since when there was a connection to read on.
    pub(crate) async fn timed(&self, statement: &'static Statement, args: Args) -> Result<Timed> {
        // Boxed: it is part of every future that reads.
        let reading = Box::pin(async {
            // Who waits for a connection and gives up leaves the line; what runs on one comes to its end.
            let first = lend(&self.shared, self.apart).await;
            let first = first.map_err(|failure| failure.error)?;
            let read = Read {
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
        let read = self.in_time(limit, reading).await;
        read.unwrap_or_else(|| Err(Error::Unavailable("no answer in time".into())))
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
    /// The body owns its inputs and may be run several times: it is repeated after a deadlock and the like, up to 8
    /// times. It must therefore do nothing but talk to the [`Tx`]: no bytes, no network, no waiting. Once a statement
    /// has failed, the transaction is lost on every dialect, whatever the body makes of the error.
    pub async fn transaction<T, E, F>(&self, body: F) -> Result<Committed<T>, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.transaction_then(body, |_| {}).await
    }

    /// [`transaction`](Self::transaction), and `then` as soon as it is committed, in the task that committed it: so it
    /// happens even if the caller has gone. It must be quick, and must not block.
    pub async fn transaction_then<T, E, F, A>(&self, body: F, then: A) -> Result<Committed<T>, E>
    where
        F: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        A: FnOnce(&Committed<T>) + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (shared, context) = (Arc::clone(&self.shared), self.context.clone());
        // Boxed: each that passes it on would be as large again.
        let running = Box::pin(async move {
            let ran = transaction::run(&shared, &context, body).await;
            ran.inspect(then)
        });
        let running = detached(&self.shared.tasks, "meta.transaction", running);
        let limit = self.shared.writing_limit();
        // It goes on in its task whoever has stopped waiting.
        let late = || Err(Error::Uncertain("no end in time".into()));
        let ended = self.in_time(limit, running).await.unwrap_or_else(late);
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

/// Runs work in a task of its own and waits for its answer; fails only if the work was dropped.
pub(crate) async fn detached<T: Send + 'static>(
    tasks: &Tasks,
    name: &'static str,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    let (answer, answered) = oneshot::channel();
    tasks.spawn(
        name,
        Box::pin(async move {
            let value = work.await;
            // The caller may have gone; the work is done all the same.
            drop(answer.send(value));
        }),
    );
    answered
        .await
        .map_err(|_| Error::Unavailable("the work was dropped".into()))
}

/// Rows, and since when there was a connection to read them on.
pub(crate) struct Timed {
    pub(crate) rows: Vec<Row>,
    pub(crate) since: Duration,
}

/// How often work is tried on another connection when one was found broken: as often as there were connections that
/// may have broken while idle, and no longer than one waits for a connection.
pub(crate) struct Repeats<'s> {
    shared: &'s Shared,
    left: u32,
    until: Duration,
}

impl<'s> Repeats<'s> {
    pub(crate) fn new(shared: &'s Shared) -> Self {
        Self {
            shared,
            left: shared.pools.size().0 + 1,
            until: shared.clock.elapsed() + shared.config.acquire_timeout(),
        }
    }

    pub(crate) fn one_more(&mut self) -> bool {
        let has_one = self.left > 0 && self.shared.clock.elapsed() < self.until;
        self.left = self.left.saturating_sub(1);
        has_one
    }
}

/// A statement that reads, on its way.
struct Read {
    shared: Arc<Shared>,
    context: Context,
    apart: bool,
    statement: &'static Statement,
    args: Args,
}

async fn lend(shared: &Shared, apart: bool) -> Result<Lease, Failure> {
    if apart {
        shared.pools.apart().await
    } else {
        shared.pools.reader().await
    }
}

impl Read {
    async fn run(self, first: Lease) -> Result<Timed> {
        let mut repeats = Repeats::new(&self.shared);
        let mut lease = first;
        loop {
            let since = self.shared.clock.elapsed();
            match self.on(lease).await {
                Ok(rows) => return Ok(Timed { rows, since }),
                // Connections that broke while idle are found out one by one, each at once.
                Err(failure) if failure.lost && repeats.one_more() => {}
                Err(failure) => return Err(failure.error),
            }
            if self.apart {
                // The next one may be to another server, after a switch from one to the other: what is read from the
                // pool must not be older than what this connection hears.
                self.shared.pools.distrust();
            }
            let next = lend(&self.shared, self.apart).await;
            lease = next.map_err(|failure| failure.error)?;
        }
    }

    async fn on(&self, mut lease: Lease) -> Result<Vec<Row>, Failure> {
        let (shared, context) = (&self.shared, &self.context);
        let begun = shared.clock.elapsed();
        let result = read_batches(&mut lease, shared, context, self.statement, &self.args).await;
        context
            .cost
            .charge_db(shared.clock.elapsed().saturating_sub(begun));
        if result.as_ref().err().is_none_or(|failure| !failure.lost) {
            lease.finish().await;
        }
        result
    }
}

async fn read_batches(
    lease: &mut Lease,
    shared: &Shared,
    context: &Context,
    statement: &'static Statement,
    args: &Args,
) -> Result<Vec<Row>, Failure> {
    let dialect = shared.pools.dialect();
    let mut rows = Vec::new();
    for (len, args) in batches(statement, args)? {
        let rendered = statement.for_len(dialect, len)?;
        if !rendered.is_read {
            return Err(statement
                .wrong("writes, and belongs in a transaction")
                .into());
        }
        context.cost.charge_reads(1);
        let mut batch = lease.fetch(rendered, &args, &shared.shift()).await?;
        if rows.is_empty() {
            rows = batch;
        } else {
            rows.append(&mut batch);
        }
    }
    Ok(rows)
}

/// Cuts list arguments into pieces that the sizes can take; nothing for empty lists.
pub(crate) fn batches<'a>(
    statement: &Statement,
    args: &'a Args,
) -> Result<Vec<(usize, std::borrow::Cow<'a, Args>)>> {
    use std::borrow::Cow;
    let len = args.list_len().map_err(|what| statement.wrong(&what))?;
    let largest = SIZES[SIZES.len() - 1];
    match (statement.is_sized(), len) {
        (false, None) => Ok(vec![(0, Cow::Borrowed(args))]),
        (false, Some(_)) => Err(statement.wrong("takes no list arguments")),
        (true, None) => Err(statement.wrong("needs list arguments")),
        (true, Some(0)) => Ok(Vec::new()),
        (true, Some(len)) if len <= largest => Ok(vec![(len, Cow::Borrowed(args))]),
        (true, Some(len)) => Ok((0..len)
            .step_by(largest)
            .map(|start| {
                let piece = largest.min(len - start);
                (piece, Cow::Owned(args.slice(start, piece)))
            })
            .collect()),
    }
}
