//! The server over real sockets: caps, limits, both protocols, TLS that changes, and its end.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use seawall_testkit::SystemClock;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::*;
use crate::config::{Limits, Listener, Shutdown, TlsFiles};
use crate::lifecycle::{Lifecycle, Phase};
use crate::tls::{Certificate, ReloadOutcome};

/// How much there is under `/big`.
pub(super) const BIG: usize = 4 << 20;

/// How much there is under `/whole`, in one piece.
pub(super) const WHOLE: usize = 16 << 20;

/// Answers at once, except under `/slow`, where each piece of the body waits for a permit.
struct Pieces {
    gate: Arc<Semaphore>,
    /// How many pieces of what is under `/big` were made.
    made: Arc<AtomicUsize>,
}

impl RequestService for Pieces {
    fn serve(&self, request: Request<Incoming>, peer: Peer) -> BoxFuture<'static, Response<Body>> {
        let (gate, made) = (Arc::clone(&self.gate), Arc::clone(&self.made));
        async move {
            if request.uri().path() == "/big" {
                let piece = move |_| {
                    made.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, Infallible>(Bytes::from(vec![7; BIG / 64]))
                };
                let pieces = futures::stream::iter((0..64).map(piece));
                return Response::new(Body::from_stream(pieces));
            }
            if request.uri().path() == "/whole" {
                return Response::new(Body::from(vec![7; WHOLE]));
            }
            if request.uri().path() != "/slow" {
                let text = format!("{:?} tls={}", request.version(), peer.tls);
                return Response::new(Body::from(text));
            }
            let pieces = futures::stream::unfold(0, move |count| {
                let gate = Arc::clone(&gate);
                async move {
                    gate.acquire().await.ok()?.forget();
                    (count < 3)
                        .then(|| (Ok::<_, Infallible>(Bytes::from_static(b"piece")), count + 1))
                }
            });
            Response::new(Body::from_stream(pieces))
        }
        .boxed()
    }
}

pub(super) struct RequestInFlight {
    pub(super) address: SocketAddr,
    pub(super) made: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    lifecycle: Lifecycle,
    ended: JoinHandle<StopOutcome>,
}

pub(super) fn start(limits: &Limits, tls: Option<TlsFiles>, grace_seconds: u32) -> RequestInFlight {
    let lifecycle = Lifecycle::new();
    let gate = Arc::new(Semaphore::new(0));
    let made = Arc::default();
    let service: Arc<dyn RequestService> = Arc::new(Pieces {
        gate: Arc::clone(&gate),
        made: Arc::clone(&made),
    });
    let mut server = Server::new(limits, &[], &lifecycle, Arc::new(SystemClock));
    let address = "127.0.0.1:0".parse().unwrap();
    server
        .listen(&[Listener { address, tls }], &service)
        .unwrap();
    let address = server.addresses()[0];
    let shutdown = Shutdown {
        delay_seconds: 0,
        grace_seconds,
    };
    let ended = tokio::spawn(async move { server.run(&shutdown).await });
    RequestInFlight {
        address,
        made,
        gate,
        lifecycle,
        ended,
    }
}

pub(super) async fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

