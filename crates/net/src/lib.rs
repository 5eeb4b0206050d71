//! Sockets, TLS and HTTP connections, up to the request and not beyond it.
//!
//! The accept loop is our own on hyper-util, because `axum::serve` has none of the knobs that keep
//! a server alive under bad clients: connection caps, header limits and timeouts, a bounded drain.
//! Who asks, for what, and whether they may is no business of this crate; it never reads a body and
//! never looks at a path.

mod accept;
mod activity;
#[cfg(test)]
mod attacks;
mod bind;
mod builder;
mod caps;
pub mod config;
mod connection;
mod files;
mod flood;
pub mod lifecycle;
mod server;
mod share;
mod stall;
#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test's server runs beside it and is waited for"
)]
mod tests;
pub mod tls;

use std::net::SocketAddr;

use axum::body::Body;
use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;

pub use bind::bind;
pub use caps::{ConnectionCaps, ConnectionRefusal};
pub use files::raise_open_files;
pub use server::{Server, StopOutcome};

/// What answers requests.
pub trait RequestService: Send + Sync + 'static {
    /// Answers one request. It cannot fail: an error is an answer, too.
    fn serve(&self, request: Request<Incoming>, peer: Peer) -> BoxFuture<'static, Response<Body>>;
}

/// The peer of the connection, as the socket knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the socket: the client, or a proxy before it. IPv4 addresses are always
    /// written as such.
    pub address: SocketAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
    /// The address at which the connection was accepted.
    pub listener: SocketAddr,
}
