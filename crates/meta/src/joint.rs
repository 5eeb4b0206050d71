//! Transactions that share a commit, on SQLite.
//!
//! There is one writer at a time, and each commit waits for the disk. So whoever comes while another writes waits in
//! line, and who writes takes the whole line along, those included that come meanwhile: every transaction runs between
//! savepoints of its own, in the order in which it came, and one commit makes all of them durable. Nobody is answered
//! before that commit.
//!
//! The line has an end, and nobody stands in it for longer than one waits for a connection. When the transaction cannot
//! even be begun, since another program writes to the file, all who wait hear of it at once: each has waited as long as
//! the lock is worth, and one after the other they would wait for it again.
//!
//! The hard part is that none may notice the others. One that fails is rolled back to its savepoint and the rest go on.
//! Later ones see what earlier ones of the line wrote, as they would have after a commit; so if the commit fails,
//! nobody's outcome holds, refusals included, and everybody runs again or fails with it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use seawall_types::{ChangeId, Context};
use tokio::sync::oneshot;

use crate::connection::Lease;
use crate::dialect::errors::Failure;
use crate::error::Error;
use crate::meta::Shared;
use crate::session::Committed;
use crate::transaction::{Aborted, Body, Ran, begin, commit, not_committed, run_body};
use crate::wal;

/// How many share a commit at most, so that the first does not wait for long.
const MOST: usize = 32;

/// How many may wait.
const MOST_WAITING: usize = 1024;

/// The line of those who want to write.
#[derive(Default)]
pub(crate) struct Line {
    waiting: Mutex<VecDeque<(u64, Box<dyn Ride>)>>,
    leading: tokio::sync::Mutex<()>,
    /// How many have come so far.
    came: AtomicU64,
}

/// One transaction in the line.
trait Ride: Send {
    /// Runs the body; gives the connection back, and whether what was written is to stay.
    fn run<'r>(&'r mut self, shared: &'r Arc<Shared>, lease: Lease)
    -> BoxFuture<'r, (Lease, bool)>;

    /// Hears how the statements fared that the body had left to be sent, and says whether what was written is to stay.
    fn settle(&mut self, sent: Result<Option<i64>, Failure>) -> bool;

    /// Tells how it ended: as the body did, or because the whole was rolled back.
    fn end(self: Box<Self>, whole: Result<(), Failure>);
}

struct Rider<T, E, F> {
    context: Context,
    body: Arc<F>,
    ran: Option<Ran<T, E>>,
    answer: oneshot::Sender<Result<Committed<T>, Aborted<E>>>,
}

impl<T, E, F> Ride for Rider<T, E, F>
where
    F: Body<T, E>,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    fn run<'r>(
        &'r mut self,
        shared: &'r Arc<Shared>,
        lease: Lease,
    ) -> BoxFuture<'r, (Lease, bool)> {
        Box::pin(async move {
            let begun = shared.clock.elapsed();
            let (lease, ran) = run_body(shared, &self.context, lease, &*self.body).await;
            let spent = shared.clock.elapsed().saturating_sub(begun);
            self.context.cost.charge_db(spent);
            let stays = ran.is_ok();
            self.ran = Some(ran);
            (lease, stays)
        })
    }

    fn settle(&mut self, sent: Result<Option<i64>, Failure>) -> bool {
        match (&mut self.ran, sent) {
            (Some(Ok(committed)), Ok(id)) => {
                committed.change = id.map(ChangeId::from).or(committed.change);
                true
            }
            (ran, Err(failure)) => {
                *ran = Some(Err(failure.into()));
                false
            }
            (_, Ok(_)) => false,
        }
    }

    fn end(self: Box<Self>, whole: Result<(), Failure>) {
        let outcome = match (whole, self.ran) {
            (Ok(()), Some(ran)) => ran,
            (Err(failure), _) => Err(failure.into()),
            (Ok(()), None) => Err(again().into()),
        };
        // The caller may have gone; the work is done all the same.
        drop(self.answer.send(outcome));
    }
}

