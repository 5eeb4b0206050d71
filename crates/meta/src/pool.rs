//! The connections to one database: opened when they are needed, and never more than the budget
//! allows.
//!
//! A caller waits in a fair queue for a permit, for a bounded time. The connection that was used
//! last is used first, so that connections which are not needed any more grow old and are closed.
//! Giving one back is free: it is not tested, since that would be one more round trip for every
//! statement, with the permit still taken. One that broke while it was idle is noticed by its next
//! statement. A connection that is dropped is closed, so that its open work is never passed on.
//!
//! A handshake runs in a task of its own and holds the permit of its connection until it has ended
//! ([`Handshakes`]), so that callers who give up never make the server see more than the budget.
//! Those who wait take what is given back meanwhile.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use seawall_limit::{Limit, Limiter, Permit};
use seawall_types::{Clock, Tasks};
use sqlx::Connection;
use tokio::sync::{Notify, OwnedMutexGuard, oneshot};
use tokio::time::timeout;

use crate::dialect::errors::Failure;
use crate::error::Error;
use crate::handshake::{ConnectRefusal, Handshakes};

/// A connection that has been idle for so long is closed.
const OLD: Duration = Duration::from_mins(10);

/// Opens a connection.
pub(crate) type OpenConnection<C> =
    Box<dyn Fn() -> BoxFuture<'static, Result<C, ConnectRefusal>> + Send + Sync>;

/// How a pool is set up.
#[derive(Clone)]
pub(crate) struct PoolConfig {
    /// How many connections there may be.
    pub(crate) most: u32,
    /// How long a caller waits for a permit and a connection together.
    pub(crate) patience: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: Tasks,
    pub(crate) handshakes: Arc<Handshakes>,
}

impl PoolConfig {
    /// The same for another number of connections.
    pub(crate) fn with_most(&self, most: u32) -> Self {
        Self {
            most,
            ..self.clone()
        }
    }
}

/// A pool of connections.
pub(crate) struct ConnectionPool<C>(Arc<PoolState<C>>);

struct PoolState<C> {
    open: OpenConnection<C>,
    config: PoolConfig,
    permits: Limiter,
    /// Open connections, on loan or idle.
    count: AtomicU32,
    /// The one that was used last at the end.
    idle: Mutex<Vec<IdleConnection<C>>>,
    /// Rings when there is one more.
    returned: Notify,
}

struct IdleConnection<C> {
    connection: C,
    epoch: u64,
    /// By our clock.
    since: Duration,
}

/// A connection on loan from its pool, or one that has none.
pub(crate) struct PooledConnection<C> {
    // Ahead of its slot, so that it is closed before another may be opened.
    connection: C,
    slot: Option<Slot<C>>,
}

/// The slot of a connection in the budget.
struct Slot<C> {
    shared: Arc<PoolState<C>>,
    /// When its connection was opened, if it has one that ends with it.
    epoch: Option<u64>,
    _permit: Permit,
}

