//! Lanes at run time: every piece of work under way has a seat in its lane, requests and jobs
//! alike.
//!
//! Each lane is a limiter. None has a maximum yet: seats are counted and shown, and a seat is
//! always free. Work takes its seat before anything else, so limits and queues have one place to
//! be.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Gauge, gauge};
use seawall_limit::{Limit, Limiter, Permit};
use seawall_types::lane::Lane;

/// How long work of a lane may take where nothing else is said: a request in all, and a use of the
/// database by work that has no end of its own. It is generous: it ends what has gone wrong.
pub const fn deadline(lane: Lane) -> Duration {
    match lane {
        Lane::Control | Lane::Pull => Duration::from_secs(30),
        Lane::Push | Lane::Interactive | Lane::Listing => Duration::from_mins(1),
        Lane::Commit => Duration::from_mins(2),
        Lane::Background => Duration::from_hours(1),
    }
}

/// The lanes of a process.
pub struct Lanes([LaneSeats; Lane::ALL.len()]);

struct LaneSeats {
    limiter: Limiter,
    running: Gauge,
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lanes").finish_non_exhaustive()
    }
}

impl Default for Lanes {
    fn default() -> Self {
        Self(Lane::ALL.map(|lane| LaneSeats {
            limiter: Limiter::new(lane.name(), Limit::UNLIMITED),
            running: gauge!("seawall_requests_running", "lane" => lane.name()),
        }))
    }
}

impl Lanes {
    /// Takes a seat.
    pub fn take(self: &Arc<Self>, lane: Lane) -> Seat {
        let seats = self.0.get(lane.index());
        if let Some(seats) = seats {
            seats.running.increment(1.0);
        }
        Seat {
            lanes: Arc::clone(self),
            lane,
            _permit: seats.and_then(|seats| seats.limiter.try_acquire().ok()),
        }
    }

    /// How many seats of a lane are taken.
    pub fn in_use(&self, lane: Lane) -> usize {
        let seats = self.0.get(lane.index());
        seats.map_or(0, |seats| seats.limiter.in_use())
    }
}

/// A seat in a lane; given back when it is dropped.
#[derive(Debug)]
pub struct Seat {
    lanes: Arc<Lanes>,
    lane: Lane,
    /// Always there, as no lane has a maximum.
    _permit: Option<Permit>,
}

impl Seat {
    /// The same work in another lane.
    pub fn move_to(&mut self, lane: Lane) {
        if lane != self.lane {
            *self = self.lanes.take(lane);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(seats) = self.lanes.0.get(self.lane.index()) {
            seats.running.decrement(1.0);
        }
    }
}
