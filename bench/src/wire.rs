//! HTTP/1.1 as the generator speaks it: one request, then its answer, in the client's own task.
//!
//! Generator and registry share the cores, so what the generator spends is taken from what it
//! measures. A client of a library, made for pools and pipelines, hands each request to a task and
//! each answer back; this one writes and reads. It must understand whatever a registry may answer,
//! but not be fast at what is rare.

use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::client::{BenchResponse, Headers, MAX_KEPT, PreparedRequest};

/// The most headers, and bytes of them, that an answer may have.
const MAX_HEADERS: usize = 64;
const MAX_HEAD: usize = 64 << 10;

/// How much is read at once of small answers, and of large ones.
const SMALL: usize = 16 << 10;
const LARGE: usize = 256 << 10;

/// What bytes go over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    /// What of the buffer was received and not yet taken.
    unread: Range<usize>,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Length {
    Known(u64),
    Chunked,
}

/// A body being read.
#[derive(Default)]
struct Body {
    length: u64,
    kept: Vec<u8>,
    keep: bool,
}

impl Body {
    fn add(&mut self, data: &[u8]) -> Result<()> {
        self.length += data.len() as u64;
        if self.keep {
            ensure!(
                self.kept.len() + data.len() <= MAX_KEPT,
                "an answer is too long"
            );
            self.kept.extend_from_slice(data);
        }
        Ok(())
    }
}

impl Wire {
    /// Speaks over this stream.
    pub(crate) fn new(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            buffer: vec![0; SMALL],
            unread: 0..0,
        }
    }

    /// Sends a request and reads the answer to its end. The body is kept only where `keep` says so,
    /// and where the answer is no success.
    pub(crate) async fn send(
        &mut self,
        ask: &PreparedRequest,
        keep: bool,
    ) -> Result<BenchResponse> {
        ensure!(self.unread.is_empty(), "an answer that nobody asked for");
        for piece in ask.wire() {
            self.stream.write_all(piece).await.context("sending")?;
        }
        let (status, head) = loop {
            let (status, head) = self.head().await?;
            // Others announce an answer that is still to come.
            if !status.is_informational() {
                break (status, head);
            }
        };
        let mut body = Body {
            keep: keep || !status.is_success(),
            ..Body::default()
        };
        let headers = Headers::Raw(head);
        match length(ask.method(), status, &headers)? {
            Length::Known(length) => self.take(length, &mut body).await?,
            Length::Chunked => self.chunks(&mut body).await?,
        }
        Ok(BenchResponse {
            status,
            headers,
            length: body.length,
            body: body.kept,
        })
    }

    /// Reads once more, `wanted` bytes if there are so many.
    async fn fill(&mut self, wanted: u64) -> Result<()> {
        if self.unread.is_empty() {
            self.unread = 0..0;
            let size = if wanted > SMALL as u64 { LARGE } else { SMALL };
            if size > self.buffer.len() {
                self.buffer.resize(size, 0);
            }
        } else if self.unread.end == self.buffer.len() {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
            if self.unread.end == self.buffer.len() {
                ensure!(self.buffer.len() < MAX_HEAD, "a head or a line is too long");
                self.buffer.resize(MAX_HEAD, 0);
            }
        }
        let room = self.buffer.get_mut(self.unread.end..).unwrap_or_default();
        let read = self.stream.read(room).await.context("receiving")?;
        ensure!(read > 0, "an answer broke off");
        self.unread.end += read;
        Ok(())
    }

    fn received(&self) -> &[u8] {
        self.buffer.get(self.unread.clone()).unwrap_or_default()
    }

    /// The status, and the head as it came.
    async fn head(&mut self) -> Result<(StatusCode, Vec<u8>)> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut response = httparse::Response::new(&mut headers);
            if !self.unread.is_empty()
                && let httparse::Status::Complete(size) = response.parse(self.received())?
            {
                let status = StatusCode::from_u16(response.code.context("no status")?)?;
                let head = self.received().get(..size).unwrap_or_default().to_vec();
                self.unread.start += size;
                return Ok((status, head));
            }
            self.fill(0).await?;
        }
    }

    /// Reads so many bytes of the body.
    async fn take(&mut self, length: u64, body: &mut Body) -> Result<()> {
        let mut left = length;
        while left > 0 {
            if self.unread.is_empty() {
                self.fill(left).await?;
            }
            let size =
                usize::try_from(left).map_or(self.unread.len(), |n| n.min(self.unread.len()));
            body.add(self.received().get(..size).unwrap_or_default())?;
            self.unread.start += size;
            left -= size as u64;
        }
        Ok(())
    }

    /// Reads a body that comes in chunks, and what trails it.
    async fn chunks(&mut self, body: &mut Body) -> Result<()> {
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).context("a chunk without a length")?;
            if size == 0 {
                break;
            }
            self.take(size, body).await?;
            ensure!(self.line().await?.is_empty(), "a chunk is too long");
        }
        while !self.line().await?.is_empty() {}
        Ok(())
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.received().windows(2).position(|two| two == b"\r\n") {
                let line = self.received().get(..end).unwrap_or_default().to_vec();
                self.unread.start += end + 2;
                return Ok(String::from_utf8(line)?);
            }
            self.fill(0).await?;
        }
    }
}

