//! What the process holds for clients that are many and slow, or many and gone: bounded, in
//! figures.
//!
//! The figures are those of an unoptimised build, on whatever machine runs the test; the bounds
//! leave room.

use std::fs;
use std::path::Path;

use seawall_net::raise_open_files;
use seawall_testkit::{Client, ServerProcess, TestImage, blob_of};
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
#[expect(clippy::print_stdout, reason = "the figure is half of the test")]
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

/// What a slow client is in the middle of.
#[derive(Debug, Clone, Copy)]
enum Middle {
    Head,
    Body,
    Frame,
}

/// A client that sends something at once, and has more in mind.
async fn slow(middle: Middle, ann: &Client, server: &ServerProcess) -> Slow {
    let authorization = ann.authorization.clone().unwrap();
    let (at_once, bytes) = match middle {
        Middle::Head => {
            let head = "GET /v2/ HTTP/1.1\r\nHost: a\r\nX: ".to_owned();
            (head, vec![b'x'; 1000])
        }
        Middle::Body => {
            let location = ann.open_upload("ann/app").await;
            let head = format!("Authorization: {authorization}\r\nContent-Length: 1000000");
            let head = format!("PATCH {location} HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n");
            (head, blob_of(1, 1000))
        }
        Middle::Frame => {
            // One of a kind that nobody knows, after the settings.
            let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
            let frame = [0, 0x3f, 0xff, 200, 0, 0, 0, 0, 0];
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
    let image = TestImage::new(1, 2);
    ann.push("ann/app", "v1", &image).await;
    ann.pull("ann/app", "v1", &image).await;
    let start = resident(&server);
    let mut crowd = Vec::new();
    for (middle, count) in [
        (Middle::Head, 500),
        (Middle::Frame, 300),
        (Middle::Body, 200),
    ] {
        let before = resident(&server);
        for _ in 0..count {
            crowd.push(slow(middle, &ann, &server).await);
        }
        for _ in 0..5 {
            for one in &mut crowd {
                one.trickle().await;
            }
            ann.pull("ann/app", "v1", &image).await;
        }
        let what = format!("{count} slow clients in the middle of a {middle:?}");
        grew(&what, before, &server, 192 << 10);
    }
    grew("1,000 slow clients", start, &server, 192 << 10);
    ann.push("ann/app", "v2", &TestImage::new(2, 2)).await;
    drop(crowd);
    server.stop().await;
}

/// How much `nice` a thread of the server's has that is called `name`, if there is one.
fn niceness(server: &ServerProcess, name: &str) -> Option<i32> {
    let threads = fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
    threads.flatten().find_map(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
        let (before, after) = stat.rsplit_once(") ")?;
        let called = before.rsplit_once('(')?.1 == name;
        let nice = after.split(' ').nth(16)?.parse().ok()?;
        called.then_some(nice)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_came_to_rest_holds_little() {
    let site = site().await;
    let server = site.serve().await;
    add_user(&site, "ann").await;
    for _ in 0..20 {
        let anonymous = server.anonymous();
        anonymous.get("/v2/").send().await.expect(401);
    }
    // Huge pages would round every piece of memory up to 2 MiB.
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    assert!(status.contains("THP_enabled:\t0"), "{status}");
    let before = resident(&server);
    let mut hashing = None;
    for number in 0..200 {
        let wrong = server
            .anonymous()
            .with_password("ann", &format!("wrong {number}"));
        let (_, nice) = futures::join!(wrong.get("/v2/").send(), async {
            for _ in 0..50 {
                if let Some(nice) = niceness(&server, "hashing") {
                    return Some(nice);
                }
                tokio::task::yield_now().await;
            }
            None
        });
        hashing = hashing.or(nice);
        if number > 4 && hashing.is_some_and(|nice| nice > 0) {
            break;
        }
        hashing = hashing.filter(|nice| *nice > 0);
    }
    assert!(hashing.is_some(), "no thread that hashes steps back");
    // Each login has taken 19 MiB.
    for _ in 0..300 {
        if resident(&server) < before + (12 << 10) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    grew("logins that are over", before, &server, 12 << 10);
    server.stop().await;
}

/// Reads answers until there are `count` of them with this status line.
async fn answers(stream: &mut ReadHalf<'_>, count: usize, line: &str) {
    let mut seen = Vec::new();
    let mut found = 0;
    while found < count {
        let mut piece = vec![0; 65_536];
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
    const USERS: usize = 10;
    const UPLOADS: usize = 1000;
    let site = site().await;
    // Nothing here is about durability, and so many commits would be.
    let memory = Path::new("/dev/shm");
    let place = memory
        .is_dir()
        .then(|| tempfile::tempdir_in(memory).unwrap());
    if let Some(place) = &place {
        std::os::unix::fs::symlink(place.path(), site.data()).unwrap();
    }
    let server = site.serve().await;
    let names: Vec<_> = (0..USERS).map(|i| format!("user{i}")).collect();
    futures::future::join_all(names.iter().map(|name| add_user(&site, name))).await;
    let users = names
        .iter()
        .map(|name| server.anonymous().with_password(name, PASSWORD));
    let users: Vec<_> = users.collect();
    let blob = |user: usize| format!("{}/app", names[user]);
    let digest = users[0].push_blob(&blob(0), b"x").await;
    // One after the other, since it is not about logins: those that wait too long are put off.
    for user in &users {
        user.get("/v2/").send().await.expect(200);
    }
    let before = resident(&server);
    let opening = (0..USERS).map(|user| {
        let authorization = users[user].authorization.as_ref().unwrap();
        let head = format!("Host: a\r\nContent-Length: 0\r\nAuthorization: {authorization}");
        let path = format!("/v2/{}/blobs/uploads/", blob(user));
        let many = format!("POST {path} HTTP/1.1\r\n{head}\r\n\r\n").repeat(UPLOADS);
        let wire = server.wire();
        async move {
            let mut stream = wire.connect().await.unwrap();
            let (mut reading, mut writing) = stream.split();
            let asking = async { writing.write_all(many.as_bytes()).await.unwrap() };
            futures::join!(asking, answers(&mut reading, UPLOADS, "HTTP/1.1 202 "));
        }
    });
    futures::future::join_all(opening).await;
    grew("10,000 forgotten uploads", before, &server, 48 << 10);
    let files = walk(&site.data());
    assert!(files < 100, "{files} files");
    let get = users[0].get(&format!("/v2/{}/blobs/{digest}", blob(0)));
    assert_eq!(get.send().await.expect(200).body, "x");
    server.stop().await;
}

/// How many files there are under a directory.
fn walk(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| if path.is_dir() { walk(&path) } else { 1 })
        .sum()
}