pub(super) async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(wanted) {
        let mut buffer = [0; 4096];
        let count = timeout(Duration::from_secs(5), stream.read(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert!(
            count > 0,
            "ended before {wanted:?}: {}",
            String::from_utf8_lossy(&seen)
        );
        seen.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(seen).unwrap()
}

pub(super) async fn closed(stream: &mut TcpStream) -> bool {
    let read = timeout(Duration::from_secs(5), stream.read(&mut [0; 16]))
        .await
        .unwrap();
    !matches!(read, Ok(count) if count > 0)
}

#[tokio::test]
async fn what_runs_is_finished_before_the_end() {
    let server = start(&Limits::default(), None, 30);
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    ask(&mut slow, "/slow").await;
    server.gate.add_permits(1);
    read_until(&mut slow, "piece").await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    ask(&mut idle, "/").await;
    read_until(&mut idle, "HTTP/1.1 tls=false").await;

    server.lifecycle.stop();
    assert!(
        closed(&mut idle).await,
        "an idle connection is closed at once"
    );
    server.lifecycle.reached(Phase::Draining).await;
    // The listening socket is closed by the accept loop's end, a moment after the phase.
    timeout(Duration::from_secs(5), async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    server.gate.add_permits(3);
    read_until(&mut slow, "0\r\n\r\n").await;
    assert!(closed(&mut slow).await);
    assert_eq!(server.ended.await.unwrap(), StopOutcome { cut_off: 0 });
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off() {
    let server = start(&Limits::default(), None, 0);
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    ask(&mut slow, "/slow").await;
    server.gate.add_permits(1);
    read_until(&mut slow, "piece").await;
    server.lifecycle.stop();
    assert_eq!(server.ended.await.unwrap(), StopOutcome { cut_off: 1 });
    assert!(closed(&mut slow).await);
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let server = start(&Limits::default(), None, 3_600);
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    ask(&mut slow, "/slow").await;
    server.gate.add_permits(1);
    read_until(&mut slow, "piece").await;
    server.lifecycle.stop();
    server.lifecycle.reached(Phase::Draining).await;
    server.lifecycle.abort();
    let ended = timeout(Duration::from_secs(5), server.ended)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended, StopOutcome { cut_off: 1 });
}

#[tokio::test]
async fn too_many_connections_are_closed_at_accept() {
    let limits = Limits {
        connections: 3,
        connections_per_address: 2,
        ..Limits::default()
    };
    let server = start(&limits, None, 0);
    let mut first = TcpStream::connect(server.address).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    for stream in [&mut first, &mut second] {
        ask(stream, "/").await;
        read_until(stream, "tls=false").await;
    }
    let mut third = TcpStream::connect(server.address).await.unwrap();
    assert!(closed(&mut third).await);
    drop(first);
    timeout(Duration::from_secs(5), async {
        loop {
            let mut again = TcpStream::connect(server.address).await.unwrap();
            let _ = again.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
            if matches!(again.read(&mut [0; 16]).await, Ok(count) if count > 0) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn there_are_no_more_connections_than_are_set_wherever_they_come_from() {
    let limits = Limits {
        connections: 3,
        ..Limits::default()
    };
    let server = start(&limits, None, 0);
    let mut held = Vec::new();
    for host in 1..=5 {
        let socket = TcpSocket::new_v4().unwrap();
        let from = SocketAddr::from(([127, 0, 0, host], 0));
        socket.bind(from).unwrap();
        held.push(socket.connect(server.address).await.unwrap());
    }
    for stream in &mut held[3..] {
        assert!(closed(stream).await);
    }
    for stream in &mut held[..3] {
        ask(stream, "/").await;
        read_until(stream, "tls=false").await;
    }
}

#[tokio::test]
async fn headers_are_limited() {
    let limits = Limits {
        header_bytes: 8_192,
        header_timeout_seconds: 1,
        ..Limits::default()
    };
    let server = start(&limits, None, 0);
    let mut big = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "x".repeat(10_000)
    );
    big.write_all(request.as_bytes()).await.unwrap();
    assert!(
        read_until(&mut big, "\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 431")
    );

    let mut many = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: h\r\n{}\r\n",
        "a: b\r\n".repeat(200)
    );
    many.write_all(request.as_bytes()).await.unwrap();
    assert!(
        read_until(&mut many, "\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 431")
    );

    // Neither one that says nothing nor one that stops in the middle is waited for.
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut halting = TcpStream::connect(server.address).await.unwrap();
    halting.write_all(b"GET / HTTP/1.1\r\nHost").await.unwrap();
    assert!(closed(&mut silent).await);
    let mut rest = String::new();
    let _ = timeout(Duration::from_secs(5), halting.read_to_string(&mut rest))
        .await
        .unwrap();
}

#[tokio::test]
async fn as_many_headers_are_let_in_as_are_set() {
    for headers in [20, 150] {
        let limits = Limits {
            headers,
            ..Limits::default()
        };
        let server = start(&limits, None, 0);
        // One more is the host.
        for (more, status) in [(headers - 1, 200), (headers, 431)] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let more = "a: b\r\n".repeat(more as usize);
            let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{more}\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let answer = read_until(&mut stream, "\r\n\r\n").await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{answer}"
            );
        }
    }
}

#[tokio::test]
async fn http2_is_spoken_without_tls_and_drained() {
    let server = start(&Limits::default(), None, 30);
    let stream = TcpStream::connect(server.address).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let request = |path: &str| {
        Request::get(format!("http://h{path}"))
            .body(Empty::<Bytes>::new())
            .unwrap()
    };
    let quick = sender.send_request(request("/")).await.unwrap();
    let body = quick.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "HTTP/2.0 tls=false");

    let slow = sender.send_request(request("/slow")).await.unwrap();
    server.lifecycle.stop();
    server.lifecycle.reached(Phase::Draining).await;
    server.gate.add_permits(4);
    let body = slow.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "piecepiecepiece");
    assert_eq!(server.ended.await.unwrap(), StopOutcome { cut_off: 0 });
    connection.await.unwrap().unwrap();
}

/// Writes a new self-signed pair and returns the certificate.
fn write_pair(directory: &Path) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().to_vec()
}

