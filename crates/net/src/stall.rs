//! A stream whose writes fail when the other end takes nothing for too long.
//!
//! Without it, a client that stops reading in the middle of a layer holds its connection, and all
//! that its request holds, for ever: TCP itself waits on, as long as the other machine says that it
//! is alive.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

pin_project! {
    /// Wraps a stream.
    pub(super) struct StallGuard<S> {
        #[pin]
        stream: S,
        patience: Duration,
        // Only made when a write has to wait, which most never do.
        waiting: Option<Pin<Box<Sleep>>>,
    }
}

impl<S> StallGuard<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            waiting: None,
        }
    }
}

/// What a write came to, after the clock was asked.
fn judge<T>(
    result: Poll<io::Result<T>>,
    waiting: &mut Option<Pin<Box<Sleep>>>,
    patience: Duration,
    context: &mut Context<'_>,
) -> Poll<io::Result<T>> {
    if result.is_ready() {
        *waiting = None;
        return result;
    }
    let timer = waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
    ready!(timer.as_mut().poll(context));
    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
}

impl<S: AsyncRead> AsyncRead for StallGuard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().stream.poll_read(context, buffer)
    }
}

impl<S: AsyncWrite> AsyncWrite for StallGuard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let result = this.stream.poll_write(context, bytes);
        judge(result, this.waiting, *this.patience, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let result = this.stream.poll_write_vectored(context, pieces);
        judge(result, this.waiting, *this.patience, context)
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_is_given_up() {
        let (mut reader, writer) = duplex(16);
        let mut writer = StallGuard::new(writer, Duration::from_secs(5));
        writer.write_all(&[0; 16]).await.unwrap();
        let (result, ()) = tokio::join!(writer.write_all(&[1; 32]), async {
            // Slow is not stopped: some bytes after four seconds start the time anew.
            tokio::time::sleep(Duration::from_secs(4)).await;
            reader.read_exact(&mut [0; 8]).await.unwrap();
            tokio::time::sleep(Duration::from_secs(4)).await;
            reader.read_exact(&mut [0; 8]).await.unwrap();
        });
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
