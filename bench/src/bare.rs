//! What the machine can do without a registry: the yardsticks, in this process.
//!
//! The empty server shows how much load the generator can make. The bare sender reads a file and
//! writes it to the socket; the bare receiver reads a body, hashes it, writes it to a file and
//! makes that durable, and keeps it, as a registry must. Both are plain blocking loops with one
//! buffer: nothing is overlapped, so a server that overlaps well may beat them.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::Response;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use seawall_types::digest::{Algorithm, AlgorithmSet, Hasher};
use tokio::task::JoinSet;

use crate::client::Payload;
use crate::content::{LARGE, noise};

/// The buffer of the bare loops, in bytes.
const BUFFER: usize = 256 << 10;

/// The yardsticks of this machine, each at its address.
pub(crate) struct BareServers {
    /// Answers everything with two bytes.
    pub(crate) empty: String,
    /// Answers everything with a file of 64 MiB.
    pub(crate) sender: String,
    /// Takes bodies.
    pub(crate) receiver: String,
    _server: JoinSet<()>,
}

impl BareServers {
    /// Starts all three; their files lie in `folder`, which is made.
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let empty = listener.local_addr()?.to_string();
        let mut server = JoinSet::new();
        server.spawn(serve_nothing(listener));
        let file = folder.join("sent");
        fs::write(&file, noise(LARGE))?;
        let received: Arc<Path> = Arc::from(folder);
        Ok(Self {
            empty,
            sender: listen("bare-sender", move |stream| send_file(stream, &file))?,
            receiver: listen("bare-receiver", move |stream| receive(stream, &received))?,
            _server: server,
        })
    }
}

async fn serve_nothing(listener: tokio::net::TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let nothing = service_fn(|_| async {
            let body = Payload::from(Bytes::from_static(b"ok"));
            Ok::<_, Infallible>(Response::new(body))
        });
        connections.spawn(async move {
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new());
            let _ = builder
                .serve_connection(TokioIo::new(stream), nothing)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// A listener with a thread for each connection; it lives as long as the process.
fn listen<F>(name: &str, serve: F) -> Result<String>
where
    F: Fn(TcpStream) -> Result<()> + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let accept = move || {
        while let Ok((stream, _)) = listener.accept() {
            let serve = serve.clone();
            // A client that leaves ends its thread; the measurement sees failures as such.
            let _ = thread::Builder::new().spawn(move || serve(stream));
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(accept)?;
    Ok(address)
}

/// Reads the head of a request and returns the length of its body; `None` at the end.
fn head(reader: &mut impl BufRead) -> Result<Option<u64>> {
    let mut length = 0;
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else {
            return Ok(Some(length));
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().context("a length that is none")?;
        }
    }
}

fn send_file(mut stream: TcpStream, path: &PathBuf) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut buffer = vec![0; BUFFER];
    while head(&mut reader)?.is_some() {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"
        )?;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            stream.write_all(buffer.get(..read).unwrap_or_default())?;
        }
    }
    Ok(())
}

fn receive(mut stream: TcpStream, folder: &Path) -> Result<()> {
    static RECEIVED: AtomicU64 = AtomicU64::new(0);
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(BUFFER, stream.try_clone()?);
    let mut buffer = vec![0; BUFFER];
    while let Some(mut left) = head(&mut reader)? {
        let number = RECEIVED.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("received-{number}"));
        let mut file = File::create(&path)?;
        let mut hasher = Hasher::new(AlgorithmSet::from(Algorithm::Sha256));
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let piece = buffer.get_mut(..most).context("a buffer too small")?;
            reader.read_exact(piece)?;
            hasher.update(piece);
            file.write_all(piece)?;
            left -= most as u64;
        }
        file.sync_all()?;
        let digest = hasher.finish(Algorithm::Sha256).context("no digest")?;
        write!(
            stream,
            "HTTP/1.1 201 Created\r\ndocker-content-digest: {digest}\r\ncontent-length: 0\r\n\r\n"
        )?;
    }
    Ok(())
}
