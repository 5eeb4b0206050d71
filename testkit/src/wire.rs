//! The way to a server over a real socket.

use std::io;
use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use http::Request;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};

use crate::answer::TestResponse;

/// An address of a server, and perhaps the address from which it is to be reached.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    /// Where the server listens.
    pub address: SocketAddr,
    /// The client's own address; the system chooses one without.
    pub from: Option<IpAddr>,
}

impl Wire {
    /// The way to this address.
    pub fn to(address: SocketAddr) -> Self {
        Self {
            address,
            from: None,
        }
    }

    /// The same way from an address of this machine.
    #[must_use]
    pub fn from(self, address: IpAddr) -> Self {
        Self {
            from: Some(address),
            ..self
        }
    }

    /// A new connection.
    pub async fn connect(&self) -> io::Result<TcpStream> {
        self.socket()?.connect(self.address).await
    }

    /// A new connection over which little is under way at once: its receiver has a small buffer.
    pub async fn connect_narrow(&self) -> io::Result<TcpStream> {
        let socket = self.socket()?;
        socket.set_recv_buffer_size(4096)?;
        socket.connect(self.address).await
    }

    fn socket(&self) -> io::Result<TcpSocket> {
        let socket = if self.address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if let Some(from) = self.from {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        Ok(socket)
    }

    /// Sends one request over a connection of its own and reads the answer whole.
    pub(crate) async fn exchange(&self, asked: String, request: Request<Body>) -> TestResponse {
        let stream = self.connect().await.expect("a connection");
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
        let talk = async move {
            let response = sender.send_request(request).await;
            let response = response.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
            crate::client::Request::read(asked, response.map(Body::new)).await
        };
        // How the connection ends is of no interest once the answer is there.
        futures::future::join(talk, connection).await.0
    }
}
