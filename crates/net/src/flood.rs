//! A stream that fails when its client floods it with HTTP/2 frames that carry nothing.
//!
//! Resets, pings, settings, priorities, window updates and continuations cost their sender some
//! bytes and us work that no limit of streams counts: a stream that is reset at once makes room for
//! the next one (CVE-2023-44487). Each costs a token; time and what we send bring tokens back,
//! since a client that reads much updates its windows often. Only the nine bytes at the head of
//! each frame are looked at. HTTP/1 passes through.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use metrics::counter;
use pin_project_lite::pin_project;
use seawall_types::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;

/// How many seconds' worth may come at once.
const BURST_SECONDS: u32 = 10;
/// So many bytes that we sent bring one token back: clients that update two windows for every 4 KiB
/// are far below.
const BYTES_PER_TOKEN: u64 = 256;

/// Frames that carry a request or its content, by their type's number: DATA and HEADERS.
const CARRYING: [u8; 2] = [0, 1];

pin_project! {
    /// Wraps a stream of plain bytes.
    pub(super) struct FloodGuard<S> {
        #[pin]
        stream: S,
        frames: Frames,
        budget: Budget,
    }
}

impl<S> FloodGuard<S> {
    /// Lets through `per_second` frames that carry nothing, and ten times as many at once.
    pub(super) fn new(stream: S, per_second: u32, clock: Arc<dyn Clock>) -> Self {
        Self {
            stream,
            frames: Frames::Preface(0),
            budget: Budget::new(per_second, clock),
        }
    }
}

/// Where in the protocol the next byte stands.
enum Frames {
    /// So many bytes of HTTP/2's preface were seen.
    Preface(usize),
    /// It is not HTTP/2.
    Foreign,
    /// So many bytes of a frame's head.
    Head([u8; HEAD], usize),
    /// So many bytes of a frame's payload are still to come.
    Payload(usize),
}

impl Frames {
    /// Reads on; says how many frames began that carry nothing.
    fn read(&mut self, mut bytes: &[u8]) -> u32 {
        let mut empty = 0;
        while !bytes.is_empty() {
            match self {
                Self::Foreign => return empty,
                Self::Preface(seen) => {
                    let some = bytes.len().min(PREFACE.len() - *seen);
                    let expected = &PREFACE[*seen..*seen + some];
                    if bytes[..some] != *expected {
                        *self = Self::Foreign;
                        return empty;
                    }
                    bytes = &bytes[some..];
                    *seen += some;
                    if *seen == PREFACE.len() {
                        *self = Self::Head([0; HEAD], 0);
                    }
                }
                Self::Head(head, seen) => {
                    let some = bytes.len().min(HEAD - *seen);
                    head[*seen..*seen + some].copy_from_slice(&bytes[..some]);
                    bytes = &bytes[some..];
                    *seen += some;
                    if *seen == HEAD {
                        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                        empty += u32::from(!CARRYING.contains(&head[3]));
                        *self = match length {
                            0 => Self::Head([0; HEAD], 0),
                            length => Self::Payload(length as usize),
                        };
                    }
                }
                Self::Payload(left) => {
                    let some = bytes.len().min(*left);
                    bytes = &bytes[some..];
                    *left -= some;
                    if *left == 0 {
                        *self = Self::Head([0; HEAD], 0);
                    }
                }
            }
        }
        empty
    }
}

/// Tokens for frames that carry nothing.
struct Budget {
    tokens: u32,
    per_second: u32,
    clock: Arc<dyn Clock>,
    filled: Duration,
    sent: u64,
}

impl Budget {
    fn new(per_second: u32, clock: Arc<dyn Clock>) -> Self {
        Self {
            tokens: per_second.saturating_mul(BURST_SECONDS),
            per_second,
            filled: clock.elapsed(),
            clock,
            sent: 0,
        }
    }

    fn add(&mut self, tokens: u64) {
        let most = self.per_second.saturating_mul(BURST_SECONDS);
        let tokens = u64::from(self.tokens).saturating_add(tokens);
        self.tokens = u32::try_from(tokens).unwrap_or(u32::MAX).min(most);
    }

    fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
        if self.sent >= BYTES_PER_TOKEN {
            self.add(self.sent / BYTES_PER_TOKEN);
            self.sent %= BYTES_PER_TOKEN;
        }
    }

    /// Whether there are so many tokens; they are gone then. The clock is asked only when there are
    /// not.
    fn spend(&mut self, tokens: u32) -> bool {
        if self.tokens < tokens {
            let now = self.clock.elapsed();
            let millis = now.saturating_sub(self.filled).as_millis();
            let millis = u64::try_from(millis).unwrap_or(u64::MAX);
            self.add(millis.saturating_mul(self.per_second.into()) / 1000);
            self.filled = now;
        }
        let left = self.tokens.checked_sub(tokens);
        self.tokens = left.unwrap_or_default();
        left.is_some()
    }
}

impl<S: AsyncRead> AsyncRead for FloodGuard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let before = buffer.filled().len();
        ready!(this.stream.poll_read(context, buffer))?;
        let empty = this.frames.read(&buffer.filled()[before..]);
        if empty > 0 && !this.budget.spend(empty) {
            counter!("seawall_http2_floods_total").increment(1);
            return Poll::Ready(Err(io::Error::other("too many frames that carry nothing")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite> AsyncWrite for FloodGuard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let sent = ready!(this.stream.poll_write(context, bytes))?;
        this.budget.sent(sent);
        Poll::Ready(Ok(sent))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let sent = ready!(this.stream.poll_write_vectored(context, pieces))?;
        this.budget.sent(sent);
        Poll::Ready(Ok(sent))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use seawall_testkit::TestClock;

    use super::*;

    /// A frame's bytes: its type, and how long its payload is.
    fn frame((kind, length): (u8, usize)) -> Vec<u8> {
        let size = u32::try_from(length).unwrap().to_be_bytes();
        let mut bytes = vec![size[1], size[2], size[3], kind, 0, 0, 0, 0, 1];
        bytes.resize(HEAD + length, 7);
        bytes
    }

    proptest! {
        #[test]
        fn frames_are_counted_however_they_are_cut(
            sent in prop::collection::vec((0u8..12, 0usize..400), 0..40),
            cut in 1usize..50,
        ) {
            let mut bytes = PREFACE.to_vec();
            bytes.extend(sent.iter().copied().flat_map(frame));
            let mut frames = Frames::Preface(0);
            let counted: u32 = bytes.chunks(cut).map(|some| frames.read(some)).sum();
            let expected = sent.iter().filter(|(kind, _)| !CARRYING.contains(kind)).count();
            prop_assert_eq!(counted as usize, expected);
        }

        #[test]
        fn what_is_not_http2_passes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut frames = Frames::Preface(0);
            prop_assert_eq!(frames.read(b"GET / HTTP/1.1\r\n"), 0);
            prop_assert_eq!(frames.read(&bytes), 0);
        }
    }

    #[test]
    fn tokens_come_back_with_time_and_with_what_we_send() {
        let clock = TestClock::new();
        let mut budget = Budget::new(5, Arc::clone(&clock) as _);
        assert!(budget.spend(50));
        assert!(!budget.spend(5), "ten seconds' worth at once and no more");
        clock.advance(Duration::from_secs(2));
        assert!(budget.spend(10));
        budget.sent(1000);
        assert!(budget.spend(3));
        budget.sent(24);
        assert!(budget.spend(1));
        clock.advance(Duration::from_hours(1));
        assert!(
            budget.spend(50) && !budget.spend(20),
            "they are not saved up"
        );
    }
}