/// Runs a body in the next transaction that is opened.
pub(crate) async fn attempt<T, E, F>(
    shared: &Arc<Shared>,
    context: &Context,
    body: &Arc<F>,
) -> Result<Committed<T>, Aborted<E>>
where
    F: Body<T, E>,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    let (answer, mut answered) = oneshot::channel();
    let rider = Rider {
        context: context.clone(),
        body: Arc::clone(body),
        ran: None,
        answer,
    };
    let line = &shared.line;
    let number = line.join(Box::new(rider))?;
    // Its turn was dropped; how far it had come is not known.
    let lost = || Failure::from(Error::Uncertain("a transaction was left behind".into()));
    let leading = tokio::select! {
        biased;
        outcome = &mut answered => return outcome.unwrap_or_else(|_| Err(lost().into())),
        leading = line.leading.lock() => Some(leading),
        () = tokio::time::sleep(shared.config.acquire_timeout()) => None,
    };
    let Some(leading) = leading else {
        if line.leave(number) {
            return Err(busy("others have been writing for too long").into());
        }
        // Somebody takes it along just now.
        return answered.await.unwrap_or_else(|_| Err(lost().into()));
    };
    // One turn, mostly: the first of those who still wait then leads, so that nobody leads others for
    // longer than it takes to come to their own end.
    loop {
        match answered.try_recv() {
            Ok(outcome) => return outcome,
            Err(oneshot::error::TryRecvError::Closed) => return Err(lost().into()),
            Err(oneshot::error::TryRecvError::Empty) => {}
        }
        if !lead(shared).await {
            break;
        }
    }
    drop(leading);
    answered.await.unwrap_or_else(|_| Err(lost().into()))
}

/// Takes along those who wait, up to so many, as one transaction; says whether there were any.
async fn lead(shared: &Arc<Shared>) -> bool {
    let Some(first) = shared.line.next() else {
        return false;
    };
    let mut whole = match begin(shared).await {
        Ok((lease, _)) => Whole::new(lease),
        Err(failure) => {
            not_begun(shared, vec![first], &failure);
            return true;
        }
    };
    let (mut next, mut riders) = (Some(first), Vec::new());
    while let Some(mut rider) = next {
        let taken = whole.take_along(shared, rider.as_mut()).await;
        // Whoever came meanwhile gets on, so that one commit serves as many as there are.
        let more = taken.is_ok() && riders.len() + 1 < MOST;
        next = more.then(|| shared.line.next()).flatten();
        let settled = match taken {
            Ok(()) if next.is_some() => whole.settle(shared, rider.as_mut()).await,
            // The last one's statements travel with the commit.
            taken => taken,
        };
        riders.push(rider);
        if let Err(failure) = settled {
            fall_apart(shared, whole, (riders, next), &failure).await;
            return true;
        }
    }
    match whole.commit(shared, riders.last_mut()).await {
        Ok(ended) => {
            end_all(riders, &ended);
            wal::shorten(shared).await;
        }
        Err((whole, failure)) => fall_apart(shared, *whole, (riders, None), &failure).await,
    }
    true
}

/// Ends all who were taken along and all who wait, since there is no transaction to be had: those who come later try
/// again, these have waited enough.
fn not_begun(shared: &Arc<Shared>, mut riders: Vec<Box<dyn Ride>>, failure: &Failure) {
    let waiting = std::mem::take(&mut *shared.line.waiting());
    riders.extend(waiting.into_iter().map(|(_, rider)| rider));
    tracing::warn!(error = %failure.error, waiting = riders.len(), "no transaction can be begun");
    let failure = Failure {
        retry: false,
        ..failure.clone()
    };
    end_all(riders, &Err(failure));
}

/// Those who were taken along, and the one who was to be next.
type Riders = (Vec<Box<dyn Ride>>, Option<Box<dyn Ride>>);

/// Ends a whole that broke on the last of its riders, who hears what happened to it; the others, and the next, try again
/// without it. One that could not be begun is everybody's failure.
async fn fall_apart(
    shared: &Arc<Shared>,
    mut whole: Whole,
    (mut riders, next): Riders,
    failure: &Failure,
) {
    let unbegun = whole.why_unbegun();
    whole.abandon().await;
    if let Some(failure) = unbegun {
        riders.extend(next);
        return not_begun(shared, riders, &failure);
    }
    tracing::warn!(error = %failure.error, "a shared transaction is rolled back");
    if let Some(rider) = riders.pop() {
        rider.end(Ok(()));
    }
    riders.extend(next);
    end_all(riders, &Err(again()));
}

fn end_all(riders: Vec<Box<dyn Ride>>, whole: &Result<(), Failure>) {
    for rider in riders {
        rider.end(whole.clone());
    }
}

/// The transaction that all share.
struct Whole {
    lease: Option<Lease>,
    /// Whether anybody's work is to stay.
    stays: bool,
    /// Whether the last one runs in a savepoint of its own.
    beside: bool,
    /// Whether the last one's work is there, and perhaps still to be sent, but not parted from what may follow.
    open: bool,
}

/// A commit that could not even be tried: the whole, and why.
type Untried = (Box<Whole>, Failure);

impl Whole {
    fn new(lease: Lease) -> Self {
        Self {
            lease: Some(lease),
            stays: false,
            beside: false,
            open: false,
        }
    }

