//! The context of an operation in the substrate: its lane, its deadline, its cost meter and
//! the position it has seen; and how work is spawned.
//!
//! Handles for SQL, transfers and hashing are made from a [`Context`] (decision 17), so that
//! routing, timeouts and charging can change without touching a single caller. A context never says
//! who is asking: that is the kernel's `Op`.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::ids::ChangeId;
use crate::lane::Lane;
use crate::time::Clock;

/// What one operation or job carries; clones share the meter and the position.
#[derive(Clone, Debug)]
pub struct Context {
    /// The lane whose share is spent.
    pub lane: Lane,
    /// When the work is worth nothing any more, on [`Clock::elapsed`]; `None` for work without an
    /// end in sight. Time in which the client's body is waited for does not count: read it by
    /// [`Context::remaining`].
    pub deadline: Option<Duration>,
    /// What has been spent so far.
    pub cost: Arc<Cost>,
    /// The highest change number that this work has caused or seen (0 for none); what it reads must
    /// not be older.
    pub seen: Arc<AtomicI64>,
    /// What lives as long as any part of the work does, such as a request's record and its seat: it
    /// is dropped with the last clone.
    pub guard: Option<Arc<dyn Any + Send + Sync>>,
}

impl Context {
    /// A context with an empty meter, no deadline and nothing seen.
    pub fn new(lane: Lane) -> Self {
        Self {
            lane,
            deadline: None,
            cost: Arc::default(),
            seen: Arc::default(),
            guard: None,
        }
    }

    /// The same work, whose every part keeps `guard` alive.
    pub fn guarded_by(mut self, guard: Arc<dyn Any + Send + Sync>) -> Self {
        self.guard = Some(guard);
        self
    }

    /// The same work with this deadline on [`Clock::elapsed`].
    pub fn until(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The same work, which has `limit` from now on. The time in which the client's body was waited
    /// for before now does not add to it; that of waits still to come does.
    pub fn within(self, limit: Duration, clock: &dyn Clock) -> Self {
        let deadline = clock.elapsed().saturating_add(limit);
        let deadline = deadline.saturating_sub(self.cost.body_wait());
        self.until(deadline)
    }

    /// The same work charged to and limited by another lane.
    pub fn in_lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// How much time is left: `None` without a deadline, zero when it has passed.
    pub fn remaining(&self, clock: &dyn Clock) -> Option<Duration> {
        let deadline = self.deadline?.saturating_add(self.cost.body_wait());
        Some(deadline.saturating_sub(clock.elapsed()))
    }

    /// Notes a change that later reads of this work must include; the position only moves forward.
    pub fn see(&self, change: ChangeId) {
        self.seen.fetch_max(change.get(), Ordering::AcqRel);
    }
}

/// What a piece of work has cost so far. Counters only grow and are exact, but not read at one
/// instant.
#[derive(Debug, Default)]
pub struct Cost {
    /// SQL statements that only read. The brackets of transactions are not counted.
    pub reads: AtomicU64,
    /// SQL statements that write.
    pub writes: AtomicU64,
    /// Time in which a database connection was held, in microseconds.
    pub db_micros: AtomicU64,
    /// Bytes received from the client.
    pub bytes_in: AtomicU64,
    /// Bytes sent to the client.
    pub bytes_out: AtomicU64,
    /// CPU time spent on hashing, signing and the like, in microseconds.
    pub cpu_micros: AtomicU64,
    /// Time in which the client's body was waited for, in microseconds: the client's time, which no
    /// deadline of ours counts.
    pub body_wait_micros: AtomicU64,
}

impl Cost {
    /// Charges reading statements.
    pub fn charge_reads(&self, statements: u64) {
        self.reads.fetch_add(statements, Ordering::Relaxed);
    }

    /// Charges writing statements.
    pub fn charge_writes(&self, statements: u64) {
        self.writes.fetch_add(statements, Ordering::Relaxed);
    }

    /// Charges time in which a database connection was held.
    pub fn charge_db(&self, time: Duration) {
        self.db_micros
            .fetch_add(whole_micros(time), Ordering::Relaxed);
    }

