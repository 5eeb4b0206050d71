//! How long a request may take. Every route has a deadline: its own, or that of its lane.
//!
//! A deadline counts our own time. Time in which the client's body is waited for is the client's,
//! and has bounds of its own: how long a body may stand still, and how fast it must come on
//! average. A body and a download never have a total, since a layer may take a day. What the client
//! does not take of an answer is the connection's business.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use seawall_types::Clock;
use seawall_types::lane::Lane;
use seawall_types::work::Cost;

use super::body::BodyProgress;
use crate::lanes;
use crate::settings::BodyTimeouts;

/// How long a streaming route may work without a word from its client: enough to hash again what a
/// large upload has stored, and to flush it.
const SILENCE: Duration = Duration::from_mins(15);

/// By when a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// Within so much of our own time.
    Total(Duration),
    /// As long as it makes progress: for a body of any length. It must come at this pace, or at
    /// that of the settings.
    Streaming(Option<BodyTimeouts>),
}

impl Deadline {
    /// The deadline of routes that have none of their own. It is generous: it ends what has gone
    /// wrong, and enforces no schedule.
    pub const fn of(lane: Lane) -> Self {
        Self::Total(lanes::deadline(lane))
    }

    /// Our own time, where it has a bound.
    pub(super) const fn total(self) -> Option<Duration> {
        match self {
            Self::Total(total) => Some(total),
            Self::Streaming(_) => None,
        }
    }
}

/// Watches over the deadline of a request.
pub(super) struct DeadlineWatch<'a> {
    pub(super) deadline: Deadline,
    pub(super) clock: &'a dyn Clock,
    /// When the request was taken up, on the clock.
    pub(super) started: Duration,
    pub(super) cost: &'a Cost,
    pub(super) progress: &'a BodyProgress,
}

impl DeadlineWatch<'_> {
    /// What `work` comes to; nothing if the deadline passes before, and then it is dropped.
    pub(super) async fn over<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        // What is ready at once, as a pull from memory is, arms no timer.
        if let Poll::Ready(done) = futures::poll!(work.as_mut()) {
            return Some(done);
        }
        loop {
            let (left, pieces) = (self.left(), self.progress.pieces());
            if left.is_zero() {
                return None;
            }
            if let Ok(done) = tokio::time::timeout(left, work.as_mut()).await {
                return Some(done);
            }
            let is_streaming = self.deadline.total().is_none();
            let goes_on = self.progress.pieces() != pieces || self.waiting().is_some();
            if is_streaming && !goes_on {
                return None;
            }
        }
    }

    /// Whether a deadline in total has passed.
    pub(super) fn has_passed(&self) -> bool {
        self.left().is_zero()
    }

    fn left(&self) -> Duration {
        let Some(total) = self.deadline.total() else {
            return SILENCE;
        };
        let theirs = self.cost.body_wait() + self.waiting().unwrap_or_default();
        let passed = self.clock.elapsed().saturating_sub(self.started);
        total.saturating_sub(passed.saturating_sub(theirs))
    }

    fn waiting(&self) -> Option<Duration> {
        self.progress.waiting(self.clock.elapsed())
    }
}
