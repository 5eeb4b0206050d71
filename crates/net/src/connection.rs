//! One connection: TLS, HTTP/1.1 or HTTP/2 by what the client begins with, and its end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use metrics::counter;
use seawall_types::Clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;

use super::activity::{ConnectionActivity, RequestInFlight, ResponseInFlight};
use super::builder::{Builder, TrackedExecutor};
use super::flood::FloodGuard;
use super::share::MemoryBudget;
use super::stall::StallGuard;
use super::{Peer, RequestService};
use crate::config::Limits;
use crate::lifecycle::{Lifecycle, Phase};

/// How long a client that has just connected is waited for when the server drains: the first
/// request may be under way.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// What all connections of a listener share.
pub(super) struct Shared {
    pub(super) service: Arc<dyn RequestService>,
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) builder: Builder,
    /// What all connections of HTTP/2 share.
    pub(super) memory: Arc<MemoryBudget>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: Limits,
    pub(super) lifecycle: Lifecycle,
    /// The phase in which connections are asked to end.
    pub(super) until: Phase,
    /// How many connections did not end by themselves.
    pub(super) cut_off: Arc<AtomicUsize>,
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, peer: Peer, shared: Arc<Shared>) {
    let stream = StallGuard::new(stream, shared.limits.body_idle_timeout());
    match &shared.acceptor {
        None => exchange(stream, peer, &shared).await,
        // What TLS takes is not to be taken by those who speak without it.
        Some(acceptor) => Box::pin(secure(stream, acceptor, peer, &shared)).await,
    }
}

/// Serves a connection over TLS.
async fn secure(
    stream: StallGuard<TcpStream>,
    acceptor: &TlsAcceptor,
    peer: Peer,
    shared: &Shared,
) {
    let handshake = timeout(shared.limits.handshake_timeout(), acceptor.accept(stream));
    let result = tokio::select! {
        result = handshake => result,
        // Nothing was asked yet, so nothing is cut off.
        () = shared.lifecycle.reached(Phase::Closed) => return,
    };
    let reason = match result {
        Ok(Ok(stream)) => return exchange(stream, peer, shared).await,
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

/// Speaks HTTP until one side is done.
async fn exchange<S>(stream: S, peer: Peer, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(ConnectionActivity::default());
    let share = shared.memory.share();
    let mut builder = shared.builder.clone();
    share.allowance().apply(&mut builder);
    let service = service_fn(|request: Request<Incoming>| {
        let running = RequestInFlight::new(&activity);
        let two = request.version() == Version::HTTP_2;
        if !two {
            share.release();
        }
        // HTTP/1's parser counts them itself.
        let many = two && request.headers().len() > shared.limits.headers as usize;
        let answer = (!many).then(|| shared.service.serve(request, peer));
        async move {
            let response = if let Some(answer) = answer {
                answer.await
            } else {
                not_understood(peer, "headers");
                too_many_headers()
            };
            Ok::<_, Infallible>(response.map(|body| running.answering(body)))
        }
    });
    let limits = &shared.limits;
    let stream = FloodGuard::new(
        stream,
        limits.http2_control_frames_per_second,
        Arc::clone(&shared.clock),
    );
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    converse(pin!(connection), &activity, peer, shared).await;
}

/// Logs and counts a request that was refused before it was parsed.
fn not_understood(peer: Peer, reason: &'static str) {
    counter!("seawall_requests_not_understood_total", "reason" => reason).increment(1);
    tracing::info!(target: "request", address = %peer.address.ip(), reason, "a malformed request was refused");
}

fn too_many_headers() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    response
}

/// A connection that can be asked to end after what is under way.
trait GracefulConnection: Future<Output = Result<(), ConnectionFault>> {
    fn ask_to_end(self: Pin<&mut Self>);
}

type ConnectionFault = Box<dyn std::error::Error + Send + Sync>;

impl<I, S> GracefulConnection for auto::Connection<'_, I, S, TrackedExecutor>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<ResponseInFlight>, Error = Infallible>,
    S::Future: Send + 'static,
{
    fn ask_to_end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Waits for a connection's end, and brings it about when its time has come.
async fn converse(
    mut connection: Pin<&mut impl GracefulConnection>,
    activity: &ConnectionActivity,
    peer: Peer,
    shared: &Shared,
) {
    let mut draining = pin!(async {
        shared.lifecycle.reached(shared.until).await;
        if activity.begun() == 0 {
            tokio::time::sleep(FIRST_REQUEST).await;
        }
    });
    let mut closed = pin!(shared.lifecycle.reached(Phase::Closed));
    let mut silence = every(shared.limits.header_timeout());
    let mut stall = every(shared.limits.body_idle_timeout());
    let mut asked_to_end = false;
    let mut begun_before = 0;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    let broken = error.downcast_ref::<hyper::Error>();
                    if broken.is_some_and(hyper::Error::is_parse) {
                        not_understood(peer, "head");
                    }
                    tracing::debug!(peer = %peer.address, error = %ErrorChain(error.as_ref()), "connection broke");
                }
                return;
            }
            () = closed.as_mut() => {
                shared.cut_off.fetch_add(1, Ordering::Relaxed);
                return;
            }
            () = draining.as_mut(), if !asked_to_end => {
                asked_to_end = true;
                connection.as_mut().ask_to_end();
            }
            // hyper's own timeout covers the headers of HTTP/1 only once it has seen that it is
            // HTTP/1, and HTTP/2 not at all.
            _ = silence.tick() => {
                let begun = activity.begun();
                let silent = begun == begun_before && activity.running() == 0;
                // Who has been asked to end and neither does nor asks for anything is not waited
                // for again.
                if begun == 0 || (silent && asked_to_end) {
                    return;
                }
                if silent {
                    asked_to_end = true;
                    connection.as_mut().ask_to_end();
                }
                begun_before = begun;
            }
            _ = stall.tick() => if activity.stalled() {
                counter!("seawall_connections_stalled_total").increment(1);
                tracing::debug!(peer = %peer.address, "a client does not read its answer");
                return;
            }
        }
    }
}

/// Ticks after each of these times, and not at once.
fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.reset();
    interval
}

/// An error with its causes in one line.
struct ErrorChain<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for ErrorChain<'_> {
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
