//! Group commit on SQLite: transactions that wait for the writer share one commit.
//!
//! There is one writer at a time, and each commit waits for the disk. So a transaction that comes
//! while another is written waits in a queue, and the one that leads runs all that wait, those
//! included that come meanwhile: each between savepoints of its own, in the order in which they
//! came, and one commit makes all of them durable. No caller is answered before that commit.
//!
//! The queue has an end, and a caller waits in it no longer than for a connection, nor past its
//! deadline. When the
//! transaction cannot even be begun, since another program writes to the file, all who wait are
//! refused at once: each has waited for the lock's timeout, and one after the other they would
//! wait for it again.
//!
//! The hard part is that no member may notice the others. One that fails is rolled back to its
//! savepoint and the rest go on. Later ones see what earlier ones of the group wrote, as they would
//! have after a commit; so if the commit fails, no member's outcome holds, refusals included, and
//! all of them run again or fail with it.

use std::sync::Arc;

use futures::future::BoxFuture;
use seawall_types::{ChangeId, Context};
use tokio::sync::oneshot;

use crate::commit::{begin, commit, not_committed, past_deadline};
use crate::connection::Connection;
use crate::dialect::errors::Failure;
use crate::error::Error;
use crate::shared::SharedDatabase;
use crate::start::StartGate;
use crate::tx::{AttemptResult, TransactionBody, run_body};
use crate::wal;
use crate::write_queue;

/// How many share a commit at most, so that the first does not wait for long.
const MOST: usize = 32;

/// A member of a group, of whichever type its outcome is.
type AnyMember = Box<dyn write_queue::Member<Arc<SharedDatabase>>>;

/// A transaction in the queue.
struct Member<T, E, F> {
    context: Context,
    gate: Arc<StartGate>,
    body: Arc<F>,
    attempt: Option<AttemptResult<T, E>>,
    answer: oneshot::Sender<AttemptResult<T, E>>,
}

impl<T, E, F> write_queue::Member<Arc<SharedDatabase>> for Member<T, E, F>
where
    F: TransactionBody<T, E>,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    fn run<'r>(
        &'r mut self,
        shared: &'r Arc<SharedDatabase>,
        connection: Connection,
    ) -> BoxFuture<'r, (Connection, bool)> {
        Box::pin(async move {
            if !self.gate.begin() {
                self.attempt = Some(Err(past_deadline().into()));
                return (connection, false);
            }
            let begun = shared.clock.elapsed();
            let (connection, attempt) =
                run_body(shared, &self.context, connection, &*self.body).await;
            let spent = shared.clock.elapsed().saturating_sub(begun);
            self.context.cost.charge_db(spent);
            let stays = attempt.is_ok();
            self.attempt = Some(attempt);
            (connection, stays)
        })
    }

    fn settle(&mut self, flushed: Result<Option<i64>, Failure>) -> bool {
        match (&mut self.attempt, flushed) {
            (Some(Ok(committed)), Ok(id)) => {
                committed.change = id.map(ChangeId::from).or(committed.change);
                true
            }
            (attempt, Err(failure)) => {
                *attempt = Some(Err(failure.into()));
                false
            }
            (_, Ok(_)) => false,
        }
    }

    fn end(self: Box<Self>, group: Result<(), Failure>) {
        let outcome = match (group, self.attempt) {
            (Ok(()), Some(attempt)) => attempt,
            (Err(failure), _) => Err(failure.into()),
            (Ok(()), None) => Err(group_aborted().into()),
        };
        // The caller may have gone; the work is done all the same.
        drop(self.answer.send(outcome));
    }
}