impl<C: Connection + 'static> ConnectionPool<C> {
    /// A pool in which no connection is open yet.
    pub(crate) fn new(config: PoolConfig, open: OpenConnection<C>) -> Self {
        Self(Arc::new(PoolState {
            open,
            permits: Limiter::new("meta.pool", Limit::of(config.most as usize)),
            config,
            count: AtomicU32::new(0),
            idle: Mutex::default(),
            returned: Notify::new(),
        }))
    }

    /// Lends a connection, or says that there was none in time, and else why there is none. May be
    /// dropped at any time.
    pub(crate) async fn lend(&self) -> Result<PooledConnection<C>, Failure> {
        self.lend_within(None).await
    }

    /// The same for a caller that has only so much time left.
    pub(crate) async fn lend_within(
        &self,
        left: Option<Duration>,
    ) -> Result<PooledConnection<C>, Failure> {
        let patience = self.0.config.patience;
        let patience = left.map_or(patience, |left| left.min(patience));
        let lending = timeout(patience, self.connection());
        let late = || Error::Unavailable("no connection was free in time".into());
        lending.await.unwrap_or_else(|_| Err(late().into()))
    }

    async fn connection(&self) -> Result<PooledConnection<C>, Failure> {
        let shared = &self.0;
        let handshakes = &shared.config.handshakes;
        let permit = shared.permits.next().await;
        let mut slot = Slot {
            shared: Arc::clone(shared),
            epoch: None,
            _permit: permit.map_err(|_| closed())?,
        };
        loop {
            let turn = {
                let mut returned = std::pin::pin!(shared.returned.notified());
                returned.as_mut().enable();
                if let Some(idle) = shared.take_idle() {
                    return Ok(slot.with(idle.connection, idle.epoch));
                }
                match handshakes.refused() {
                    Some((refusal, _)) if !refusal.passes => return Err(refusal.failure),
                    Some((_, left)) => {
                        drop(timeout(left, returned).await);
                        continue;
                    }
                    None => tokio::select! {
                        turn = handshakes.turn() => turn,
                        () = returned => continue,
                    },
                }
            };
            // Things may have changed while another handshake had the turn.
            if shared.has_idle() || handshakes.refused().is_some() {
                continue;
            }
            slot = match slot.connect(turn).await? {
                Ok(connection) => return Ok(connection),
                Err(slot) => slot,
            };
        }
    }

    /// Closes the idle connections: the next is a new one.
    pub(crate) fn renew(&self) {
        self.0.drop_idle(|_| true);
    }

    /// Open connections, and those of them that are idle.
    pub(crate) fn size(&self) -> (u32, usize) {
        let idle = self.0.idle().len();
        (self.0.count.load(Ordering::Relaxed), idle)
    }

    /// Waits until all are given back, closes them, and lends none any more. Those that are not
    /// back and closed within the bound are left to end by themselves; says whether there were
    /// none.
    pub(crate) async fn close(&self, bound: Duration) -> bool {
        let closing = timeout(bound, async {
            self.0.permits.close_idle().await;
            let idle = std::mem::take(&mut *self.0.idle());
            for IdleConnection { connection, .. } in idle {
                self.0.close_connection(connection).await;
            }
        });
        let closed = closing.await.is_ok();
        self.0.permits.close();
        self.0.drop_idle(|_| true);
        closed
    }
}

impl<C: Connection> PoolState<C> {
    /// Closes an idle connection.
    async fn close_connection(&self, connection: C) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        // Whether the server got that does not matter.
        let _ = connection.close().await;
    }
}

impl<C> PoolState<C> {
    fn idle(&self) -> MutexGuard<'_, Vec<IdleConnection<C>>> {
        self.idle.lock()
    }

    /// The connection that was used last, if it is trusted; those that are not are closed.
    fn take_idle(&self) -> Option<IdleConnection<C>> {
        let epoch = self.config.handshakes.epoch();
        self.drop_idle(|idle| idle.epoch < epoch);
        self.idle().pop()
    }

    fn has_idle(&self) -> bool {
        !self.idle().is_empty()
    }

    /// Drops the idle connections that are like this, which closes them.
    fn drop_idle(&self, is: impl Fn(&IdleConnection<C>) -> bool) {
        let dropped: Vec<_> = self.idle().extract_if(.., |idle| is(idle)).collect();
        let count = u32::try_from(dropped.len()).unwrap_or(u32::MAX);
        drop(dropped);
        self.count.fetch_sub(count, Ordering::Relaxed);
    }
}

impl<C: Connection + 'static> PooledConnection<C> {
    /// A connection that belongs to no pool.
    pub(crate) fn unpooled(connection: C) -> Self {
        let slot = None;
        Self { connection, slot }
    }

    /// Gives the connection back, which must be in the middle of nothing; one without a pool is
    /// closed.
    pub(crate) async fn give_back(self) {
        let Self { connection, slot } = self;
        match slot {
            Some(slot) => slot.put_back(connection),
            None => drop(connection.close().await),
        }
    }

    /// Closes the connection, since it fell silent, and trusts no other that is as old.
    pub(crate) fn abandon(self) {
        let Self { connection, slot } = self;
        drop(connection);
        if let Some(slot) = slot {
            let handshakes = &slot.shared.config.handshakes;
            if slot.epoch == Some(handshakes.epoch()) {
                handshakes.distrust();
            }
        }
    }
}

