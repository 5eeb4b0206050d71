//! One connection that is kept alive: over which transport, from which address, to which.
//!
//! Bodies of answers are counted and dropped unless they are asked for. It never retries: a request
//! that fails is a result.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::client::{BenchResponse, Headers, MAX_KEPT, Payload, PreparedRequest};
use crate::wire::Wire;

/// What a connection speaks.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    /// HTTP/1.1.
    Plain,
    /// HTTP/1.1 over TLS.
    Tls(Arc<ClientConfig>),
    /// HTTP/2 over TLS.
    Two(Arc<ClientConfig>),
}

/// Where a connection leads, and how.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    /// `address:port`.
    pub(crate) address: String,
    /// What is spoken there.
    pub(crate) transport: Transport,
    /// The address that it comes from, if that matters.
    pub(crate) source: Option<IpAddr>,
}

impl Dialer {
    /// HTTP/1.1 at this address.
    pub(crate) fn plain(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            transport: Transport::Plain,
            source: None,
        }
    }

    /// Connects, without speaking yet.
    pub(crate) async fn connect(&self) -> Result<TcpStream> {
        let connecting = async {
            let Some(source) = self.source else {
                return TcpStream::connect(&self.address).await;
            };
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(source, 0))?;
            let invalid = |_| std::io::Error::other("an address that is none");
            socket.connect(self.address.parse().map_err(invalid)?).await
        };
        let stream = connecting.await;
        let stream = stream.with_context(|| format!("connecting to {}", self.address))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

enum Sender {
    One(Wire),
    Two {
        sender: http2::SendRequest<Payload>,
        /// Drives the connection; ends with it.
        #[expect(dead_code, reason = "kept until the connection goes")]
        driver: JoinSet<()>,
    },
}

/// A connection. Dropping it closes it.
pub(crate) struct Connection(Sender);

impl Connection {
    /// Opens a connection to `host`, which is `address:port`, for HTTP/1.1.
    pub(crate) async fn open(host: &str) -> Result<Self> {
        Self::through(&Dialer::plain(host)).await
    }

    /// Opens a connection.
    pub(crate) async fn through(door: &Dialer) -> Result<Self> {
        let stream = door.connect().await?;
        let config = match &door.transport {
            Transport::Plain => return Ok(Self(Sender::One(Wire::new(stream)))),
            Transport::Tls(config) | Transport::Two(config) => config,
        };
        let name = ServerName::from(stream.peer_addr()?.ip());
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(name, stream).await?;
        if let Transport::Tls(_) = door.transport {
            return Ok(Self(Sender::One(Wire::new(stream))));
        }
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        let mut driver = JoinSet::new();
        // How a connection ends is seen where an answer is awaited.
        driver.spawn(async move { drop(connection.await) });
        Ok(Self(Sender::Two { sender, driver }))
    }

    /// Sends a request and reads the answer to its end. The body is kept only where `keep` says so,
    /// and where the answer is no success.
    pub(crate) async fn send(
        &mut self,
        ask: &PreparedRequest,
        keep: bool,
    ) -> Result<BenchResponse> {
        let response = match &mut self.0 {
            Sender::One(wire) => return wire.send(ask, keep).await,
            Sender::Two { sender, .. } => {
                sender.ready().await?;
                sender.send_request(ask.request()?).await?
            }
        };
        let (head, body) = response.into_parts();
        let keep = keep || !head.status.is_success();
        let (length, body) = read(body, keep).await?;
        Ok(BenchResponse {
            status: head.status,
            headers: Headers::Parsed(head.headers),
            length,
            body,
        })
    }
}

async fn read(mut body: Incoming, keep: bool) -> Result<(u64, Vec<u8>)> {
    let (mut length, mut kept) = (0, Vec::new());
    while let Some(frame) = poll_fn(|waker| Pin::new(&mut body).poll_frame(waker)).await {
        let frame = frame.context("an answer broke off")?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        length += data.len() as u64;
        if keep {
            ensure!(kept.len() + data.len() <= MAX_KEPT, "an answer is too long");
            kept.extend_from_slice(data);
        }
    }
    Ok((length, kept))
}
