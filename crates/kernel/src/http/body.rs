//! Request bodies as bounded streams: a client that stands still, trickles or hangs up is noticed here.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::Stream;
use seawall_blob::BodyError;
use seawall_types::{Clock, Error, Reason};
use tokio::time::Sleep;

use super::call::BodySlot;
use crate::settings::Patience;

/// A request's body, piece by piece. What is not read of it goes back to where it was taken from, so
/// that a refused client can be read on beside its answer.
pub struct BodyStream {
    /// None once it has ended, or broken.
    body: Option<BodyDataStream>,
    slot: BodySlot,
    pace: Pace,
    timer: Pin<Box<Sleep>>,
}

impl BodyStream {
    /// The body in `slot`; an empty one if it was taken before.
    pub(super) fn new(slot: &BodySlot, patience: Patience, clock: Arc<dyn Clock>) -> Self {
        let timer = Box::pin(tokio::time::sleep(patience.idle));
        Self {
            body: slot.take().map(Body::into_data_stream),
            slot: slot.clone(),
            pace: Pace::new(patience, clock),
            timer,
        }
    }
}

impl Drop for BodyStream {
    fn drop(&mut self) {
        if let Some(rest) = self.body.take() {
            self.slot.give_back(Body::from_stream(rest));
        }
    }
}

impl Stream for BodyStream {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // What came is handed on before its slowness is: whoever reads can keep it.
        if this.pace.is_too_slow {
            this.body = None;
            return Poll::Ready(Some(Err(BodyError::TooSlow)));
        }
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        match Pin::new(body).poll_next(cx) {
            Poll::Ready(piece) => {
                match &piece {
                    Some(Ok(bytes)) => this.pace.came(bytes.len()),
                    _ => this.body = None,
                }
                // Whatever breaks a body, it is the client or the way to it.
                Poll::Ready(piece.map(|piece| piece.map_err(|_| BodyError::ClientGone)))
            }
            Poll::Pending => {
                if this.pace.begins_to_wait() {
                    this.timer.set(tokio::time::sleep(this.pace.patience.idle));
                }
                let too_slow = this.timer.as_mut().poll(cx);
                if too_slow.is_ready() {
                    this.body = None;
                }
                too_slow.map(|()| Some(Err(BodyError::TooSlow)))
            }
        }
    }
}

/// How fast a body comes while it is waited for. A body that always brings a byte before it has stood
/// still for too long would hold its request for ever.
struct Pace {
    patience: Patience,
    clock: Arc<dyn Clock>,
    /// Since when the next piece is waited for; not while it is us who do not ask.
    since: Option<Duration>,
    waited: Duration,
    bytes: u64,
    is_too_slow: bool,
}

impl Pace {
    fn new(patience: Patience, clock: Arc<dyn Clock>) -> Self {
        Self {
            patience,
            clock,
            since: None,
            waited: Duration::ZERO,
            bytes: 0,
            is_too_slow: false,
        }
    }

    /// Notes that the next piece is waited for; says whether it was not before.
    fn begins_to_wait(&mut self) -> bool {
        let begins = self.since.is_none();
        if begins {
            self.since = Some(self.clock.elapsed());
        }
        begins
    }

    fn came(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        let Some(since) = self.since.take() else {
            return;
        };
        self.waited += self.clock.elapsed().saturating_sub(since);
        if self.waited < self.patience.idle {
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
            "the client went before the body was complete",
        ),
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use std::sync::atomic::{AtomicU64, Ordering};

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
        let patience = Patience {
            idle: Duration::from_mins(1),
            bytes_per_second: 100,
        };
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let slot = BodySlot::new(Body::from_stream(pieces));
        let mut body = BodyStream::new(&slot, patience, shared);
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
        }
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