/// How a handshake ended: a failure that ends the waiting, the connection, or the slot to try again
/// with.
type ConnectResult<C> = Result<Result<PooledConnection<C>, Slot<C>>, Failure>;

impl<C: Connection + 'static> Slot<C> {
    fn with(mut self, connection: C, epoch: u64) -> PooledConnection<C> {
        self.epoch = Some(epoch);
        let slot = Some(self);
        PooledConnection { connection, slot }
    }

    /// Opens a connection for this slot, in a task that ends when the server has answered.
    async fn connect(mut self, turn: OwnedMutexGuard<()>) -> ConnectResult<C> {
        let shared = Arc::clone(&self.shared);
        let epoch = shared.config.handshakes.epoch();
        self.epoch = Some(epoch);
        shared.count.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let tasks = Arc::clone(&shared.config.tasks);
        let opening = async move {
            let opened = shared.config.handshakes.attempt((shared.open)()).await;
            drop(turn);
            if let Ok(connection) = opened {
                // The caller may have gone, and then the next has it.
                if let Err(Ok(connection)) = answer.send(Ok(self.with(connection, epoch))) {
                    connection.give_back().await;
                }
            } else {
                self.epoch = None;
                shared.count.fetch_sub(1, Ordering::Relaxed);
                drop(answer.send(Err(self)));
            }
        };
        tasks.spawn("meta.connect", Box::pin(opening));
        answered.await.map_err(|_| closed())
    }

    /// Keeps the connection for the next caller.
    fn put_back(mut self, connection: C) {
        let (since, shared) = (self.shared.config.clock.elapsed(), Arc::clone(&self.shared));
        let is_trusted = self.epoch == Some(shared.config.handshakes.epoch());
        if !is_trusted || shared.permits.is_closed() {
            return;
        }
        let Some(epoch) = self.epoch.take() else {
            return;
        };
        let mut idle = shared.idle();
        idle.push(IdleConnection {
            connection,
            epoch,
            since,
        });
        let is_old = |idle: &IdleConnection<C>| since.saturating_sub(idle.since) >= OLD;
        let old = idle.first().is_some_and(is_old).then(|| idle.remove(0));
        drop(idle);
        shared.returned.notify_one();
        if let Some(old) = old {
            let tasks = Arc::clone(&shared.config.tasks);
            let closing = async move { shared.close_connection(old.connection).await };
            tasks.spawn("meta.close_idle", Box::pin(closing));
        }
    }
}

impl<C> Deref for PooledConnection<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C> DerefMut for PooledConnection<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}