fn pair() -> (TempDir, TlsFiles, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let certificate = write_pair(directory.path());
    let tls = TlsFiles {
        certificate_file: directory.path().join("cert.pem"),
        key_file: directory.path().join("key.pem"),
    };
    (directory, tls, certificate)
}

type Secured = tokio_rustls::client::TlsStream<TcpStream>;

/// Connects, trusting exactly this certificate.
async fn connect(address: SocketAddr, trusted: &[u8], protocol: &[u8]) -> std::io::Result<Secured> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.to_vec().into()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
}

async fn answer(stream: &mut Secured) -> String {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let mut buffer = [0; 4096];
    let count = timeout(Duration::from_secs(5), stream.read(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[tokio::test]
async fn certificates_change_without_closing_connections() {
    let (directory, tls, old) = pair();
    let server = start(&Limits::default(), Some(tls), 0);
    let mut before = connect(server.address, &old, b"http/1.1").await.unwrap();
    assert!(answer(&mut before).await.contains("HTTP/1.1 tls=true"));
    let two = connect(server.address, &old, b"h2").await.unwrap();
    assert_eq!(two.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));

    let new = write_pair(directory.path());
    // A wish is heard only while somebody waits for it, so it is repeated until the new pair is in
    // use.
    let mut after = timeout(Duration::from_secs(10), async {
        loop {
            server.lifecycle.reload();
            if let Ok(stream) = connect(server.address, &new, b"http/1.1").await {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    assert!(answer(&mut after).await.contains("tls=true"));
    assert!(
        answer(&mut before).await.contains("tls=true"),
        "the old connection lives on"
    );
    assert!(connect(server.address, &old, b"http/1.1").await.is_err());
}

#[test]
fn a_broken_pair_is_told_once_and_the_old_one_kept() {
    let (directory, tls, _) = pair();
    let certificate = Certificate::load(&tls).unwrap();
    assert!(matches!(certificate.refresh(), ReloadOutcome::Unchanged));

    let other = tempfile::tempdir().unwrap();
    write_pair(other.path());
    // The tool has replaced the certificate and not yet the key.
    std::fs::copy(other.path().join("cert.pem"), &tls.certificate_file).unwrap();
    let ReloadOutcome::Broken(error) = certificate.refresh() else {
        panic!("not broken")
    };
    assert!(
        error.to_string().contains("cannot be used together"),
        "{error}"
    );
    assert!(matches!(certificate.refresh(), ReloadOutcome::Unchanged));
    std::fs::copy(other.path().join("key.pem"), &tls.key_file).unwrap();
    assert!(matches!(certificate.refresh(), ReloadOutcome::Renewed));

    std::fs::write(&tls.key_file, "no key").unwrap();
    assert!(matches!(certificate.refresh(), ReloadOutcome::Broken(_)));
    std::fs::remove_file(&tls.key_file).unwrap();
    assert!(matches!(certificate.refresh(), ReloadOutcome::Broken(_)));
    assert!(matches!(certificate.refresh(), ReloadOutcome::Unchanged));
    write_pair(directory.path());
    assert!(matches!(certificate.refresh(), ReloadOutcome::Renewed));
}

#[test]
fn files_that_cannot_be_used_are_named_at_the_start() {
    let (_directory, tls, _) = pair();
    let missing = TlsFiles {
        key_file: "/nowhere/key.pem".into(),
        ..tls.clone()
    };
    let told = Certificate::load(&missing).unwrap_err().to_string();
    assert!(
        told.starts_with("/nowhere/key.pem cannot be read"),
        "{told}"
    );
    let swapped = TlsFiles {
        certificate_file: tls.key_file.clone(),
        key_file: tls.certificate_file.clone(),
    };
    let told = Certificate::load(&swapped).unwrap_err().to_string();
    assert!(told.contains("no usable certificate in PEM form"), "{told}");
}

#[tokio::test]
async fn plain_bytes_at_a_tls_listener_end_the_connection() {
    let (_directory, tls, _) = pair();
    let limits = Limits {
        handshake_timeout_seconds: 1,
        ..Limits::default()
    };
    let server = start(&limits, Some(tls), 0);
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    ask(&mut plain, "/").await;
    let mut rest = Vec::new();
    let _ = timeout(Duration::from_secs(5), plain.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert!(closed(&mut silent).await, "a handshake that never begins");
}
