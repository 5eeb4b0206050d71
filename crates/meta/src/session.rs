//! The handle by which an operation reads and writes.
//!
//! Every call runs in a task of its own that always comes to its end: a caller
//! that hangs up, or whose deadline passes, stops waiting and cancels nothing.

use std::future::Future;
use std::sync::Arc;

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
        Self { shared, context }
    }

    /// What this session carries.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// All rows of a statement that only reads. With list arguments longer than the largest size it is run several
    /// times and the rows are put one after the other; with empty ones it is not run at all.
    pub async fn all(&self, statement: &'static Statement, args: Args) -> Result<Vec<Row>> {
        let (shared, context) = (Arc::clone(&self.shared), self.context.clone());
        let reading = async move { read(&shared, &context, statement, &args).await };
        self.run("meta.read", reading).await?
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
        let running = async move {
            let ran = transaction::run(&shared, &context, body).await;
            ran.inspect(then)
        };
        // It goes on in its task whoever has stopped waiting.
        let ended = self.run("meta.transaction", running).await;
        let committed = ended.map_err(Error::of_unknown_end)??;
        if let Some(change) = committed.change {
            self.context.see(change);
        }
        Ok(committed)
    }

    async fn run<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let answer = detached(&self.shared.tasks, name, work);
        match self.context.remaining(&*self.shared.clock) {
            // Only the waiting ends; the work goes on in its task.
            Some(left) => tokio::time::timeout(left, answer)
                .await
                .unwrap_or_else(|_| Err(Error::Unavailable("not in time for the caller".into()))),
            None => answer.await,
        }
    }
}

/// Runs work in a task of its own and waits for its answer.
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

async fn read(
    shared: &Shared,
    context: &Context,
    statement: &'static Statement,
    args: &Args,
) -> Result<Vec<Row>> {
    // Connections that broke while idle are found out one by one, each at once.
    let attempts = shared.pools.size().0 + 2;
    let mut attempt = 1;
    loop {
        let lease = shared
            .pools
            .reader()
            .await
            .map_err(|failure| failure.error)?;
        match read_on(lease, shared, context, statement, args).await {
            Ok(rows) => return Ok(rows),
            Err(failure) if failure.lost && attempt < attempts => attempt += 1,
            Err(failure) => return Err(failure.error),
        }
    }
}

async fn read_on(
    mut lease: Lease,
    shared: &Shared,
    context: &Context,
    statement: &'static Statement,
    args: &Args,
) -> Result<Vec<Row>, Failure> {
    let begun = shared.clock.elapsed();
    let result = read_batches(&mut lease, shared, context, statement, args).await;
    context
        .cost
        .charge_db(shared.clock.elapsed().saturating_sub(begun));
    if result.as_ref().err().is_none_or(|failure| !failure.lost) {
        lease.finish().await;
    }
    result
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
