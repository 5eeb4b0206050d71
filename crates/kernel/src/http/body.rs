//! Request bodies as bounded streams: a client that stands still, trickles or hangs up is noticed
//! here.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::Stream;
use parking_lot::Mutex;
use seawall_blob::BodyError;
use seawall_types::work::Cost;
use seawall_types::{Clock, Error, Reason};
use tokio::time::Sleep;

use crate::op::Op;
use crate::settings::BodyTimeouts;

/// A body that a handler may take; what the handler leaves can still be drained afterwards.
#[derive(Clone, Default)]
pub(super) struct BodySlot(Arc<Slot>);

#[derive(Default)]
struct Slot {
    body: Mutex<Option<Body>>,
    progress: BodyProgress,
}

impl BodySlot {
    pub(super) fn new(body: Body) -> Self {
        Self(Arc::new(Slot {
            body: Mutex::new(Some(body)),
            progress: BodyProgress::default(),
        }))
    }

    pub(super) fn take(&self) -> Option<Body> {
        self.0.body.lock().take()
    }

    /// How far the body has come.
    pub(super) fn progress(&self) -> &BodyProgress {
        &self.0.progress
    }

    /// Puts back what was not read of it.
    fn give_back(&self, rest: Body) {
        *self.0.body.lock() = Some(rest);
    }
}

/// How far a body has come, for a deadline that counts only the time that is ours.
#[derive(Default)]
pub(super) struct BodyProgress {
    pieces: AtomicU64,
    /// Since when the next piece is waited for, in microseconds of the clock, and 1; 0 while none
    /// is.
    waiting_since: AtomicU64,
}

impl BodyProgress {
    /// How many pieces have come.
    pub(super) fn pieces(&self) -> u64 {
        self.pieces.load(Ordering::Relaxed)
    }

    /// How long the next piece has been waited for by `now`; nothing while none is waited for.
    pub(super) fn waiting(&self, now: Duration) -> Option<Duration> {
        let since = self.waiting_since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(now.saturating_sub(Duration::from_micros(since)))
    }

    fn begin_to_wait(&self, now: Duration) {
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX - 1);
        self.waiting_since.store(now + 1, Ordering::Relaxed);
    }

    fn end_to_wait(&self) {
        self.waiting_since.store(0, Ordering::Relaxed);
    }
}

/// A request's body, piece by piece. What is not read of it goes back to where it was taken from,
/// so that a refused client can be read on beside its answer.
pub struct BodyStream {
    /// None once it has ended, or broken.
    body: Option<BodyDataStream>,
    slot: BodySlot,
    pace: BodyRate,
    timer: Pin<Box<Sleep>>,
    clock: Arc<dyn Clock>,
    cost: Arc<Cost>,
    /// Since when the next piece is waited for; not while it is us who do not ask.
    waiting_since: Option<Duration>,
}

impl BodyStream {
    /// The body in `slot`; an empty one if it was taken before. The time in which it is waited for
    /// is charged to `op`.
    pub(super) fn new(slot: &BodySlot, patience: BodyTimeouts, op: &Op) -> Self {
        let (clock, cost) = (Arc::clone(op.kernel().clock()), op.shared_cost());
        Self::timed(slot, patience, clock, cost)
    }

    fn timed(
        slot: &BodySlot,
        patience: BodyTimeouts,
        clock: Arc<dyn Clock>,
        cost: Arc<Cost>,
    ) -> Self {
        Self {
            body: slot.take().map(Body::into_data_stream),
            slot: slot.clone(),
            pace: BodyRate::new(patience),
            timer: Box::pin(tokio::time::sleep(patience.idle)),
            clock,
            cost,
            waiting_since: None,
        }
    }

    /// Notes that the next piece is waited for.
    fn wait(&mut self) {
        if self.waiting_since.is_some() {
            return;
        }
        let now = self.clock.elapsed();
        self.waiting_since = Some(now);
        self.slot.progress().begin_to_wait(now);
        self.timer.set(tokio::time::sleep(self.pace.patience.idle));
    }

    /// Notes that nothing is waited for any more; says how long it was.
    fn waited(&mut self) -> Duration {
        let Some(since) = self.waiting_since.take() else {
            return Duration::ZERO;
        };
        let waited = self.clock.elapsed().saturating_sub(since);
        // Charged first: a deadline that looks in between must not count the time as ours.
        self.cost.charge_body_wait(waited);
        self.slot.progress().end_to_wait();
        waited
    }
}

impl Drop for BodyStream {
    fn drop(&mut self) {
        self.waited();
        if let Some(rest) = self.body.take() {
            self.slot.give_back(Body::from_stream(rest));
        }
    }
}

