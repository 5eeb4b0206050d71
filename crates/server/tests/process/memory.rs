//! What the process holds for clients that are many and slow, or many and gone: bounded, in figures.
//!
//! The figures are those of an unoptimised build, on whatever machine runs the test; the bounds leave room.

use std::fs;

use seawall::net::raise_open_files;
use seawall_testkit::{Client, Image, ServerProcess, blob_of};
use seawall_types::digest::{Algorithm, Digest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;
use tokio::time::{Duration, timeout};

use crate::{PASSWORD, add_user, site};

/// How much of the process is in memory, in KiB.
pub(crate) fn resident(server: &ServerProcess) -> u64 {
    let path = format!("/proc/{}/status", server.id());
    let status = fs::read_to_string(path).unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Prints what something cost, and fails the test if that is more than `bound` KiB.
pub(crate) fn grew(what: &str, before: u64, server: &ServerProcess, bound: u64) {
    let after = resident(server);
    let growth = after.saturating_sub(before);
    println!("{what}: from {before} KiB to {after} KiB, {growth} KiB more");
    assert!(growth <= bound, "{what}: {growth} KiB, more than {bound}");
}

/// The connection of a slow client, and the bytes that it has in mind.
struct Slow {
    stream: TcpStream,
    bytes: std::vec::IntoIter<u8>,
}

impl Slow {
    /// Sends one byte.
    async fn trickle(&mut self) {
        let byte = self.bytes.next().unwrap();
        self.stream.write_all(&[byte]).await.unwrap();
    }
}

/// What the client of this number sends, after what it sends at once: a head, a body, or HTTP/2.
async fn slow(i: usize, ann: &Client, server: &ServerProcess) -> Slow {
    let authorization = ann.authorization.clone().unwrap();
    let (at_once, bytes) = match i % 10 {
        0..5 => (
            "GET /v2/ HTTP/1.1\r\nHost: a\r\nX: ".to_owned(),
            vec![b'x'; 1000],
        ),
        5..7 => {
            let location = ann.open_upload("ann/app").await;
            let head = "Host: a\r\nContent-Length: 1000000\r\n";
            let head = format!(
                "PATCH {location} HTTP/1.1\r\n{head}Authorization: {authorization}\r\n\r\n"
            );
            (head, blob_of(1, 1000))
        }
        _ => {
            // A frame of a kind that nobody knows, which never ends.
            let frame = [0, 0x3f, 0xff, 200, 0, 0, 0, 0, 0];
            let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
            let bytes = [settings.as_slice(), &frame, &[0; 1000]].concat();
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), bytes)
        }
    };
    let mut stream = server.wire().connect().await.unwrap();
    stream.write_all(at_once.as_bytes()).await.unwrap();
    let bytes = bytes.into_iter();
    Slow { stream, bytes }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_clients_cost_little_and_delay_nobody() {
    raise_open_files();
    let mut site = site().await;
    site.configure("limits:\n  connections_per_address: 2000\n");
    let server = site.serve().await;
    add_user(&site, "ann").await;
    let ann = server.anonymous().with_password("ann", PASSWORD);
    let image = Image::new(1, 2);
    ann.push("ann/app", "v1", &image).await;
    ann.pull("ann/app", "v1", &image).await;
    let before = resident(&server);
    let mut crowd = Vec::new();
    for i in 0..1000 {
        crowd.push(slow(i, &ann, &server).await);
    }
    for _ in 0..10 {
        for one in &mut crowd {
            one.trickle().await;
        }
        ann.pull("ann/app", "v1", &image).await;
    }
    grew("1,000 slow clients", before, &server, 96 << 10);
    ann.push("ann/app", "v2", &Image::new(2, 2)).await;
    drop(crowd);
    server.stop().await;
}

/// Reads answers until there are `count` of them with this status line.
async fn answers(stream: &mut ReadHalf<'_>, count: usize, line: &str) {
    let mut seen = Vec::new();
    let mut found = 0;
    while found < count {
        let mut piece = [0; 65_536];
        let reading = timeout(Duration::from_secs(30), stream.read(&mut piece));
        let read = reading.await.unwrap().unwrap();
        assert!(
            read > 0,
            "{found} answers, then: {}",
            String::from_utf8_lossy(&seen)
        );
        seen.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&seen);
        found += text.matches(line).count();
        // An answer's head may be cut in two; its line is looked for again.
        let kept = seen.len().min(line.len() - 1);
        seen.drain(..seen.len() - kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_forgotten_uploads_hold_neither_memory_nor_files() {
    const UPLOADS: usize = 10_000;
    const CLIENTS: usize = 8;
    let mut site = site().await;
    site.configure("uploads:\n  max_per_user: 10000\n");
    let server = site.serve().await;
    add_user(&site, "ann").await;
    let ann = server.anonymous().with_password("ann", PASSWORD);
    ann.push_blob("ann/app", b"x").await;
    let before = resident(&server);
    let authorization = ann.authorization.clone().unwrap();
    let head = format!("Host: a\r\nContent-Length: 0\r\nAuthorization: {authorization}");
    let post = format!("POST /v2/ann/app/blobs/uploads/ HTTP/1.1\r\n{head}\r\n\r\n");
    let many = post.repeat(UPLOADS / CLIENTS);
    let opening = (0..CLIENTS).map(|_| async {
        let mut stream = server.wire().connect().await.unwrap();
        let (mut reading, mut writing) = stream.split();
        let asking = async { writing.write_all(many.as_bytes()).await.unwrap() };
        let line = "HTTP/1.1 202 ";
        futures::join!(asking, answers(&mut reading, UPLOADS / CLIENTS, line));
    });
    futures::future::join_all(opening).await;
    grew("10,000 forgotten uploads", before, &server, 48 << 10);
    let refused = ann.post("/v2/ann/app/blobs/uploads/").send().await;
    refused.refused(429, "TOOMANYREQUESTS");
    let files = walk(&site.data());
    assert!(files < 100, "{files} files");
    // Whoever pushes beside them is not slowed down by their number.
    let digest = Digest::of(Algorithm::Sha256, b"x");
    let get = ann.get(&format!("/v2/ann/app/blobs/{digest}"));
    assert_eq!(get.send().await.expect(200).body, "x");
    server.stop().await;
}

/// How many files there are under a directory.
fn walk(directory: &std::path::Path) -> usize {
    let entries = fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| if path.is_dir() { walk(&path) } else { 1 })
        .sum()
}