    /// Runs one transaction inside the whole. An error says that the whole is of no further use.
    async fn take_along(
        &mut self,
        shared: &Arc<Shared>,
        rider: &mut dyn Ride,
    ) -> Result<(), Failure> {
        let mut lease = self.lease.take().ok_or_else(again)?;
        // Before anything is there that must stay, all may be undone, and no savepoint is needed.
        self.beside = self.stays;
        if self.beside {
            lease.bracket("SAVEPOINT rider");
        }
        let (lease, stays) = rider.run(shared, lease).await;
        self.lease = Some(lease);
        self.open = stays;
        if stays {
            return Ok(());
        }
        if let Some(failure) = self.why_unbegun() {
            return Err(failure);
        }
        self.part(shared, false).await
    }

    /// Sends what a rider has left to be sent, so that another may follow.
    async fn settle(&mut self, shared: &Arc<Shared>, rider: &mut dyn Ride) -> Result<(), Failure> {
        if !self.open {
            return Ok(());
        }
        let lease = self.lease.as_mut().ok_or_else(again)?;
        let sent = lease.flush().await;
        let stays = rider.settle(sent);
        if let Some(failure) = self.why_unbegun() {
            return Err(failure);
        }
        self.part(shared, stays).await
    }

    /// Parts what a rider has written from what others will write, or takes it back.
    async fn part(&mut self, shared: &Arc<Shared>, stays: bool) -> Result<(), Failure> {
        self.open = false;
        let lease = self.lease.as_mut().ok_or_else(again)?;
        if !stays {
            lease.forget();
        }
        match (self.beside, stays) {
            (false, true) => {}
            (false, false) => {
                lease.roll_back().await?;
                lease.bracket(shared.pools.dialect().begin());
            }
            (true, true) => lease.bracket("RELEASE rider"),
            (true, false) => {
                // Fails if the database has rolled back all by itself, as it does when a disk is full.
                lease.command("ROLLBACK TO rider").await?;
                lease.bracket("RELEASE rider");
            }
        }
        self.stays |= stays;
        Ok(())
    }

    /// Makes durable what is to stay; what the last one has left to be sent goes in the same trip.
    async fn commit(
        mut self,
        shared: &Arc<Shared>,
        last: Option<&mut Box<dyn Ride>>,
    ) -> Result<Result<(), Failure>, Untried> {
        let Some(mut lease) = self.lease.take() else {
            return Ok(Err(again()));
        };
        if let Some(last) = last.filter(|_| self.open && lease.holds_back()) {
            match lease.flush_and_commit().await {
                Ok(id) => {
                    last.settle(Ok(id));
                    lease.finish().await;
                    return Ok(Ok(()));
                }
                Err(stopped) if stopped.at_the_end => {
                    return Ok(not_committed(lease, stopped.failure).await);
                }
                Err(stopped) => last.settle(Err(stopped.failure)),
            };
            self.lease = Some(lease);
            let parted = match self.why_unbegun() {
                Some(failure) => Err(failure),
                None => self.part(shared, false).await,
            };
            if let Err(failure) = parted {
                return Err((Box::new(self), failure));
            }
        } else {
            self.stays |= self.open;
            self.lease = Some(lease);
        }
        match self.lease.take() {
            Some(lease) if self.stays => Ok(commit(lease).await),
            lease => {
                self.lease = lease;
                self.abandon().await;
                Ok(Ok(()))
            }
        }
    }

    /// Why there is no transaction, if it could not be begun.
    fn why_unbegun(&self) -> Option<Failure> {
        self.lease.as_ref()?.why_unbegun().cloned()
    }

    /// Rolls everything back.
    async fn abandon(&mut self) {
        if let Some(mut lease) = self.lease.take()
            && lease.roll_back().await.is_ok()
        {
            lease.finish().await;
        }
    }
}

impl Line {
    /// Takes the last place in the line; says which it is.
    fn join(&self, rider: Box<dyn Ride>) -> Result<u64, Failure> {
        let mut waiting = self.waiting();
        if waiting.len() >= MOST_WAITING {
            return Err(busy("too many wait to write"));
        }
        let number = self.came.fetch_add(1, Ordering::Relaxed);
        waiting.push_back((number, rider));
        Ok(number)
    }

    /// Leaves the line, if it is not the turn of that place just now.
    fn leave(&self, number: u64) -> bool {
        let mut waiting = self.waiting();
        let place = waiting.binary_search_by_key(&number, |(number, _)| *number);
        place.is_ok_and(|place| waiting.remove(place).is_some())
    }

    fn next(&self) -> Option<Box<dyn Ride>> {
        self.waiting().pop_front().map(|(_, rider)| rider)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(u64, Box<dyn Ride>)>> {
        self.waiting.lock()
    }
}

/// What a caller hears for whom there is no turn; it certainly did nothing.
fn busy(why: &str) -> Failure {
    Error::Busy(why.into()).into()
}

/// The work came to nothing through no fault of its own.
fn again() -> Failure {
    Failure {
        error: Error::Unavailable("a shared transaction was rolled back".into()),
        retry: true,
        lost: false,
    }
}