impl Stream for BodyStream {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // What came is handed on before its slowness is: the reader can keep it.
        if this.pace.is_too_slow {
            this.body = None;
            return Poll::Ready(Some(Err(BodyError::TooSlow)));
        }
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        match Pin::new(body).poll_next(cx) {
            Poll::Ready(piece) => {
                let waited = this.waited();
                match &piece {
                    Some(Ok(bytes)) => {
                        this.slot.progress().pieces.fetch_add(1, Ordering::Relaxed);
                        this.pace.came(bytes.len(), waited);
                    }
                    _ => this.body = None,
                }
                // Whatever breaks a body, it is the client or the way to it.
                Poll::Ready(piece.map(|piece| piece.map_err(|_| BodyError::ClientGone)))
            }
            Poll::Pending => {
                this.wait();
                let too_slow = this.timer.as_mut().poll(cx);
                if too_slow.is_ready() {
                    this.waited();
                    this.body = None;
                }
                too_slow.map(|()| Some(Err(BodyError::TooSlow)))
            }
        }
    }
}

/// How fast a body comes while it is waited for. A body that always brings a byte before it has
/// stood still for too long would hold its request for ever.
struct BodyRate {
    patience: BodyTimeouts,
    waited: Duration,
    bytes: u64,
    is_too_slow: bool,
}

impl BodyRate {
    fn new(patience: BodyTimeouts) -> Self {
        Self {
            patience,
            waited: Duration::ZERO,
            bytes: 0,
            is_too_slow: false,
        }
    }

    fn came(&mut self, bytes: usize, waited: Duration) {
        self.bytes += bytes as u64;
        self.waited += waited;
        if waited.is_zero() || self.waited < self.patience.idle {
            return;
        }
        let rate = u128::from(self.patience.bytes_per_second);
        self.is_too_slow = u128::from(self.bytes) * 1000 < rate * self.waited.as_millis();
        self.waited = Duration::ZERO;
        self.bytes = 0;
    }
}

/// The answer to a body that broke.
pub fn refuse(error: &BodyError) -> Error {
    match error {
        BodyError::TooSlow => Error::new(
            Reason::Timeout,
            "the body came too slowly, or stood still for too long",
        ),
        BodyError::TooLarge => Error::new(Reason::TooLarge, "the body is too large"),
        _ => Error::new(
            Reason::ClientGone,
            "the client closed the connection before the body was complete",
        ),
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use seawall_types::time::Millis;
    use tokio::sync::mpsc;

    use super::*;

    /// Stands still, but for the seconds that a test lets pass.
    #[derive(Default)]
    struct Seconds(AtomicU64);

    impl Clock for Seconds {
        fn wall(&self) -> Millis {
            Millis(0)
        }

        fn elapsed(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    /// Sends `piece` bytes a second; says how many came before the body was given up, if it was.
    async fn trickle(piece: usize, seconds: u64, asked: bool) -> (usize, bool) {
        let clock = Arc::new(Seconds::default());
        let (send, mut pieces) = mpsc::channel(1);
        let pieces = futures::stream::poll_fn(move |cx| pieces.poll_recv(cx));
        let patience = BodyTimeouts {
            idle: Duration::from_mins(1),
            bytes_per_second: 100,
        };
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let slot = BodySlot::new(Body::from_stream(pieces));
        let cost = Arc::new(Cost::default());
        let mut body = BodyStream::timed(&slot, patience, shared, Arc::clone(&cost));
        let mut came = 0;
        for _ in 0..seconds {
            if asked && let Poll::Ready(early) = futures::poll!(body.next()) {
                assert!(matches!(early, Some(Err(BodyError::TooSlow))));
                return (came, true);
            }
            clock.0.fetch_add(1, Ordering::Relaxed);
            let bytes = Ok::<_, std::io::Error>(Bytes::from(vec![0; piece]));
            send.send(bytes).await.unwrap();
            came += body.next().await.unwrap().unwrap().len();
            assert!(slot.progress().waiting(clock.elapsed()).is_none());
        }
        let waited = if asked { seconds } else { 0 };
        assert_eq!(cost.body_wait(), Duration::from_secs(waited));
        assert_eq!(slot.progress().pieces(), seconds);
        (came, false)
    }

    #[tokio::test]
    async fn a_trickle_is_given_up_and_what_came_is_handed_on() {
        assert_eq!(trickle(1, 1000, true).await, (60, true));
        assert_eq!(trickle(99, 1000, true).await, (60 * 99, true));
    }

    #[tokio::test]
    async fn slow_is_not_too_slow() {
        assert_eq!(trickle(110, 1000, true).await, (110_000, false));
    }

    #[tokio::test]
    async fn nobody_is_blamed_for_what_we_do_not_ask_for() {
        assert_eq!(trickle(1, 1000, false).await, (1000, false));
    }
}
