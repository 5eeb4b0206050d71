//! The accept loop of one listener.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use ipnet::IpNet;
use metrics::{counter, gauge};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use super::Peer;
use super::caps::ConnectionCaps;
use super::connection::{self, Shared};
use crate::lifecycle::Phase;

/// One listener with all that its connections need.
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    pub(super) address: SocketAddr,
    /// The word for metrics: `registry` or `management`.
    pub(super) name: &'static str,
    pub(super) caps: Arc<ConnectionCaps>,
    pub(super) exempt: Arc<[IpNet]>,
    pub(super) shared: Arc<Shared>,
    pub(super) connections: TaskTracker,
    /// The phase in which it stops accepting.
    pub(super) until: Phase,
}

impl Acceptor {
    /// Accepts until its phase has come.
    pub(super) async fn run(self) {
        let lifecycle = self.shared.lifecycle.clone();
        let mut over = std::pin::pin!(lifecycle.reached(self.until));
        loop {
            tokio::select! {
                biased;
                () = over.as_mut() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, address)) => self.admit(stream, address),
                    Err(error) => self.pause(&error).await,
                },
            }
        }
        // Who is connected already, as far as they can tell, is still answered; closing the socket
        // would reset them.
        while let Some(Ok((stream, address))) = self.listener.accept().now_or_never() {
            self.admit(stream, address);
        }
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr) {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let admitted = match self.caps.enter(address.ip(), self.is_exempt(address.ip())) {
            Ok(admitted) => admitted,
            Err(refused) => {
                let reason = refused.as_str();
                counter!("seawall_connections_refused_total", "listener" => self.name, "reason" => reason).increment(1);
                tracing::debug!(peer = %address, reason, "too many connections");
                return;
            }
        };
        counter!("seawall_connections_accepted_total", "listener" => self.name).increment(1);
        // Failing here means that the client has gone, which the first read will say as well.
        let _ = stream.set_nodelay(true);
        let probe = TcpKeepalive::new()
            .with_time(Duration::from_mins(1))
            .with_interval(Duration::from_secs(15));
        let _ = SockRef::from(&stream).set_tcp_keepalive(&probe);

        let peer = Peer {
            address,
            tls: self.shared.acceptor.is_some(),
            listener: self.address,
        };
        let shared = Arc::clone(&self.shared);
        let open = gauge!("seawall_connections", "listener" => self.name);
        self.connections.spawn(async move {
            let _admitted = admitted;
            let _counted = GaugeGuard::new(open);
            connection::serve(stream, peer, shared).await;
        });
    }

    fn is_exempt(&self, address: IpAddr) -> bool {
        self.exempt.iter().any(|network| network.contains(&address))
    }

    /// A connection that broke while it waited says nothing about the next; anything else (no file
    /// descriptors left) gets a pause, since it would come again at once.
    async fn pause(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if !matches!(
            error.kind(),
            ConnectionAborted | ConnectionRefused | ConnectionReset
        ) {
            counter!("seawall_accept_errors_total", "listener" => self.name).increment(1);
            tracing::warn!(listener = %self.address, %error, "cannot accept connections");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Counts a connection in the gauge, and out again however it ends.
struct GaugeGuard(metrics::Gauge);

impl GaugeGuard {
    fn new(gauge: metrics::Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
