//! The record of a request: one entry in the access log and one count in the metrics, however the
//! request ends, and the seat that its work occupies.
//!
//! The record is the guard of the request's operation, so it lives as long as any part of the work:
//! the handler, a task that goes on after the client has hung up, SQL that a task of its own brings
//! to its end, the body of the answer. It is written when the body of the answer is out or dropped.
//! Where there is no answer, or only one that the deadline brought about, it is written when the
//! last part of the work has ended, so that it holds what all of it has cost. It must never be held
//! by what outlives the request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::CONTENT_LENGTH;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use metrics::counter;
use parking_lot::Mutex;
use seawall_types::{Error, Reason};

use super::Response;
use super::access_log::{AccessLog, AccessLogEntry};
use super::head::RequestHead;
use super::meters::{Meters, RequestOutcome};
use crate::lanes::Seat;
use crate::op::Op;

/// The most bytes of a path in the log.
const PATH_BYTES: usize = 512;

/// The status in the log of a request whose client went away before there was an answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What a record needs to know of a request from the beginning.
pub(super) struct RequestStart<'a> {
    pub(super) head: &'a Arc<RequestHead>,
    pub(super) meters: &'a Arc<Meters>,
    pub(super) journal: Option<&'a Arc<dyn AccessLog>>,
    /// On the kernel's clock.
    pub(super) started: Duration,
}

/// What is known of a request while it is under way.
pub(super) struct RequestRecord {
    meters: Arc<Meters>,
    journal: Option<Arc<dyn AccessLog>>,
    head: Arc<RequestHead>,
    started: Duration,
    state: Mutex<RecordState>,
}

struct RecordState {
    /// Without its guard, which is this record.
    op: Op,
    seat: Seat,
    answer: Option<ResponseHead>,
    reason: Option<Reason>,
    /// Whether the deadline brought about the answer, so that work may go on behind it.
    is_cut_off: bool,
    sent: u64,
    whole: bool,
    is_written: bool,
}

/// What is known of an answer once its head is there.
#[derive(Clone, Copy)]
struct ResponseHead {
    status: u16,
    /// How long the request had taken by then.
    first_byte: Duration,
}

impl RequestRecord {
    /// Takes a seat in the operation's lane. Gives back the record, and the operation that it
    /// guards.
    pub(super) fn begin(op: Op, begun: &RequestStart<'_>) -> (Arc<Self>, Op) {
        let seat = op.kernel().lanes().take(op.lane());
        let record = Arc::new(Self {
            meters: Arc::clone(begun.meters),
            journal: begun.journal.map(Arc::clone),
            head: Arc::clone(begun.head),
            started: begun.started,
            state: Mutex::new(RecordState {
                op: op.clone(),
                seat,
                answer: None,
                reason: None,
                is_cut_off: false,
                sent: 0,
                whole: false,
                is_written: false,
            }),
        });
        let guard = Arc::clone(&record);
        (record, op.guarded_by(guard))
    }

    /// Notes that the request goes on as `op`, whose actor or lane was not known before.
    pub(super) fn moves_to_lane(&self, op: &Op) {
        let op = op.unguarded();
        let mut state = self.state.lock();
        state.seat.move_to(op.lane());
        state.op = op;
    }

    /// Notes why a request was refused; a fault of ours goes into the log with its cause.
    pub(super) fn failed(&self, error: &Error) {
        let mut state = self.state.lock();
        state.reason = Some(error.reason);
        if matches!(
            error.reason,
            Reason::Internal | Reason::Unavailable | Reason::StorageFull | Reason::DeadlinePassed
        ) {
            let cause = error
                .source
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            tracing::error!(
                request_id = state.op.origin().request_id,
                feature = self.meters.feature(),
                route = self.meters.route(),
                reason = error.reason.name(),
                error = %error.public,
                cause,
                "a request failed"
            );
        }
    }

    /// Notes that the deadline has passed: work may go on behind the answer that says so.
    pub(super) fn cut_off(&self) {
        let mut state = self.state.lock();
        state.is_cut_off = true;
        let labels = [
            ("feature", self.meters.feature()),
            ("route", self.meters.route()),
            ("lane", state.op.lane().name()),
        ];
        counter!("seawall_requests_cut_off_total", &labels).increment(1);
    }

    /// The answer with a body that ends the record when it ends, or is dropped.
    pub(super) fn answer(self: &Arc<Self>, response: Response) -> Response {
        let status = response.status().as_u16();
        let (parts, body) = response.into_parts();
        let length = parts.headers.get(CONTENT_LENGTH);
        let expected = body
            .size_hint()
            .exact()
            .or_else(|| length?.to_str().ok()?.parse().ok());
        {
            let mut state = self.state.lock();
            let now = state.op.kernel().clock().elapsed();
            state.answer = Some(ResponseHead {
                status,
                first_byte: now.saturating_sub(self.started),
            });
        }
        let recorded = CountedBody {
            body,
            record: Arc::clone(self),
            sent: 0,
            expected,
            whole: false,
        };
        ::http::Response::from_parts(parts, Body::new(recorded))
    }

    fn body_ended(&self, sent: u64, whole: bool) {
        let mut state = self.state.lock();
        state.sent = sent;
        state.whole = whole;
        if !state.is_cut_off {
            self.write(&mut state);
        }
    }

    fn write(&self, state: &mut RecordState) {
        state.is_written = true;
        let op = &state.op;
        let cost = op.cost().snapshot();
        let took = op.kernel().clock().elapsed().saturating_sub(self.started);
        let (status, first_byte) = match state.answer {
            Some(answer) if state.reason == Some(Reason::ClientGone) => {
                (CLIENT_CLOSED_REQUEST, answer.first_byte)
            }
            Some(answer) => (answer.status, answer.first_byte),
            // Not even the panic barrier could make an answer of it.
            None if std::thread::panicking() => (500, took),
            None => (CLIENT_CLOSED_REQUEST, took),
        };
        self.meters.count(&RequestOutcome {
            lane: op.lane(),
            status,
            took,
            sent: state.sent,
            cost,
        });
        let Some(journal) = &self.journal else { return };
        let parts = &self.head.parts;
        let path = parts.uri.path();
        journal.note(&AccessLogEntry {
            id: &op.origin().request_id,
            lane: op.lane().name(),
            actor: op.actor().name(),
            address: op.origin().address,
            feature: self.meters.feature(),
            route: self.meters.route(),
            method: parts.method.as_str(),
            path: path
                .get(..path.floor_char_boundary(PATH_BYTES))
                .unwrap_or_default(),
            status,
            whole: state.whole,
            bytes_in: cost.bytes_in,
            bytes_out: state.sent,
            first_byte_ms: millis(first_byte),
            took_ms: millis(took),
            db_ms: cost.db_micros / 1000,
            reads: cost.reads,
            writes: cost.writes,
            agent: &op.origin().agent,
        });
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if !state.is_written {
            self.write(&mut state);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The body of an answer, counted on its way out.
struct CountedBody {
    body: Body,
    record: Arc<RequestRecord>,
    sent: u64,
    /// How many bytes the body has, where that is known before.
    expected: Option<u64>,
    whole: bool,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.sent += frame.data_ref().map_or(0, Bytes::len) as u64;
                self.whole |= self.body.is_end_stream();
            }
            Poll::Ready(None) => self.whole = true,
            _ => {}
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

impl Drop for CountedBody {
    fn drop(&mut self) {
        // A reader that knows the length stops asking when all of it is there.
        let whole = self.whole || self.body.is_end_stream() || self.expected == Some(self.sent);
        self.record.body_ended(self.sent, whole);
    }
}
