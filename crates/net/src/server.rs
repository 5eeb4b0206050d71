//! The server: all listeners, from the first accept to the last connection's end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipnet::IpNet;
use seawall_types::Clock;
use tokio::net::TcpListener;
use tokio::time::{Duration, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::accept::Acceptor;
use super::builder::builder;
use super::caps::ConnectionCaps;
use super::connection::Shared;
use super::share::MemoryBudget;
use super::tls::Certificate;
use super::{RequestService, bind};
use crate::config::{Limits, Listener, Shutdown};
use crate::lifecycle::{Lifecycle, Phase};

/// Connections of the management listener: a few scrapers and probes, whatever the registry's own
/// are.
const MANAGEMENT_CONNECTIONS: usize = 64;

/// How long connections are waited for that were cut off.
const CUT_OFF: Duration = Duration::from_secs(1);

/// Listeners, bound and ready to run.
pub struct Server {
    limits: Limits,
    memory: Arc<MemoryBudget>,
    clock: Arc<dyn Clock>,
    exempt: Arc<[IpNet]>,
    lifecycle: Lifecycle,
    caps: Arc<ConnectionCaps>,
    /// Connections that are waited for, and those of the management listener, which are not.
    connections: TaskTracker,
    management: TaskTracker,
    accepts: Vec<Acceptor>,
    certificates: Vec<Arc<Certificate>>,
    cut_off: Arc<AtomicUsize>,
}

/// How the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopOutcome {
    /// How many connections were cut off; 0 means that all that ran has ended by itself.
    pub cut_off: usize,
}

impl Server {
    /// A server without listeners. Connections from `trusted` networks do not count for the cap of
    /// one address.
    pub fn new(
        limits: &Limits,
        trusted: &[IpNet],
        lifecycle: &Lifecycle,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            limits: limits.clone(),
            memory: MemoryBudget::new(limits.http2_memory_bytes(), limits.http2_streams),
            clock,
            exempt: trusted.into(),
            lifecycle: lifecycle.clone(),
            caps: ConnectionCaps::new(
                limits.connections as usize,
                limits.connections_per_address as usize,
            ),
            connections: TaskTracker::new(),
            management: TaskTracker::new(),
            accepts: Vec::new(),
            certificates: Vec::new(),
            cut_off: Arc::default(),
        }
    }

    /// Binds the registry's listeners and reads their certificates. Nothing is accepted before
    /// [`Server::run`].
    pub fn listen(
        &mut self,
        listeners: &[Listener],
        service: &Arc<dyn RequestService>,
    ) -> io::Result<()> {
        let all: Vec<SocketAddr> = listeners
            .iter()
            .map(|listener| listener.address.socket())
            .collect();
        for listener in listeners {
            let address = listener.address.socket();
            let socket = bind(address, &all)
                .map_err(|error| told(&error, &format!("cannot listen on {address}")))?;
            let acceptor = match &listener.tls {
                Some(files) => {
                    let certificate = Certificate::load(files).map_err(io::Error::other)?;
                    let acceptor =
                        TlsAcceptor::from(certificate.server_config().map_err(io::Error::other)?);
                    self.certificates.push(certificate);
                    Some(acceptor)
                }
                None => None,
            };
            let place = ListenerContext {
                name: "registry",
                caps: Arc::clone(&self.caps),
                until: Phase::Draining,
                connections: self.connections.clone(),
                cut_off: Arc::clone(&self.cut_off),
            };
            self.add(socket, acceptor, service, place)?;
        }
        Ok(())
    }

    /// Binds the management listener, which has caps of its own and answers until the very end.
    pub fn listen_management(
        &mut self,
        address: SocketAddr,
        service: &Arc<dyn RequestService>,
    ) -> io::Result<()> {
        let socket = bind(address, &[address])
            .map_err(|error| told(&error, &format!("cannot listen on {address}")))?;
        let place = ListenerContext {
            name: "management",
            caps: ConnectionCaps::new(MANAGEMENT_CONNECTIONS, MANAGEMENT_CONNECTIONS),
            until: Phase::Closed,
            connections: self.management.clone(),
            // Scrapers lose nothing that matters.
            cut_off: Arc::default(),
        };
        self.add(socket, None, service, place)
    }

    fn add(
        &mut self,
        listener: TcpListener,
        acceptor: Option<TlsAcceptor>,
        service: &Arc<dyn RequestService>,
        place: ListenerContext,
    ) -> io::Result<()> {
        let address = listener.local_addr()?;
        let shared = Shared {
            service: Arc::clone(service),
            acceptor,
            builder: builder(&self.limits, &place.connections),
            memory: Arc::clone(&self.memory),
            clock: Arc::clone(&self.clock),
            limits: self.limits.clone(),
            lifecycle: self.lifecycle.clone(),
            until: place.until,
            cut_off: place.cut_off,
        };
        self.accepts.push(Acceptor {
            listener,
            address,
            name: place.name,
            caps: place.caps,
            exempt: Arc::clone(&self.exempt),
            shared: Arc::new(shared),
            connections: place.connections,
            until: place.until,
        });
        Ok(())
    }

    /// The addresses that were bound, in the order in which they were added; a port 0 has become a
    /// real one.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.accepts.iter().map(|accept| accept.address).collect()
    }

    /// Serves until the lifecycle stops and all connections have ended, or were cut off.
    pub async fn run(self, shutdown: &Shutdown) -> StopOutcome {
        let own = TaskTracker::new();
        let accepting = TaskTracker::new();
        for accept in self.accepts {
            let tracker = if accept.until == Phase::Draining {
                &accepting
            } else {
                &own
            };
            tracker.spawn(accept.run());
        }
        accepting.close();
        own.spawn(super::tls::watch(self.certificates, self.lifecycle.clone()));
        own.close();
        self.connections.close();
        self.management.close();

        let lifecycle = self.lifecycle;
        lifecycle.reached(Phase::Unready).await;
        let _ = timeout(shutdown.delay(), lifecycle.reached(Phase::Closed)).await;
        lifecycle.advance(Phase::Draining);
        let drained = timeout(shutdown.grace(), async {
            // The accept loops let the last ones in before they end.
            accepting.wait().await;
            self.connections.wait().await;
        });
        tokio::select! {
            _ = drained => {}
            () = lifecycle.reached(Phase::Closed) => {}
        }
        lifecycle.advance(Phase::Closed);
        let _ = timeout(CUT_OFF, async {
            own.wait().await;
            self.connections.wait().await;
            self.management.wait().await;
        })
        .await;
        StopOutcome {
            cut_off: self.cut_off.load(Ordering::Relaxed),
        }
    }
}

/// Where a listener belongs.
struct ListenerContext {
    name: &'static str,
    caps: Arc<ConnectionCaps>,
    until: Phase,
    connections: TaskTracker,
    cut_off: Arc<AtomicUsize>,
}

/// The error with what was being done.
fn told(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