/// Runs a body in the next group.
pub(crate) async fn attempt<T, E, F>(
    shared: &Arc<SharedDatabase>,
    context: &Context,
    gate: &Arc<StartGate>,
    body: &Arc<F>,
) -> AttemptResult<T, E>
where
    F: TransactionBody<T, E>,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let (answer, mut answered) = oneshot::channel();
    let member = Member {
        context: context.clone(),
        gate: Arc::clone(gate),
        body: Arc::clone(body),
        attempt: None,
        answer,
    };
    let queue = &shared.write_queue;
    let number = queue.join(Box::new(member))?;
    // The leader was dropped; how far it had come is not known.
    let lost = || {
        Failure::from(Error::Uncertain(
            "the leader of a group commit was dropped".into(),
        ))
    };
    let patience = shared.config.acquire_timeout();
    let left = context.remaining(&*shared.clock);
    let patience = left.map_or(patience, |left| left.min(patience));
    let leading = tokio::select! {
        biased;
        outcome = &mut answered => return outcome.unwrap_or_else(|_| Err(lost().into())),
        leading = queue.lead() => Some(leading),
        () = tokio::time::sleep(patience) => None,
    };
    let Some(leading) = leading else {
        if queue.leave(number) {
            return Err(busy("SQLite's writer was busy for too long").into());
        }
        // A leader has taken it just now.
        return answered.await.unwrap_or_else(|_| Err(lost().into()));
    };
    // Mostly one group: the first of those who still wait leads the next, so that no caller leads
    // for longer than it takes to come to its own end.
    loop {
        match answered.try_recv() {
            Ok(outcome) => return outcome,
            Err(oneshot::error::TryRecvError::Closed) => return Err(lost().into()),
            Err(oneshot::error::TryRecvError::Empty) => {}
        }
        if !run_group(shared).await {
            break;
        }
    }
    drop(leading);
    answered.await.unwrap_or_else(|_| Err(lost().into()))
}

/// Runs those who wait, up to so many, as one transaction; says whether there were any.
async fn run_group(shared: &Arc<SharedDatabase>) -> bool {
    let Some(first) = shared.write_queue.next() else {
        return false;
    };
    let mut group = match begin(shared, None).await {
        Ok((connection, _)) => Group::new(connection),
        Err(failure) => {
            refuse_all(shared, vec![first], &failure);
            return true;
        }
    };
    let (mut next, mut members) = (Some(first), Vec::new());
    while let Some(mut member) = next {
        let ran = group.run(shared, member.as_mut()).await;
        // Members that came meanwhile join, so that one commit serves as many as there are.
        let more = ran.is_ok() && members.len() + 1 < MOST;
        next = more.then(|| shared.write_queue.next()).flatten();
        let settled = match ran {
            Ok(()) if next.is_some() => group.settle(shared, member.as_mut()).await,
            // The last one's statements are sent together with the commit.
            ran => ran,
        };
        members.push(member);
        if let Err(failure) = settled {
            abort_group(shared, group, members, next, &failure).await;
            return true;
        }
    }
    match group.commit(shared, members.last_mut()).await {
        Ok(ended) => {
            end_all(members, &ended);
            wal::shorten(shared).await;
        }
        Err(broken) => abort_group(shared, broken.group, members, None, &broken.failure).await,
    }
    true
}

/// Ends these members and all who wait, since there is no transaction to be had: those who come
/// later try again, these have waited enough.
fn refuse_all(shared: &Arc<SharedDatabase>, mut members: Vec<AnyMember>, failure: &Failure) {
    members.extend(shared.write_queue.take_all());
    let waiting = members.len();
    tracing::warn!(error = %failure.error, waiting, "no transaction can begin");
    let failure = Failure {
        retry: false,
        ..failure.clone()
    };
    end_all(members, &Err(failure));
}

/// Ends a group that broke on the last of its members, which gets that failure; the
/// others, and the next, try again without it. A group that could not be begun is the failure of
/// them all.
async fn abort_group(
    shared: &Arc<SharedDatabase>,
    mut group: Group,
    mut members: Vec<AnyMember>,
    next: Option<AnyMember>,
    failure: &Failure,
) {
    let begin_failure = group.begin_failure();
    group.roll_back().await;
    if let Some(failure) = begin_failure {
        members.extend(next);
        return refuse_all(shared, members, &failure);
    }
    tracing::warn!(error = %failure.error, "a group commit was rolled back");
    if let Some(member) = members.pop() {
        member.end(Ok(()));
    }
    members.extend(next);
    end_all(members, &Err(group_aborted()));
}

fn end_all(members: Vec<AnyMember>, group: &Result<(), Failure>) {
    for member in members {
        member.end(group.clone());
    }
}

/// The transaction that all members share.
struct Group {
    connection: Option<Connection>,
    /// Whether the work of any member is to stay.
    stays: bool,
    /// Whether the last member runs in a savepoint of its own.
    has_savepoint: bool,
    /// Whether the last member's work is there, and perhaps still to be sent, but not yet separated
    /// from what may follow.
    open: bool,
}

/// A group whose commit could not even be tried, and why.
struct BrokenGroup {
    group: Group,
    failure: Failure,
}

impl Group {
    fn new(connection: Connection) -> Self {
        Self {
            connection: Some(connection),
            stays: false,
            has_savepoint: false,
            open: false,
        }
    }