impl<C> Drop for Slot<C> {
    fn drop(&mut self) {
        if self.epoch.is_some() {
            self.shared.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn closed() -> Failure {
    Error::Unavailable("the connections are closed".into()).into()
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

    use super::*;
    use crate::fixture::{TestClock, TestTasks};

    /// A pool of connections to nowhere in particular, and how many were opened.
    fn pool(most: u32) -> (ConnectionPool<SqliteConnection>, Arc<AtomicU32>) {
        pool_at(most, TestClock::new())
    }

    fn pool_at(
        most: u32,
        clock: Arc<TestClock>,
    ) -> (ConnectionPool<SqliteConnection>, Arc<AtomicU32>) {
        let opened = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&opened);
        let open = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let options = SqliteConnectOptions::new().in_memory(true);
            let connecting =
                async move { Ok(SqliteConnection::connect_with(&options).await.unwrap()) };
            Box::pin(connecting) as BoxFuture<'static, _>
        };
        (pool_of(most, clock, Box::new(open)), opened)
    }

    fn pool_of(
        most: u32,
        clock: Arc<TestClock>,
        open: OpenConnection<SqliteConnection>,
    ) -> ConnectionPool<SqliteConnection> {
        let config = PoolConfig {
            most,
            // Opening one takes its time where the machine is busy.
            patience: Duration::from_secs(2),
            handshakes: Handshakes::new(clock.clone(), true),
            clock,
            tasks: TestTasks::tasks(),
        };
        ConnectionPool::new(config, open)
    }

    fn is_unavailable(lent: Result<PooledConnection<SqliteConnection>, Failure>) -> bool {
        lent.is_err_and(|failure| matches!(failure.error, Error::Unavailable(_)))
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
        assert!(is_unavailable(pool.lend().await));
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
        let closing = pool.close(OLD);
        let mut closing = std::pin::pin!(closing);
        assert!(futures::poll!(&mut closing).is_pending());
        lent.give_back().await;
        assert!(closing.await);
        assert_eq!(pool.size(), (0, 0));
        assert!(is_unavailable(pool.lend().await));
        pool.close(OLD).await;
    }

    #[tokio::test]
    async fn closing_ends_though_one_is_never_given_back() {
        let (pool, _) = pool(2);
        let lent = pool.lend().await.unwrap();
        assert!(!pool.close(Duration::from_millis(10)).await);
        assert!(is_unavailable(pool.lend().await));
        lent.give_back().await;
        assert_eq!(pool.size(), (0, 0));
    }

    #[tokio::test]
    async fn who_waits_for_a_handshake_takes_what_is_given_back_meanwhile() {
        let clock = TestClock::new();
        let (first, _) = pool_at(1, Arc::clone(&clock));
        let connection = std::sync::Mutex::new(Some(first.lend().await.unwrap().connection));
        // The first is there at once, no other ever comes.
        let open = move || {
            let connection = connection.lock().unwrap().take();
            Box::pin(async move {
                match connection {
                    Some(connection) => Ok(connection),
                    None => std::future::pending().await,
                }
            }) as BoxFuture<'static, _>
        };
        let pool = pool_of(3, clock, Box::new(open));
        let lent = pool.lend().await.unwrap();
        let mut first = std::pin::pin!(pool.lend());
        assert!(futures::poll!(&mut first).is_pending());
        let mut second = std::pin::pin!(pool.lend());
        assert!(futures::poll!(&mut second).is_pending());
        lent.give_back().await;
        second.await.unwrap();
        // The handshake under way keeps its place, though its caller gives up.
        assert!(is_unavailable(first.await));
        assert_eq!(pool.size().0, 1);
    }

    #[tokio::test]
    async fn a_refusal_is_heard_by_all_who_wait_and_by_those_who_come_soon() {
        let tried = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&tried);
        let open = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {
                tokio::task::yield_now().await;
                let failure = Error::Unavailable("refused".into()).into();
                let passes = false;
                Err(ConnectRefusal { failure, passes })
            }) as BoxFuture<'static, _>
        };
        let clock = TestClock::new();
        let pool = pool_of(16, Arc::clone(&clock), Box::new(open));
        for round in 1..=3 {
            let all = futures::future::join_all((0..32).map(|_| pool.lend())).await;
            assert!(all.into_iter().all(is_unavailable));
            // The pause may have been over before the last of them came.
            assert!(tried.load(Ordering::Relaxed) <= round * 4);
            clock.advance(Duration::from_secs(2));
        }
        assert_eq!(pool.size(), (0, 0));
    }

    #[tokio::test]
    async fn when_one_fell_silent_none_that_is_as_old_is_used_again() {
        let (pool, opened) = pool(3);
        let (first, second) = (pool.lend().await.unwrap(), pool.lend().await.unwrap());
        let third = pool.lend().await.unwrap();
        first.give_back().await;
        second.abandon();
        third.give_back().await;
        let lent = pool.lend().await.unwrap();
        assert_eq!((pool.size(), opened.load(Ordering::Relaxed)), ((1, 0), 4));
        lent.give_back().await;
        assert_eq!(pool.size(), (1, 1));
    }
}
