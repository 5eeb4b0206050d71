//! One line in the log and one count in the metrics per request, once its body is out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::CONTENT_LENGTH;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use seawall_types::{Error, Reason};

use super::Response;
use super::call::Head;
use super::journal::{Journal, Line};
use super::meters::Meters;
use crate::lanes::Seat;
use crate::op::Op;

/// The most bytes of a path in the log.
const PATH_BYTES: usize = 512;

/// What is known of a request while it is under way.
pub(super) struct Record {
    op: Op,
    seat: Seat,
    meters: Arc<Meters>,
    journal: Option<Arc<dyn Journal>>,
    head: Arc<Head>,
    started: Duration,
    status: u16,
    sent: u64,
    reason: Option<Reason>,
    /// How many bytes the body has, where that is known before.
    expected: Option<u64>,
    whole: bool,
}

impl Record {
    pub(super) fn new(
        op: &Op,
        (head, meters): (&Arc<Head>, &Arc<Meters>),
        journal: Option<&Arc<dyn Journal>>,
        started: Duration,
    ) -> Self {
        Self {
            op: op.clone(),
            seat: op.kernel().lanes().take(op.lane()),
            meters: Arc::clone(meters),
            journal: journal.map(Arc::clone),
            head: Arc::clone(head),
            started,
            status: 0,
            sent: 0,
            reason: None,
            expected: None,
            whole: false,
        }
    }

    pub(super) fn actor(&mut self, op: &Op) {
        self.seat.move_to(op.lane());
        self.op = op.clone();
    }

    /// Notes why a request was refused; a fault of ours goes into the log with its cause.
    pub(super) fn failed(&mut self, error: &Error) {
        self.reason = Some(error.reason);
        if matches!(
            error.reason,
            Reason::Internal | Reason::Unavailable | Reason::StorageFull
        ) {
            let cause = error
                .source
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            tracing::error!(
                request_id = self.op.origin().request_id,
                route = self.meters.route(),
                reason = error.reason.name(),
                error = %error.public,
                cause,
                "a request failed"
            );
        }
    }

    /// The answer with a body that writes the record when it ends, or is dropped.
    pub(super) fn answer(mut self, response: Response) -> Response {
        self.status = response.status().as_u16();
        let first_byte = self
            .op
            .kernel()
            .clock()
            .elapsed()
            .saturating_sub(self.started);
        let (parts, body) = response.into_parts();
        let length = parts.headers.get(CONTENT_LENGTH);
        self.expected = body
            .size_hint()
            .exact()
            .or_else(|| length?.to_str().ok()?.parse().ok());
        let recorded = Recorded {
            body,
            record: self,
            first_byte,
        };
        ::http::Response::from_parts(parts, Body::new(recorded))
    }

    fn write(&self, first_byte: Duration) {
        let cost = self.op.cost().snapshot();
        let elapsed = self.op.kernel().clock().elapsed();
        let took = elapsed.saturating_sub(self.started);
        let gone = self.reason == Some(Reason::ClientGone);
        let status = if gone { 499 } else { self.status };
        self.meters
            .count(self.op.lane(), status, took, (self.sent, cost));
        let Some(journal) = &self.journal else { return };
        let parts = &self.head.parts;
        let path = parts.uri.path();
        journal.note(&Line {
            id: &self.op.origin().request_id,
            lane: self.op.lane().name(),
            actor: self.op.actor().name(),
            address: self.op.origin().address,
            route: self.meters.route(),
            method: parts.method.as_str(),
            path: path
                .get(..path.floor_char_boundary(PATH_BYTES))
                .unwrap_or_default(),
            status,
            whole: self.whole,
            bytes_in: cost.bytes_in,
            bytes_out: self.sent,
            first_byte_ms: millis(first_byte),
            took_ms: millis(took),
            db_ms: cost.db_micros / 1000,
            reads: cost.reads,
            writes: cost.writes,
            agent: &self.op.origin().agent,
        });
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

struct Recorded {
    body: Body,
    record: Record,
    first_byte: Duration,
}

impl HttpBody for Recorded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let sent = frame.data_ref().map_or(0, Bytes::len) as u64;
                let ended = self.body.is_end_stream();
                self.record.sent += sent;
                self.record.whole |= ended;
            }
            Poll::Ready(None) => self.record.whole = true,
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

impl Drop for Recorded {
    fn drop(&mut self) {
        // Who knows the length stops asking when all of it is there.
        self.record.whole |=
            self.body.is_end_stream() || self.record.expected == Some(self.record.sent);
        self.record.write(self.first_byte);
    }
}
