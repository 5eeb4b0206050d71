//! What is sent, and what comes back.
//!
//! It must cost as little as possible: what a request needs is made before the clock runs, and
//! nothing is copied when it is sent once more.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context as Waker, Poll};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::body::{Body, Frame, SizeHint};

/// The bytes of a request: pieces whose length is known beforehand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payload(VecDeque<Bytes>);

impl Payload {
    /// The number of bytes that are left.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }
}

impl FromIterator<Bytes> for Payload {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        Self(
            pieces
                .into_iter()
                .filter(|piece| !piece.is_empty())
                .collect(),
        )
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        [bytes].into_iter().collect()
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Waker<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}

/// A request that can be sent any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Payload,
}

impl Ask {
    /// A request without a body to this host; `path` is the path and the query.
    pub(crate) fn new(method: Method, host: &str, path: impl Into<String>) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host)?);
        Ok(Self {
            method,
            path: path.into(),
            headers,
            body: Payload::default(),
        })
    }

    /// With a header.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self> {
        self.headers.append(name, HeaderValue::from_str(value)?);
        Ok(self)
    }

    /// With this `Authorization`, if there is any.
    pub(crate) fn authorized(mut self, ticket: Option<&HeaderValue>) -> Self {
        if let Some(ticket) = ticket {
            self.headers.insert(AUTHORIZATION, ticket.clone());
        }
        self
    }

    /// With a body.
    pub(crate) fn body(mut self, body: impl Into<Payload>) -> Self {
        self.body = body.into();
        self
    }

    /// The request as HTTP/1.1 wants it: a path, and the host in a header.
    pub(crate) fn request(&self) -> Result<Request<Payload>> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.parse().context("a path that is no path")?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }

    /// The request as HTTP/2 wants it: the host is part of the address.
    pub(crate) fn absolute(&self) -> Result<Request<Payload>> {
        let mut request = self.request()?;
        let host = request.headers_mut().remove(HOST).context("no host")?;
        let address = format!("https://{}{}", host.to_str()?, self.path);
        *request.uri_mut() = address.parse().context("a path that is no path")?;
        Ok(request)
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// How many bytes the body had.
    pub(crate) length: u64,
    /// The body, if it was asked for.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// This answer, if its status is `wanted`; else an error that says what came instead.
    pub(crate) fn expect_status(self, wanted: StatusCode) -> Result<Self> {
        let (status, said) = (self.status, String::from_utf8_lossy(&self.body));
        ensure!(
            status == wanted,
            "answered {status} instead of {wanted}: {said}"
        );
        Ok(self)
    }
}