    /// Charges bytes received.
    pub fn charge_bytes_in(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Charges bytes sent.
    pub fn charge_bytes_out(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Charges CPU time.
    pub fn charge_cpu(&self, time: Duration) {
        self.cpu_micros
            .fetch_add(whole_micros(time), Ordering::Relaxed);
    }

    /// Charges time in which the client's body was waited for.
    pub fn charge_body_wait(&self, time: Duration) {
        self.body_wait_micros
            .fetch_add(whole_micros(time), Ordering::Relaxed);
    }

    /// How long the client's body was waited for so far.
    pub fn body_wait(&self) -> Duration {
        Duration::from_micros(self.body_wait_micros.load(Ordering::Relaxed))
    }

    /// The counters as they stand.
    pub fn snapshot(&self) -> CostSnapshot {
        CostSnapshot {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            db_micros: self.db_micros.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            cpu_micros: self.cpu_micros.load(Ordering::Relaxed),
        }
    }
}

fn whole_micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The counters of a [`Cost`] at some moment; the units are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostSnapshot {
    /// SQL statements that only read.
    pub reads: u64,
    /// SQL statements that write.
    pub writes: u64,
    /// Microseconds with a database connection.
    pub db_micros: u64,
    /// Bytes received from the client.
    pub bytes_in: u64,
    /// Bytes sent to the client.
    pub bytes_out: u64,
    /// Microseconds of CPU time.
    pub cpu_micros: u64,
}

impl CostSnapshot {
    /// What was added since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads.saturating_sub(earlier.reads),
            writes: self.writes.saturating_sub(earlier.writes),
            db_micros: self.db_micros.saturating_sub(earlier.db_micros),
            bytes_in: self.bytes_in.saturating_sub(earlier.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(earlier.bytes_out),
            cpu_micros: self.cpu_micros.saturating_sub(earlier.cpu_micros),
        }
    }
}

/// Work that runs by itself.
pub type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The only way to spawn work: the implementation names, counts and drains what runs.
pub trait Spawner: Send + Sync {
    /// Runs `work` to its end; a caller that goes away does not cancel it. `name` is what metrics
    /// and logs call it.
    fn spawn(&self, name: &'static str, work: TaskFuture);
}

/// How work is spawned.
pub type Tasks = Arc<dyn Spawner>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Millis;

    struct At(u64);

    impl Clock for At {
        fn wall(&self) -> Millis {
            Millis(0)
        }

        fn elapsed(&self) -> Duration {
            Duration::from_secs(self.0)
        }
    }

    #[test]
    fn clones_share_the_meter_and_the_position() {
        let context = Context::new(Lane::Push);
        let clone = context.clone().in_lane(Lane::Commit);
        clone.cost.charge_reads(2);
        clone.cost.charge_db(Duration::from_millis(3));
        clone.see(ChangeId::from(9));
        clone.see(ChangeId::from(4));
        let expected = CostSnapshot {
            reads: 2,
            db_micros: 3000,
            ..CostSnapshot::default()
        };
        assert_eq!(context.cost.snapshot(), expected);
        assert_eq!(context.seen.load(Ordering::Acquire), 9);
        assert_eq!((context.lane, clone.lane), (Lane::Push, Lane::Commit));
    }

    #[test]
    fn a_deadline_that_has_passed_leaves_nothing() {
        let context = Context::new(Lane::Pull);
        assert_eq!(context.remaining(&At(5)), None);
        let context = context.until(Duration::from_secs(7));
        assert_eq!(context.remaining(&At(5)), Some(Duration::from_secs(2)));
        assert_eq!(context.remaining(&At(9)), Some(Duration::ZERO));
        context.cost.charge_body_wait(Duration::from_secs(3));
        assert_eq!(context.remaining(&At(9)), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_limit_from_now_on_is_not_longer_for_a_body_that_was_waited_for_before() {
        let (start, limit) = (At(10_000), Duration::from_mins(1));
        let context = Context::new(Lane::Push);
        context.cost.charge_body_wait(Duration::from_hours(2));
        let context = context.within(limit, &start);
        assert_eq!(context.remaining(&start), Some(limit));
        assert_eq!(context.remaining(&At(10_060)), Some(Duration::ZERO));
        context.cost.charge_body_wait(Duration::from_secs(3));
        let left = context.remaining(&At(10_060));
        assert_eq!(left, Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_guard_lives_as_long_as_any_clone() {
        let guard = Arc::new(());
        let context = Context::new(Lane::Pull).guarded_by(Arc::clone(&guard) as _);
        let clone = context.clone();
        drop(context);
        assert_eq!(Arc::strong_count(&guard), 2);
        drop(clone);
        assert_eq!(Arc::strong_count(&guard), 1);
    }

    #[test]
    fn what_was_spent_between_two_looks() {
        let cost = Cost::default();
        cost.charge_bytes_in(10);
        let before = cost.snapshot();
        cost.charge_bytes_in(5);
        cost.charge_bytes_out(7);
        cost.charge_writes(1);
        cost.charge_cpu(Duration::from_micros(8));
        let spent = cost.snapshot().since(before);
        let (writes, bytes_in, bytes_out, cpu_micros) = (1, 5, 7, 8);
        let expected = CostSnapshot {
            writes,
            bytes_in,
            bytes_out,
            cpu_micros,
            ..CostSnapshot::default()
        };
        assert_eq!(spent, expected);
    }
}
