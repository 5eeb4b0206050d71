//! Lanes at run time: every piece of work under way has a seat in its lane.
//!
//! Seats are counted and shown; nobody is kept waiting for one yet. Whoever takes up work takes its
//! seat first, so limits and queues have one place to be.

use std::sync::Arc;

use metrics::{Gauge, gauge};
use seawall_types::lane::Lane;

/// The lanes of a process.
pub struct Lanes([Gauge; Lane::ALL.len()]);

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lanes").finish_non_exhaustive()
    }
}

impl Default for Lanes {
    fn default() -> Self {
        Self(Lane::ALL.map(|lane| gauge!("seawall_requests_running", "lane" => lane.name())))
    }
}

impl Lanes {
    /// Takes a seat.
    pub fn take(self: &Arc<Self>, lane: Lane) -> Seat {
        if let Some(gauge) = self.0.get(lane.index()) {
            gauge.increment(1.0);
        }
        Seat {
            lanes: Arc::clone(self),
            lane,
        }
    }
}

/// A seat in a lane; given back when it is dropped.
#[derive(Debug)]
pub struct Seat {
    lanes: Arc<Lanes>,
    lane: Lane,
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
        if let Some(gauge) = self.lanes.0.get(self.lane.index()) {
            gauge.decrement(1.0);
        }
    }
}
