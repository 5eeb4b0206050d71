//! One line in the log and one count in the metrics per request, once its body is out.
//!
//! Never writes credentials, queries or header values other than the agent.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::CONTENT_LENGTH;
use ::http::request::Parts;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use seawall_types::{Error, Reason};

use super::Response;
use crate::op::Op;

/// What is known of a request while it is under way.
pub(super) struct Record {
    op: Op,
    route: &'static str,
    method: String,
    path: String,
    started: Duration,
    status: u16,
    sent: u64,
    reason: Option<Reason>,
    /// How many bytes the body has, where that is known before.
    expected: Option<u64>,
    whole: bool,
}

impl Record {
    pub(super) fn new(op: &Op, route: &'static str, parts: &Parts, started: Duration) -> Self {
        Self {
            op: op.clone(),
            route,
            method: parts.method.to_string(),
            path: parts.uri.path().chars().take(512).collect(),
            started,
            status: 0,
            sent: 0,
            reason: None,
            expected: None,
            whole: false,
        }
    }

    pub(super) fn actor(&mut self, op: &Op) {
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
                route = self.route,
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
        let took = self
            .op
            .kernel()
            .clock()
            .elapsed()
            .saturating_sub(self.started);
        let status = if self.reason == Some(Reason::ClientGone) {
            499
        } else {
            self.status
        };
        tracing::info!(
            target: "request",
            id = self.op.origin().request_id,
            lane = self.op.lane().name(),
            actor = self.op.actor().name(),
            address = self.op.origin().address.map(tracing::field::display),
            route = self.route,
            method = self.method,
            path = self.path,
            status,
            whole = self.whole,
            bytes_in = cost.bytes_in,
            bytes_out = self.sent,
            first_byte_ms = millis(first_byte),
            took_ms = millis(took),
            db_ms = cost.db_micros / 1000,
            reads = cost.reads,
            writes = cost.writes,
            agent = self.op.origin().agent,
        );
        let labels = [("route", self.route), ("lane", self.op.lane().name())];
        let class = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        metrics::counter!("seawall_requests_total", "route" => self.route, "lane" => self.op.lane().name(), "status" => class)
            .increment(1);
        metrics::histogram!("seawall_request_seconds", &labels).record(took.as_secs_f64());
        metrics::counter!("seawall_sent_bytes_total", &labels).increment(self.sent);
        metrics::counter!("seawall_received_bytes_total", &labels).increment(cost.bytes_in);
        metrics::counter!("seawall_sql_statements_total", &labels)
            .increment(cost.reads + cost.writes);
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
