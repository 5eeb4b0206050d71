//! What a connection is at: how many requests began and run, and which answers are not taken.
//!
//! A request runs until its answer is out. An answer whose next piece is not asked for is its
//! client's doing: the socket is full, or HTTP/2's window is; one that waits for its own next piece
//! is ours, and never ends a connection. Time is counted in the ticks of the caller, so nothing
//! here has a clock.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;

/// What is known of the requests of a connection.
#[derive(Default)]
pub(super) struct ConnectionActivity {
    begun: AtomicUsize,
    running: AtomicUsize,
    tick: AtomicU32,
    marks: Mutex<Vec<Mark>>,
}

/// For whom a request waits.
#[derive(Clone, Copy)]
enum Mark {
    /// There is no such request.
    Free,
    /// For us: the answer, or its next piece, is on its way.
    Ours,
    /// For the client, since this tick: it has not taken the last piece yet.
    Client(u32),
}

impl ConnectionActivity {
    /// How many requests there were.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many requests run, until their answers are out.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Counts a tick; says whether some client has taken nothing of an answer for a whole one
    /// before it.
    pub(super) fn stalled(&self) -> bool {
        let now = self.tick.fetch_add(1, Ordering::Relaxed);
        let marks = self.marks.lock();
        let since = |mark: &Mark| matches!(mark, Mark::Client(since) if *since < now);
        marks.iter().any(since)
    }

    fn enter(&self) -> usize {
        let mut marks = self.marks.lock();
        let free = marks.iter().position(|mark| matches!(mark, Mark::Free));
        let place = free.unwrap_or(marks.len());
        if place == marks.len() {
            marks.push(Mark::Ours);
        } else {
            marks[place] = Mark::Ours;
        }
        place
    }

    fn mark(&self, place: usize, mark: Mark) {
        let mut marks = self.marks.lock();
        if let Some(known) = marks.get_mut(place) {
            *known = mark;
        }
    }
}

/// A request that runs; counted out when its answer is out or its client goes.
pub(super) struct RequestInFlight {
    activity: Arc<ConnectionActivity>,
    place: usize,
}

impl RequestInFlight {
    /// Counts a request in.
    pub(super) fn new(activity: &Arc<ConnectionActivity>) -> Self {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        activity.running.fetch_add(1, Ordering::Relaxed);
        Self {
            activity: Arc::clone(activity),
            place: activity.enter(),
        }
    }

    /// The body of the request's answer, watched to its end.
    pub(super) fn answering(self, body: Body) -> ResponseInFlight {
        // From here on the client is to take it; an answer that it takes at once is marked ours
        // when it is asked for more.
        self.client();
        ResponseInFlight {
            body,
            running: self,
        }
    }

    fn client(&self) {
        let tick = self.activity.tick.load(Ordering::Relaxed);
        self.activity.mark(self.place, Mark::Client(tick));
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        self.activity.mark(self.place, Mark::Free);
        self.activity.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body on its way out.
pub(super) struct ResponseInFlight {
    body: Body,
    running: RequestInFlight,
}

impl HttpBody for ResponseInFlight {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.running.client();
        } else {
            self.running.activity.mark(self.running.place, Mark::Ours);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_nobody_takes_is_noticed_and_one_that_waits_for_us_is_not() {
        let activity = Arc::new(ConnectionActivity::default());
        let piece = Ok::<_, std::io::Error>(Bytes::from_static(b"piece"));
        let stream = futures::stream::iter([piece]).chain(futures::stream::pending());
        let running = RequestInFlight::new(&activity);
        assert!(
            !activity.stalled() && !activity.stalled(),
            "the handler is at work"
        );
        let mut body = running.answering(Body::from_stream(stream));
        assert_eq!((activity.begun(), activity.running()), (1, 1));
        body.frame().await.unwrap().unwrap();
        assert!(!activity.stalled(), "it has just taken a piece");
        assert!(activity.stalled());
        assert!(futures::poll!(body.frame()).is_pending());
        assert!(
            !activity.stalled() && !activity.stalled(),
            "the next piece is ours to bring"
        );
        drop(body);
        assert_eq!((activity.begun(), activity.running()), (1, 0));
        let again = RequestInFlight::new(&activity);
        assert_eq!(again.place, 0, "places are used again");
    }
}