    /// Runs one member inside the group. An error says that the group is of no further use.
    async fn run(
        &mut self,
        shared: &Arc<SharedDatabase>,
        member: &mut dyn write_queue::Member<Arc<SharedDatabase>>,
    ) -> Result<(), Failure> {
        let mut connection = self.connection.take().ok_or_else(group_aborted)?;
        // Before anything is there that must stay, all may be undone, and no savepoint is needed.
        self.has_savepoint = self.stays;
        if self.has_savepoint {
            connection.defer_control("SAVEPOINT member");
        }
        let (connection, stays) = member.run(shared, connection).await;
        self.connection = Some(connection);
        self.open = stays;
        if stays {
            return Ok(());
        }
        if let Some(failure) = self.begin_failure() {
            return Err(failure);
        }
        self.close_member(shared, false).await
    }

    /// Sends what a member has left deferred, so that another may follow.
    async fn settle(
        &mut self,
        shared: &Arc<SharedDatabase>,
        member: &mut dyn write_queue::Member<Arc<SharedDatabase>>,
    ) -> Result<(), Failure> {
        if !self.open {
            return Ok(());
        }
        let connection = self.connection.as_mut().ok_or_else(group_aborted)?;
        let flushed = connection.flush().await;
        let stays = member.settle(flushed);
        if let Some(failure) = self.begin_failure() {
            return Err(failure);
        }
        self.close_member(shared, stays).await
    }

    /// Separates what a member has written from what others will write, or takes it back.
    async fn close_member(
        &mut self,
        shared: &Arc<SharedDatabase>,
        stays: bool,
    ) -> Result<(), Failure> {
        self.open = false;
        let connection = self.connection.as_mut().ok_or_else(group_aborted)?;
        if !stays {
            connection.forget_deferred();
        }
        match (self.has_savepoint, stays) {
            (false, true) => {}
            (false, false) => {
                connection.roll_back().await?;
                connection.defer_control(shared.pools.dialect().begin());
            }
            (true, true) => connection.defer_control("RELEASE member"),
            (true, false) => {
                // Fails if the database has rolled back all by itself, as it does when a disk is
                // full.
                connection.command("ROLLBACK TO member").await?;
                connection.defer_control("RELEASE member");
            }
        }
        self.stays |= stays;
        Ok(())
    }

    /// Makes durable what is to stay; what the last member has left deferred is sent in the same
    /// round trip.
    async fn commit(
        mut self,
        shared: &Arc<SharedDatabase>,
        last: Option<&mut AnyMember>,
    ) -> Result<Result<(), Failure>, BrokenGroup> {
        let Some(mut connection) = self.connection.take() else {
            return Ok(Err(group_aborted()));
        };
        if let Some(last) = last.filter(|_| self.open && connection.has_deferred()) {
            match connection.flush_and_commit().await {
                Ok(id) => {
                    last.settle(Ok(id));
                    connection.finish().await;
                    return Ok(Ok(()));
                }
                Err(error) if error.at_commit => {
                    return Ok(not_committed(connection, error.failure).await);
                }
                Err(error) => last.settle(Err(error.failure)),
            };
            self.connection = Some(connection);
            let closed = match self.begin_failure() {
                Some(failure) => Err(failure),
                None => self.close_member(shared, false).await,
            };
            if let Err(failure) = closed {
                return Err(BrokenGroup {
                    group: self,
                    failure,
                });
            }
        } else {
            self.stays |= self.open;
            self.connection = Some(connection);
        }
        match self.connection.take() {
            Some(connection) if self.stays => Ok(commit(connection).await),
            connection => {
                self.connection = connection;
                self.roll_back().await;
                Ok(Ok(()))
            }
        }
    }

    /// Why there is no transaction, if it could not be begun.
    fn begin_failure(&self) -> Option<Failure> {
        self.connection.as_ref()?.begin_failure().cloned()
    }

    /// Rolls everything back.
    async fn roll_back(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && connection.roll_back().await.is_ok()
        {
            connection.finish().await;
        }
    }
}

/// The error of a caller whose turn did not come; it certainly did nothing.
fn busy(why: &str) -> Failure {
    Error::Busy(why.into()).into()
}

/// The work came to nothing through no fault of its own.
fn group_aborted() -> Failure {
    Failure {
        error: Error::Unavailable("the group commit was rolled back".into()),
        retry: true,
        lost: false,
    }
}
