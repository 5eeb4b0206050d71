//! What is sent, and what comes back.
//!
//! It must cost as little as possible: what a request needs is made before the clock runs, and
//! nothing is copied when it is sent once more.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context as Waker, Poll};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::body::{Body, Frame, SizeHint};

/// The longest answer that is kept, in bytes.
pub(crate) const MAX_KEPT: usize = 16 << 20;

/// Up to so many bytes, a body is copied behind its head and sent with it.
const TOGETHER: u64 = 64 << 10;

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
pub(crate) struct PreparedRequest {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Payload,
    wire: OnceLock<Vec<Bytes>>,
}

impl PreparedRequest {
    /// A request without a body to this host; `path` is the path and the query.
    pub(crate) fn new(method: Method, host: &str, path: impl Into<String>) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host)?);
        Ok(Self {
            method,
            path: path.into(),
            headers,
            body: Payload::default(),
            wire: OnceLock::new(),
        })
    }

    /// With a header.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self> {
        self.wire = OnceLock::new();
        self.headers.append(name, HeaderValue::from_str(value)?);
        Ok(self)
    }

    /// With this `Authorization`, if there is any.
    pub(crate) fn authorized(mut self, ticket: Option<&HeaderValue>) -> Self {
        if let Some(ticket) = ticket {
            self.wire = OnceLock::new();
            self.headers.insert(AUTHORIZATION, ticket.clone());
        }
        self
    }

    /// With a body.
    pub(crate) fn body(mut self, body: impl Into<Payload>) -> Self {
        self.wire = OnceLock::new();
        self.body = body.into();
        self
    }

    /// How it is asked.
    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// The request as HTTP/1.1 has it, in the pieces in which it is sent; made once.
    pub(crate) fn wire(&self) -> &[Bytes] {
        self.wire.get_or_init(|| {
            let mut head = Vec::with_capacity(1024);
            head.extend_from_slice(
                format!("{} {} HTTP/1.1\r\n", self.method, self.path).as_bytes(),
            );
            for (name, value) in &self.headers {
                head.extend_from_slice(name.as_str().as_bytes());
                head.extend_from_slice(b": ");
                head.extend_from_slice(value.as_bytes());
                head.extend_from_slice(b"\r\n");
            }
            let length = self.body.len();
            if length > 0 || ![Method::GET, Method::HEAD].contains(&self.method) {
                head.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
            }
            head.extend_from_slice(b"\r\n");
            let body = self.body.0.iter();
            if length <= TOGETHER {
                body.for_each(|piece| head.extend_from_slice(piece));
                return vec![head.into()];
            }
            [head.into()].into_iter().chain(body.cloned()).collect()
        })
    }

    /// The request as HTTP/2 wants it: the host is part of the address.
    pub(crate) fn request(&self) -> Result<Request<Payload>> {
        let mut request = Request::new(self.body.clone());
        let mut headers = self.headers.clone();
        let host = headers.remove(HOST).context("no host")?;
        let address = format!("https://{}{}", host.to_str()?, self.path);
        *request.uri_mut() = address.parse().context("a path that is no path")?;
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// The headers of an answer, which are rarely looked at.
#[derive(Debug)]
pub(crate) enum Headers {
    /// Taken apart.
    Parsed(HeaderMap),
    /// The head as it came, which was seen to be one.
    Raw(Vec<u8>),
}

impl Headers {
    /// All values of this name that are text.
    pub(crate) fn all<'a>(
        &'a self,
        name: &'a HeaderName,
    ) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        let head = match self {
            Self::Parsed(map) => {
                let values = map.get_all(name).into_iter();
                return Box::new(values.filter_map(|value| value.to_str().ok()));
            }
            Self::Raw(head) => head,
        };
        let lines = head.split(|byte| *byte == b'\n').skip(1);
        let lines = lines.filter_map(|line| std::str::from_utf8(line).ok()?.split_once(':'));
        let named = lines.filter(move |(found, _)| found.eq_ignore_ascii_case(name.as_str()));
        Box::new(named.map(|(_, value)| value.trim()))
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct BenchResponse {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: Headers,
    /// How many bytes the body had.
    pub(crate) length: u64,
    /// The body, if it was asked for.
    pub(crate) body: Vec<u8>,
}

impl BenchResponse {
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
