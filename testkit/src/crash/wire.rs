//! One connection to the server: HTTP/1.1 over TCP with Basic authentication, as clients speak it.
//!
//! It never repeats a request that got no answer: whether one was answered is what the lab is
//! about. Only one that was refused at once, because passwords are checked a few at a time,
//! knocks again, as clients do.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Method, header};
use http_body_util::{BodyExt, Collected};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A server that keeps silent for so long is stuck.
const PATIENCE: Duration = Duration::from_mins(1);

/// Bodies longer than this come in pieces with pauses, so that kills hit them in their middle.
const PIECE: usize = 32 * 1024;
const PAUSE: Duration = Duration::from_millis(2);

/// The status of a server that has no time for another password, and what to wait then.
const TOO_MANY: u16 = 429;
const KNOCK_AGAIN: Duration = Duration::from_millis(200);
const KNOCKS: usize = 300;

/// A request.
#[derive(Debug, Clone)]
pub struct WireRequest {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl WireRequest {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn body(self, body: Bytes) -> Self {
        Self { body, ..self }
    }
}

/// An answer. Its body may have broken off.
#[derive(Debug)]
pub(super) struct WireReply {
    pub(super) status: u16,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Bytes,
    pub(super) whole: bool,
}

impl WireReply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The path of a location, which may come with scheme and host.
    pub(super) fn location(&self) -> Option<&str> {
        let location = self.header("location")?;
        match location.split_once("://") {
            Some((_, rest)) => rest.find('/').map(|at| &rest[at..]),
            None => Some(location),
        }
    }
}

/// There was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoReply {
    /// The connection went.
    Gone,
    /// The server kept silent on an open connection.
    Stuck,
}

/// An open connection.
pub(super) struct Wire {
    sender: SendRequest<Body>,
    connection: Pin<Box<dyn Future<Output = ()> + Send>>,
    over: bool,
    host: String,
    authorization: String,
}

impl Wire {
    pub(super) async fn open(
        address: SocketAddr,
        (user, password): (&str, &str),
    ) -> Result<Self, NoReply> {
        let socket = TcpStream::connect(address).await;
        let socket = socket.map_err(|_| NoReply::Gone)?;
        // Small requests must not wait for the answer to the one before.
        let _ = socket.set_nodelay(true);
        let opened = handshake(TokioIo::new(socket)).await;
        let (sender, connection) = opened.map_err(|_| NoReply::Gone)?;
        let pair = STANDARD.encode(format!("{user}:{password}"));
        Ok(Self {
            sender,
            connection: Box::pin(async move { drop(connection.await) }),
            over: false,
            host: address.to_string(),
            authorization: format!("Basic {pair}"),
        })
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&mut self, ask: WireRequest) -> Result<WireReply, NoReply> {
        for _ in 0..KNOCKS {
            let reply = self.ask_once(ask.clone()).await?;
            if reply.status != TOO_MANY {
                return Ok(reply);
            }
            tokio::time::sleep(KNOCK_AGAIN).await;
        }
        self.ask_once(ask).await
    }

    async fn ask_once(&mut self, ask: WireRequest) -> Result<WireReply, NoReply> {
        let request = self.request(ask);
        let sender = &mut self.sender;
        let answer = async move {
            sender.ready().await.map_err(|_| NoReply::Gone)?;
            let answer = sender.send_request(request).await;
            let (parts, body) = answer.map_err(|_| NoReply::Gone)?.into_parts();
            let collected = body.collect().await;
            Ok(WireReply {
                status: parts.status.as_u16(),
                headers: parts.headers,
                whole: collected.is_ok(),
                body: collected.map(Collected::to_bytes).unwrap_or_default(),
            })
        };
        let mut answer = std::pin::pin!(tokio::time::timeout(PATIENCE, answer));
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return answer.unwrap_or(Err(NoReply::Stuck)),
                () = &mut self.connection, if !self.over => self.over = true,
            }
        }
    }

    fn request(&self, ask: WireRequest) -> http::Request<Body> {
        let mut request = http::Request::builder()
            .method(&ask.method)
            .uri(ask.path)
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::USER_AGENT, "seawall-crash");
        if ask.method != Method::GET {
            request = request.header(header::CONTENT_LENGTH, ask.body.len());
        }
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        request.body(paced(ask.body)).expect("a request")
    }
}

/// A body in pieces.
fn paced(bytes: Bytes) -> Body {
    if bytes.len() <= PIECE {
        return Body::from(bytes);
    }
    let pieces: Vec<_> = (0..bytes.len())
        .step_by(PIECE)
        .map(|start| bytes.slice(start..bytes.len().min(start + PIECE)))
        .collect();
    let pieces = stream::iter(pieces).then(|piece| async {
        tokio::time::sleep(PAUSE).await;
        Ok::<_, std::io::Error>(piece)
    });
    Body::from_stream(pieces)
}