/// RFC 9112 §6.3, but for bodies that last until the connection ends.
fn length(method: &Method, status: StatusCode, headers: &Headers) -> Result<Length> {
    let bare = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    if method == Method::HEAD || bare.contains(&status) {
        return Ok(Length::Known(0));
    }
    let encoding = headers.all(&TRANSFER_ENCODING).next();
    if encoding.is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Ok(Length::Chunked);
    }
    let Some(value) = headers.all(&CONTENT_LENGTH).next() else {
        bail!("an answer without a length");
    };
    Ok(Length::Known(value.parse().context("a wrong length")?))
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    const HOST: &str = "127.0.0.1:1";

    fn get() -> PreparedRequest {
        PreparedRequest::new(Method::GET, HOST, "/v2/").unwrap()
    }

    /// What a client makes of an answer that comes in pieces of every size.
    async fn received(ask: &PreparedRequest, answer: &[u8]) -> Result<BenchResponse> {
        let mut last = None;
        for size in (1..=answer.len()).rev() {
            let (near, far) = duplex(64 << 10);
            let (mut requests, mut answers) = tokio::io::split(far);
            let mut wire = Wire::new(near);
            let sent = async {
                for piece in answer.chunks(size) {
                    answers.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                answers.shutdown().await.unwrap();
            };
            let (got, ()) = tokio::join!(wire.send(ask, true), sent);
            drop(wire);
            let mut request = Vec::new();
            requests.read_to_end(&mut request).await.unwrap();
            assert_eq!(request, ask.wire().concat());
            last = Some(got?);
        }
        last.context("nothing to receive")
    }

    #[tokio::test]
    async fn an_answer_is_understood_however_it_is_cut() {
        let text = b"HTTP/1.1 202 Accepted\r\nlocation: /a\r\nContent-Length: 5\r\n\r\nhello";
        let answer = received(&get(), text).await.unwrap();
        assert_eq!((answer.status, answer.length), (StatusCode::ACCEPTED, 5));
        assert_eq!(answer.body, b"hello");
        let place = answer.headers.all(&http::header::LOCATION);
        assert_eq!(place.collect::<Vec<_>>(), ["/a"]);
    }

    #[tokio::test]
    async fn chunks_interim_answers_and_answers_without_a_body_are_understood() {
        let text =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                     5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nx-sum: 1\r\n\r\n";
        let answer = received(&get(), text).await.unwrap();
        assert_eq!((answer.length, &*answer.body), (6, &b"hello!"[..]));
        let head = PreparedRequest::new(Method::HEAD, HOST, "/").unwrap();
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n";
        assert_eq!(received(&head, text).await.unwrap().length, 0);
        let text = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(received(&get(), text).await.unwrap().length, 0);
    }

    #[tokio::test]
    async fn what_is_no_whole_answer_is_a_failure() {
        for text in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nshort"[..],
            b"HTTP/1.1 200 OK\r\ncontent-le",
            b"HTTP/1.1 200 OK\r\n\r\nwho knows",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nhello\r\n",
            b"SSH-2.0-OpenSSH\r\n\r\n",
        ] {
            let got = received(&get(), text).await;
            assert!(got.is_err(), "{}", String::from_utf8_lossy(text));
        }
        let surplus = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na surplus";
        let (near, mut far) = duplex(1024);
        let mut wire = Wire::new(near);
        far.write_all(surplus).await.unwrap();
        assert!(wire.send(&get(), true).await.is_ok());
        assert!(wire.send(&get(), true).await.is_err());
    }
}
