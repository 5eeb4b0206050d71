//! One connection: TLS, HTTP/1.1 or HTTP/2 by what the client begins with, and its end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use metrics::counter;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::stall::Stall;
use super::{Peer, Serve};
use crate::config::Limits;
use crate::lifecycle::{Lifecycle, Phase};

/// How long somebody who has just connected is waited for when the server drains: the first request may be under way.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// What all connections of a listener share.
pub(super) struct Shared {
    pub(super) service: Arc<dyn Serve>,
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) builder: Builder<Tracked>,
    pub(super) limits: Limits,
    pub(super) lifecycle: Lifecycle,
    /// The phase in which connections are asked to end.
    pub(super) until: Phase,
    /// How many connections did not end by themselves.
    pub(super) cut_off: Arc<AtomicUsize>,
}

/// Runs the tasks that HTTP/2 needs for its streams among those that are waited for at the end.
#[derive(Clone)]
pub(super) struct Tracked(pub(super) TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// The HTTP settings of a listener.
pub(super) fn builder(limits: &Limits, tracker: &TaskTracker) -> Builder<Tracked> {
    let mut builder = Builder::new(Tracked(tracker.clone()));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout())
        .max_buf_size(limits.header_bytes as usize)
        .max_headers(limits.headers as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(limits.header_bytes)
        .max_concurrent_streams(limits.http2_streams)
        // A push sends several layers at once over one connection: each may have 4 MiB under way, all together 32 MiB, so that
        // neither a long line nor one slow layer holds up the others.
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(32 << 20)
        .max_frame_size(64 << 10)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, peer: Peer, shared: Arc<Shared>) {
    let stream = Stall::new(stream, shared.limits.body_idle_timeout());
    let Some(acceptor) = &shared.acceptor else {
        return exchange(stream, peer, &shared).await;
    };
    let handshake = timeout(shared.limits.handshake_timeout(), acceptor.accept(stream));
    let result = tokio::select! {
        result = handshake => result,
        // Nothing was asked yet, so nothing is cut off.
        () = shared.lifecycle.reached(Phase::Closed) => return,
    };
    let reason = match result {
        Ok(Ok(stream)) => return exchange(stream, peer, &shared).await,
        Ok(Err(error)) => {
            tracing::debug!(peer = %peer.address, %error, "TLS handshake failed");
            "failed"
        }
        Err(_) => {
            tracing::debug!(peer = %peer.address, "TLS handshake took too long");
            "timeout"
        }
    };
    counter!("seawall_tls_handshake_failures_total", "reason" => reason).increment(1);
}

/// What is known of the requests of a connection.
#[derive(Default)]
struct Activity {
    begun: AtomicUsize,
    running: AtomicUsize,
}

/// A request that runs; counted out when its answer begins or its client goes.
struct Running(Arc<Activity>);

impl Running {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Ordering::Relaxed);
        activity.running.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Speaks HTTP until one side is done.
async fn exchange<S>(stream: S, peer: Peer, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let service = service_fn(|request: Request<Incoming>| {
        let running = Running::new(&activity);
        let answer = shared.service.serve(request, peer);
        async move {
            let response = answer.await;
            drop(running);
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(
        shared
            .builder
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut draining = pin!(async {
        shared.lifecycle.reached(shared.until).await;
        if activity.begun.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(FIRST_REQUEST).await;
        }
    });
    let mut closed = pin!(shared.lifecycle.reached(Phase::Closed));
    let mut asked_to_end = false;
    let mut begun_before = 0;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(peer = %peer.address, error = %Chain(error.as_ref()), "connection broke");
                }
                return;
            }
            () = closed.as_mut() => {
                shared.cut_off.fetch_add(1, Ordering::Relaxed);
                return;
            }
            () = draining.as_mut(), if !asked_to_end => {
                asked_to_end = true;
                connection.as_mut().graceful_shutdown();
            }
            // hyper's own timeout covers the headers of HTTP/1 only once it has seen that it is HTTP/1, and HTTP/2 not at all.
            () = tokio::time::sleep(shared.limits.header_timeout()), if !asked_to_end => {
                let begun = activity.begun.load(Ordering::Relaxed);
                if begun == 0 {
                    return;
                }
                if begun == begun_before && activity.running.load(Ordering::Relaxed) == 0 {
                    asked_to_end = true;
                    connection.as_mut().graceful_shutdown();
                }
                begun_before = begun;
            }
        }
    }
}

/// An error with its causes in one line.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
