//! The database's time as far as it is known without asking: the last observation plus the time
//! that has passed since.
//!
//! It does not go back, unless the database's own clock does by a second or more. Tests shift it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use seawall_types::{Clock, Millis};

use crate::args::Arg;

/// A clock that is set back by less than this many milliseconds stands still instead.
const STEP: i64 = 1000;
/// An observation of the time that took longer than this is a vague one.
const VAGUE: Duration = Duration::from_millis(500);
/// An observation of the time that is older than this gives way to a vague one.
const OUTDATED: Duration = Duration::from_secs(5);

/// What is known of the database's time.
pub(crate) struct DatabaseTime {
    clock: Arc<dyn Clock>,
    /// By how many milliseconds a test has moved it.
    shift: AtomicI64,
    observation: Mutex<Observation>,
    /// The latest time that was given out.
    given: AtomicI64,
}

/// The database's time at a moment of our own clock.
#[derive(Clone, Copy)]
struct Observation {
    time: Millis,
    at: Duration,
}

impl DatabaseTime {
    /// Our own clock's time, until the database's is observed.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let observation = Observation {
            time: clock.wall(),
            at: clock.elapsed(),
        };
        Self {
            clock,
            shift: AtomicI64::new(0),
            observation: Mutex::new(observation),
            given: AtomicI64::new(i64::MIN),
        }
    }

    pub(crate) fn now(&self) -> Millis {
        let observation = *self.observation.lock();
        let since = self.clock.elapsed().saturating_sub(observation.at);
        let now = self.shifted(observation.time + since).0;
        let given = self.given.fetch_max(now, Ordering::AcqRel);
        if given.saturating_sub(now) < STEP {
            return Millis(now.max(given));
        }
        // The clock was set back. What was given out since by other threads is of no concern.
        self.given.store(now, Ordering::Release);
        Millis(now)
    }

    /// The shift, as an argument of statements that use the database's clock.
    pub(crate) fn shift(&self) -> Arg {
        Arg::from(self.shift.load(Ordering::Acquire))
    }

    /// A time of the database's clock as it is seen with the shift.
    pub(crate) fn shifted(&self, time: Millis) -> Millis {
        Millis(time.0.saturating_add(self.shift.load(Ordering::Acquire)))
    }

    /// Moves the time forward.
    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.shift.fetch_add(by, Ordering::AcqRel);
    }

    /// Moves the database's clock by so many milliseconds, which shows when it is observed next.
    pub(crate) fn set_clock(&self, by: i64) {
        let mut observation = self.observation.lock();
        self.shift.fetch_add(by, Ordering::AcqRel);
        observation.time = Millis(observation.time.0.saturating_sub(by));
    }

    /// Notes a time that a statement brought, taken between `begun` and now.
    pub(crate) fn note(&self, shifted: Millis, begun: Duration) {
        let time = Millis(shifted.0.saturating_sub(self.shift.load(Ordering::Acquire)));
        let ended = self.clock.elapsed();
        let at = begun + ended.saturating_sub(begun) / 2;
        let mut observation = self.observation.lock();
        // An answer that took long says little about now, and less than what is known from lately.
        let vague = ended.saturating_sub(begun) > VAGUE;
        if !vague || ended.saturating_sub(observation.at) > OUTDATED {
            *observation = Observation { time, at };
        }
    }
}
