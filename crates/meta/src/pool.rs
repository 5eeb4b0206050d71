//! The connections to one database: opened when they are needed, and never more than the budget allows.
//!
//! Whoever asks waits in line for a seat, for a bounded time. What was used last is used first, so that connections
//! which are not needed any more grow old and are closed. Giving one back is free: it is not tested, since that would
//! be one more trip to the database for every statement, with the seat still taken. One that broke while nobody used it
//! is noticed by its next statement. A connection that is dropped is closed, so that no one inherits what it was in the
//! middle of.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use seawall_types::{Clock, Tasks};
use sqlx::{Connection, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// A connection that nobody has used for so long is closed.
const OLD: Duration = Duration::from_mins(10);

/// The first and the longest pause before a database that is starting is asked again.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Opens a connection.
pub(crate) type Open<C> = Box<dyn Fn() -> BoxFuture<'static, Result<C, Error>> + Send + Sync>;

/// What a pool is to be like.
#[derive(Clone)]
pub(crate) struct Terms {
    /// How many connections there may be.
    pub(crate) most: u32,
    /// How long one waits for a seat and a connection together.
    pub(crate) patience: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: Tasks,
}

impl Terms {
    /// The same for another number of connections.
    pub(crate) fn of(&self, most: u32) -> Self {
        Self {
            most,
            ..self.clone()
        }
    }
}

/// Connections to lend.
pub(crate) struct Pool<C>(Arc<Shared<C>>);

struct Shared<C> {
    open: Open<C>,
    terms: Terms,
    seats: Arc<Semaphore>,
    /// Open connections, lent or not.
    count: AtomicU32,
    /// The one that was used last at the end.
    idle: Mutex<Vec<Idle<C>>>,
}

struct Idle<C> {
    connection: C,
    /// By our clock.
    since: Duration,
}

/// A connection that is lent, or one apart from every pool.
pub(crate) struct Lent<C> {
    // Ahead of its place, so that it is closed before another may be opened.
    connection: C,
    place: Option<Place<C>>,
}

/// The place of a connection in the budget.
struct Place<C> {
    shared: Arc<Shared<C>>,
    /// Whether the connection ends with it.
    ends: bool,
    _seat: OwnedSemaphorePermit,
}

impl<C: Connection> Pool<C> {
    /// A pool in which no connection is open yet.
    pub(crate) fn new(terms: Terms, open: Open<C>) -> Self {
        Self(Arc::new(Shared {
            open,
            seats: Arc::new(Semaphore::new(terms.most as usize)),
            terms,
            count: AtomicU32::new(0),
            idle: Mutex::default(),
        }))
    }

    /// Lends a connection. Errors: `PoolTimedOut`, `PoolClosed`, and whatever keeps one from connecting.
    pub(crate) async fn lend(&self) -> Result<Lent<C>, Error> {
        let lending = timeout(self.0.terms.patience, self.seated());
        lending.await.unwrap_or(Err(Error::PoolTimedOut))
    }

    async fn seated(&self) -> Result<Lent<C>, Error> {
        let shared = Arc::clone(&self.0);
        let seat = Arc::clone(&shared.seats).acquire_owned().await;
        let seat = seat.map_err(|_| Error::PoolClosed)?;
        let idle = shared.idle().pop();
        if idle.is_none() {
            shared.count.fetch_add(1, Ordering::Relaxed);
        }
        let place = Place {
            shared,
            ends: true,
            _seat: seat,
        };
        let connection = match idle {
            Some(idle) => idle.connection,
            None => place.shared.connect().await?,
        };
        let place = Some(place);
        Ok(Lent { connection, place })
    }

    /// Open connections, and those of them that are not lent.
    pub(crate) fn size(&self) -> (u32, usize) {
        let idle = self.0.idle().len();
        (self.0.count.load(Ordering::Relaxed), idle)
    }

    /// Waits until all are given back, closes them, and lends none any more.
    pub(crate) async fn close(&self) {
        // If there is no seat to be had, this has been done already.
        let _all = self.0.seats.acquire_many(self.0.terms.most).await;
        self.0.seats.close();
        let idle = std::mem::take(&mut *self.0.idle());
        for Idle { connection, .. } in idle {
            self.0.part_with(connection).await;
        }
    }
}

impl<C: Connection> Shared<C> {
    /// Opens a connection; waits for a database that is just starting.
    async fn connect(&self) -> Result<C, Error> {
        let mut pause = PAUSE;
        loop {
            match (self.open)().await {
                Err(error) if is_starting(&error) => sleep(pause).await,
                ended => return ended,
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Closes a connection that nobody uses.
    async fn part_with(&self, connection: C) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        // Whether it heard us does not matter.
        let _ = connection.close().await;
    }
}

impl<C> Shared<C> {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle<C>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Connection + 'static> Lent<C> {
    /// A connection that no pool knows of.
    pub(crate) fn apart(connection: C) -> Self {
        let place = None;
        Self { connection, place }
    }

    /// Gives the connection back, which must be in the middle of nothing; one apart is closed.
    pub(crate) async fn give_back(self) {
        let Self { connection, place } = self;
        match place {
            Some(place) => place.keep(connection),
            None => drop(connection.close().await),
        }
    }
}

impl<C: Connection + 'static> Place<C> {
    /// Keeps the connection for the next.
    fn keep(mut self, connection: C) {
        self.ends = false;
        let since = self.shared.terms.clock.elapsed();
        let mut idle = self.shared.idle();
        idle.push(Idle { connection, since });
        let is_old = |idle: &Idle<C>| since.saturating_sub(idle.since) >= OLD;
        let old = idle.first().is_some_and(is_old).then(|| idle.remove(0));
        drop(idle);
        if let Some(old) = old {
            let shared = Arc::clone(&self.shared);
            let closing = async move { shared.part_with(old.connection).await };
            let tasks = &self.shared.terms.tasks;
            tasks.spawn("meta.close_idle", Box::pin(closing));
        }
    }
}

impl<C> Deref for Lent<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C> DerefMut for Lent<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}

impl<C> Drop for Place<C> {
    fn drop(&mut self) {
        if self.ends {
            self.shared.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Whether the database will most likely be there in a moment.
fn is_starting(error: &Error) -> bool {
    match error {
        Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        Error::Database(error) => error.is_transient_in_connect_phase(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

    use super::*;
    use crate::fixture::{TestClock, TestTasks};

    /// A pool of connections to nowhere in particular, and how many were opened.
    fn pool(most: u32) -> (Pool<SqliteConnection>, Arc<AtomicU32>) {
        pool_at(most, TestClock::new())
    }

    fn pool_at(most: u32, clock: Arc<TestClock>) -> (Pool<SqliteConnection>, Arc<AtomicU32>) {
        let opened = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&opened);
        let open = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let options = SqliteConnectOptions::new().in_memory(true);
            let connecting = async move { SqliteConnection::connect_with(&options).await };
            Box::pin(connecting) as BoxFuture<'static, _>
        };
        let terms = Terms {
            most,
            // Opening one takes its time where the machine is busy.
            patience: Duration::from_secs(2),
            clock,
            tasks: TestTasks::tasks(),
        };
        (Pool::new(terms, Box::new(open)), opened)
    }

    #[tokio::test]
    async fn what_is_given_back_is_lent_again_and_what_is_dropped_is_closed() {
        let (pool, opened) = pool(2);
        let (first, second) = (pool.lend().await.unwrap(), pool.lend().await.unwrap());
        assert_eq!((pool.size(), opened.load(Ordering::Relaxed)), ((2, 0), 2));
        first.give_back().await;
        assert_eq!(pool.size(), (2, 1));
        let mut again = pool.lend().await.unwrap();
        again.ping().await.unwrap();
        assert_eq!(opened.load(Ordering::Relaxed), 2);
        drop(second);
        drop(again);
        assert_eq!(pool.size(), (0, 0));
        pool.lend().await.unwrap().give_back().await;
        assert_eq!((pool.size(), opened.load(Ordering::Relaxed)), ((1, 1), 3));
    }

    #[tokio::test]
    async fn there_are_never_more_than_the_budget_allows_and_who_waits_too_long_is_told() {
        let (pool, opened) = pool(1);
        let lent = pool.lend().await.unwrap();
        assert!(matches!(pool.lend().await, Err(Error::PoolTimedOut)));
        let giving_back = async {
            tokio::task::yield_now().await;
            lent.give_back().await;
        };
        let (next, ()) = tokio::join!(pool.lend(), giving_back);
        next.unwrap().give_back().await;
        assert_eq!(opened.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_lay_idle_for_long_is_closed_when_another_comes_back() {
        let clock = TestClock::new();
        let (pool, _) = pool_at(2, Arc::clone(&clock));
        let (first, second) = (pool.lend().await.unwrap(), pool.lend().await.unwrap());
        first.give_back().await;
        clock.advance(OLD);
        second.give_back().await;
        while pool.size() != (1, 1) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn closing_waits_for_what_is_lent_and_lends_no_more() {
        let (pool, _) = pool(2);
        let lent = pool.lend().await.unwrap();
        let closing = pool.close();
        let mut closing = std::pin::pin!(closing);
        assert!(futures::poll!(&mut closing).is_pending());
        lent.give_back().await;
        closing.await;
        assert_eq!(pool.size(), (0, 0));
        assert!(matches!(pool.lend().await, Err(Error::PoolClosed)));
        pool.close().await;
    }
}
