//! Request bodies as bounded streams: a client that stands still or hangs up is noticed here.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::Stream;
use seawall_blob::BodyError;
use seawall_types::{Error, Reason};
use tokio::time::Sleep;

/// A request's body, piece by piece.
pub struct BodyStream {
    body: BodyDataStream,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
}

impl BodyStream {
    pub(super) fn new(body: Body, idle: Duration) -> Self {
        let timer = Box::pin(tokio::time::sleep(idle));
        Self {
            body: body.into_data_stream(),
            idle,
            timer,
        }
    }
}

impl Stream for BodyStream {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_next(cx) {
            Poll::Ready(piece) => {
                this.timer.set(tokio::time::sleep(this.idle));
                // Whatever breaks a body, it is the client or the way to it.
                Poll::Ready(piece.map(|piece| piece.map_err(|_| BodyError::ClientGone)))
            }
            Poll::Pending => this
                .timer
                .as_mut()
                .poll(cx)
                .map(|()| Some(Err(BodyError::TooSlow))),
        }
    }
}

/// The answer to a body that broke.
pub fn refuse(error: &BodyError) -> Error {
    match error {
        BodyError::TooSlow => Error::new(Reason::Timeout, "the body stood still for too long"),
        BodyError::TooLarge => Error::new(Reason::TooLarge, "the body is too large"),
        _ => Error::new(
            Reason::ClientGone,
            "the client went before the body was complete",
        ),
    }
}
