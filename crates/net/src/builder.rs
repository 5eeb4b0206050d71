//! What HTTP is set to on a listener's connections, and where HTTP/2 runs its tasks.

use std::future::Future;
use std::time::Duration;

use hyper::rt::Executor;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use tokio_util::task::TaskTracker;

use crate::config::Limits;

/// Runs the tasks that HTTP/2 needs for its streams among those that are waited for at the end.
#[derive(Clone)]
pub(super) struct TrackedExecutor(pub(super) TaskTracker);

impl<F> Executor<F> for TrackedExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// hyper's own limit: for any other, it takes memory for each request.
const HEADERS_ON_THE_STACK: u32 = 100;

/// Serves either protocol.
pub(super) type Builder = auto::Builder<TrackedExecutor>;

/// The HTTP settings of a listener; those of memory come with each connection's share.
pub(super) fn builder(limits: &Limits, tracker: &TaskTracker) -> Builder {
    let mut builder = Builder::new(TrackedExecutor(tracker.clone()));
    builder
        .http1()
        .timer(TokioTimer::new())
        // Scripts look for the names as documents write them: Docker-Content-Digest.
        .title_case_headers(true)
        .header_read_timeout(limits.header_timeout())
        .max_buf_size(limits.header_bytes as usize);
    if limits.headers != HEADERS_ON_THE_STACK {
        builder.http1().max_headers(limits.headers as usize);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(limits.header_bytes)
        .max_frame_size(64 << 10)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(64)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
