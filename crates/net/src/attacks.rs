//! Clients that mean ill, spoken byte by byte, and a well-behaved one beside each of them.
//!
//! Every story ends the attack by what the server does about it, and every story has a neighbour
//! who is served before, during and after.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::tests::{BIG, WHOLE, ask, closed, read_until, start};
use crate::config::Limits;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const UNKNOWN: u8 = 200;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

const PATIENCE: Duration = Duration::from_secs(10);

/// A well-behaved client of another address.
async fn served(address: SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(Ipv4Addr::new(127, 0, 0, 2).into(), 0))
        .unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    ask(&mut stream, "/").await;
    read_until(&mut stream, "HTTP/1.1 tls=false").await;
}

/// A frame that came.
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// One connection of HTTP/2, by hand.
struct Two(TcpStream);

impl Two {
    /// Connects and says its settings.
    async fn to(address: SocketAddr, settings: &[u8]) -> Self {
        let mut two = Self(TcpStream::connect(address).await.unwrap());
        two.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()).await;
        two.send(frame(SETTINGS, 0, 0, settings)).await;
        two
    }

    /// Sends as long as the server takes it; says whether it does.
    async fn send(&mut self, bytes: Vec<u8>) -> bool {
        let sent = timeout(PATIENCE, self.0.write_all(&bytes)).await;
        sent.is_ok_and(|sent| sent.is_ok())
    }

    /// The next frame; none at the connection's end.
    async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        let reading = timeout(PATIENCE, self.0.read_exact(&mut head)).await;
        reading.expect("no frame and no end").ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// The next frame of this kind.
    async fn next(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.frame().await?;
            if frame.kind == kind {
                return Some(frame);
            }
            // An attacker is careful to look alive.
            if frame.kind == PING && frame.flags & ACK == 0 {
                self.send(self::frame(PING, ACK, 0, &frame.payload)).await;
            }
        }
    }

    /// Asks for what is under a path.
    async fn get(&mut self, stream: u32, path: &str) -> bool {
        self.send(get(stream, path)).await
    }

    /// Whether the server ends the connection, whatever it says before. Pings are answered, but for
    /// the one that comes with an invitation to end.
    async fn ends(&mut self) -> bool {
        while let Some(frame) = self.frame().await {
            let urgent = frame.kind == PING && frame.flags & ACK == 0;
            if urgent && frame.payload == [0; 8] {
                self.send(self::frame(PING, ACK, 0, &frame.payload)).await;
            }
        }
        true
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// GET, http, a path and an authority, as literals without indexing.
fn fields(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.as_bytes());
    block.extend(b"\x01\x01h");
    block
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &fields(path))
}

fn quick() -> Limits {
    Limits {
        http2_control_frames_per_second: 10,
        ..Limits::default()
    }
}

#[tokio::test]
async fn floods_of_empty_frames_end_their_connection() {
    let server = start(&quick(), None, 0);
    served(server.address).await;
    for (kind, stream, payload) in [
        (PING, 0, &[1; 8][..]),
        (SETTINGS, 0, &[]),
        (SETTINGS, 0, &[0, 4, 0, 0, 1, 0]),
        (WINDOW_UPDATE, 0, &[0, 0, 0, 1]),
        (PRIORITY, 9, &[0, 0, 0, 0, 1]),
        (UNKNOWN, 0, &[]),
    ] {
        let mut two = Two::to(server.address, &[]).await;
        two.get(1, "/").await;
        two.next(DATA).await.expect("an answer before the flood");
        // Far more than is let through at once, in pieces, and the neighbour in the midst of it.
        for _ in 0..10 {
            two.send(frame(kind, 0, stream, payload).repeat(100)).await;
            served(server.address).await;
        }
        assert!(two.ends().await, "{kind}");
    }
    served(server.address).await;
}

#[tokio::test]
async fn requests_that_are_reset_at_once_end_their_connection() {
    let server = start(&quick(), None, 0);
    // All in one go: most are reset before they are looked at.
    let mut two = Two::to(server.address, &[]).await;
    let attack = |stream| {
        [
            get(stream, "/slow"),
            frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
        ]
        .concat()
    };
    two.send((0..500).flat_map(|i| attack(2 * i + 1)).collect())
        .await;
    served(server.address).await;
    assert!(two.ends().await);

    // One by one: each has begun when it is reset, and makes room for the next.
    let mut two = Two::to(server.address, &[]).await;
    let mut ended = false;
    for i in 0..500 {
        two.get(2 * i + 1, "/slow").await;
        if two.next(HEADERS).await.is_none() {
            ended = true;
            break;
        }
        two.send(frame(RST_STREAM, 0, 2 * i + 1, &[0, 0, 0, 8]))
            .await;
    }
    assert!(ended, "500 requests were begun and reset");
    served(server.address).await;
}

#[tokio::test]
async fn requests_that_are_reset_unseen_end_their_connection_before_its_frames_do() {
    let server = start(&Limits::default(), None, 0);
    let mut two = Two::to(server.address, &[]).await;
    let attack = |stream| {
        [
            get(stream, "/slow"),
            frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]),
        ]
        .concat()
    };
    // Far fewer frames than one may send at once.
    two.send((0..400).flat_map(|i| attack(2 * i + 1)).collect())
        .await;
    served(server.address).await;
    assert!(two.ends().await);
}

#[tokio::test]
async fn requests_that_are_none_end_their_connection() {
    let server = start(&Limits::default(), None, 0);
    let mut two = Two::to(server.address, &[]).await;
    // Each has a field that HTTP/2 forbids, and is reset by us, which is as much work as if its
    // sender did.
    let block = [fields("/"), b"\x00\x0aconnection\x01x".to_vec()].concat();
    let attack = |stream| frame(HEADERS, END_STREAM | END_HEADERS, stream, &block);
    two.send((0..400).flat_map(|i| attack(2 * i + 1)).collect())
        .await;
    served(server.address).await;
    assert!(two.ends().await);
}

#[tokio::test]
async fn whoever_reads_much_may_update_its_windows_often() {
    let server = start(&quick(), None, 0);
    let mut two = Two::to(server.address, &[]).await;
    for stream in [1, 3] {
        two.get(stream, "/big").await;
        let (mut got, mut told) = (0, 0);
        while got < BIG {
            let data = two.next(DATA).await.expect("the answer goes on");
            got += data.payload.len();
            while told + 4096 <= got {
                let update = 4096_u32.to_be_bytes();
                two.send(frame(WINDOW_UPDATE, 0, 0, &update)).await;
                two.send(frame(WINDOW_UPDATE, 0, stream, &update)).await;
                told += 4096;
            }
        }
    }
}

/// No more waiting than a second for what a client is slow with, and a minute for everything else.
fn slow_bodies() -> Limits {
    Limits {
        body_idle_timeout_seconds: 1,
        ..Limits::default()
    }
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_its_connection() {
    let server = start(&slow_bodies(), None, 0);
    // HTTP/2 with windows that never open, while pings are answered.
    let mut two = Two::to(server.address, &[0, 4, 0, 0, 0, 0]).await;
    two.get(1, "/big").await;
    served(server.address).await;
    assert!(two.next(DATA).await.is_none());

    // HTTP/2 with windows that open by a byte at a time.
    let mut two = Two::to(server.address, &[0, 4, 0, 0, 0, 1]).await;
    two.get(1, "/big").await;
    let mut bytes = 0;
    while let Some(data) = two.next(DATA).await {
        bytes += data.payload.len();
        tokio::time::sleep(Duration::from_millis(50)).await;
        two.send(frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])).await;
    }
    assert!((1..1000).contains(&bytes), "{bytes}");

    // HTTP/1.1, whose client reads nothing.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut one = socket.connect(server.address).await.unwrap();
    one.write_all(&b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n".repeat(20))
        .await
        .unwrap();
    served(server.address).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, one.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.len() < 20 * BIG, "{}", rest.len());
    served(server.address).await;
}

#[tokio::test]
async fn an_answer_in_one_piece_that_is_not_taken_ends_its_connection() {
    let server = start(&slow_bodies(), None, 0);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut one = socket.connect(server.address).await.unwrap();
    // Nothing more is asked of the answering side, so that only the socket shows that it is not
    // taken.
    ask(&mut one, "/whole").await;
    served(server.address).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut taken = Vec::new();
    let _ = timeout(PATIENCE, one.read_to_end(&mut taken))
        .await
        .expect("the connection has ended");
    assert!(taken.len() < WHOLE, "{}", taken.len());
    served(server.address).await;
}

/// A second for requests to begin, and a minute for everything else.
fn slow_heads() -> Limits {
    Limits {
        header_timeout_seconds: 1,
        handshake_timeout_seconds: 1,
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_request_that_never_begins_ends_its_connection() {
    let server = start(&slow_heads(), None, 0);
    let block = fields("/");
    let half = frame(HEADERS, END_STREAM, 3, &block[..2]);
    let half_frame = frame(HEADERS, END_STREAM | END_HEADERS, 3, &block)[..11].to_vec();
    for begun in [half, half_frame, Vec::new()] {
        let mut two = Two::to(server.address, &[]).await;
        two.get(1, "/").await;
        two.next(DATA).await.expect("an answer");
        two.send(begun).await;
        served(server.address).await;
        assert!(two.ends().await);
    }
    for begun in [
        "",
        "PRI * HT",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\nHo",
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        served(server.address).await;
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
            .await
            .unwrap();
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{begun}");
    }
    // A head that comes byte by byte is no quicker than its time.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut ended = false;
    for byte in b"GET / HTTP/1.1\r\nHost: h\r\nX-Long: "
        .iter()
        .chain(&[b'x'; 4000])
    {
        if stream.write_all(&[*byte]).await.is_err() {
            ended = true;
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(ended);
    served(server.address).await;
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused() {
    let limits = Limits {
        http2_streams: 8,
        ..Limits::default()
    };
    let server = start(&limits, None, 0);
    let mut two = Two::to(server.address, &[]).await;
    two.send((0..20).flat_map(|i| get(2 * i + 1, "/slow")).collect())
        .await;
    for i in 8..20 {
        let refused = two.next(RST_STREAM).await.unwrap();
        // REFUSED_STREAM: nothing was done, and it may be sent again.
        assert_eq!(
            (refused.stream, refused.payload),
            (2 * i + 1, vec![0, 0, 0, 7])
        );
    }
    served(server.address).await;
}

#[tokio::test]
async fn heads_of_http2_are_limited() {
    let limits = Limits {
        header_bytes: 8_192,
        headers: 100,
        ..Limits::default()
    };
    let server = start(&limits, None, 0);
    let mut two = Two::to(server.address, &[]).await;
    let with = |name: &str, value: &str, times: usize| {
        let mut field = vec![0, u8::try_from(name.len()).unwrap()];
        field.extend(name.as_bytes());
        field.push(u8::try_from(value.len()).unwrap());
        field.extend(value.as_bytes());
        [fields("/"), field.repeat(times)].concat()
    };
    // The field that HPACK has a number of its own for is ":status: 200".
    let refused = |answer: &Frame| answer.payload.first() != Some(&0x88);
    for (stream, block) in [
        // Each is too much in one way only.
        (1, with("a", "b", 101)),
        (3, with("a", &"b".repeat(100), 90)),
    ] {
        two.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, &block))
            .await;
        let answer = two.next(HEADERS).await.unwrap();
        assert!(refused(&answer), "{:?}", answer.payload);
    }
    two.get(5, "/").await;
    assert!(!refused(&two.next(HEADERS).await.unwrap()));
    served(server.address).await;
}

/// What the server says that one connection may have: streams at once, and bytes under way.
async fn allowed(two: &mut Two) -> (u32, u32) {
    let settings = two.next(SETTINGS).await.unwrap().payload;
    let number = |wanted: u8| {
        let mut all = settings.chunks(6);
        let found = all.find(|setting| setting[..2] == [0, wanted]).unwrap();
        u32::from_be_bytes([found[2], found[3], found[4], found[5]])
    };
    (number(3), number(4))
}

#[tokio::test]
async fn a_crowd_of_connections_gets_narrow_ones() {
    let limits = Limits {
        http2_memory_mebibytes: 256,
        ..Limits::default()
    };
    let server = start(&limits, None, 0);
    let mut first = Two::to(server.address, &[]).await;
    let (streams, window) = allowed(&mut first).await;
    assert_eq!((streams, window), (8, 256 << 10));
    let mut crowd = Vec::new();
    for _ in 0..300 {
        let mut one = Two::to(server.address, &[]).await;
        crowd.push((allowed(&mut one).await, one));
    }
    assert_eq!(crowd.last().unwrap().0, (4, 64 << 10));
    served(server.address).await;
    drop(crowd);
    drop(first);
    // Connections end a moment after their clients; HTTP/1 takes no share.
    let wide = timeout(PATIENCE, async {
        loop {
            served(server.address).await;
            let mut one = Two::to(server.address, &[]).await;
            if allowed(&mut one).await == (streams, window) {
                break;
            }
        }
    });
    wide.await.unwrap();
}

#[tokio::test]
async fn what_a_connection_may_send_in_all_is_its_share() {
    let limits = Limits {
        http2_memory_mebibytes: 256,
        ..Limits::default()
    };
    let server = start(&limits, None, 0);
    let mut two = Two::to(server.address, &[]).await;
    let opened = two.next(WINDOW_UPDATE).await.unwrap();
    let more = u32::from_be_bytes(opened.payload.try_into().unwrap());
    // Every client may send 64 KiB before it is told anything.
    assert_eq!((opened.stream, 65_535 + more), (0, 1 << 20));
}

#[tokio::test]
async fn who_speaks_http1_takes_no_share_of_http2s_memory() {
    let limits = Limits {
        http2_memory_mebibytes: 256,
        ..Limits::default()
    };
    let server = start(&limits, None, 0);
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut one = TcpStream::connect(server.address).await.unwrap();
        ask(&mut one, "/").await;
        read_until(&mut one, "tls=false").await;
        held.push(one);
    }
    let mut two = Two::to(server.address, &[]).await;
    assert_eq!(allowed(&mut two).await, (8, 256 << 10));
    drop(held);
}

#[tokio::test]
async fn what_nobody_takes_is_not_made_in_advance() {
    let server = start(&Limits::default(), None, 0);
    // All windows are as wide as can be, and nothing is read.
    let widest = (u32::MAX >> 1).to_be_bytes();
    let settings = [&[0, 4][..], &widest].concat();
    let mut two = Two::to(server.address, &settings).await;
    let more = ((u32::MAX >> 1) - 65_535).to_be_bytes();
    two.send(frame(WINDOW_UPDATE, 0, 0, &more)).await;
    two.send((0..16).flat_map(|i| get(2 * i + 1, "/big")).collect())
        .await;
    let (mut made, mut before) = (0, usize::MAX);
    while made != before {
        tokio::time::sleep(Duration::from_millis(300)).await;
        before = made;
        made = server.made.load(Ordering::Relaxed);
    }
    // The sockets hold some, and each stream two pieces.
    assert!((1..16 * 64 / 2).contains(&made), "{made}");
    served(server.address).await;
}

#[tokio::test]
async fn one_address_does_not_take_the_seats_of_others() {
    let limits = Limits {
        connections_per_address: 10,
        ..Limits::default()
    };
    let server = start(&limits, None, 0);
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(TcpStream::connect(server.address).await.unwrap());
    }
    served(server.address).await;
    for stream in &mut held[10..] {
        assert!(closed(stream).await);
    }
    for stream in &mut held[..10] {
        ask(stream, "/").await;
        read_until(stream, "tls=false").await;
    }
}

#[tokio::test]
async fn a_connection_that_was_flooded_says_so() {
    let server = start(&quick(), None, 0);
    let mut two = Two::to(server.address, &[]).await;
    // What one client may do in a second it may do: ten seconds' worth at once, and no less.
    two.send(frame(PING, 0, 0, &[1; 8]).repeat(90)).await;
    for _ in 0..90 {
        let pong = two.next(PING).await.unwrap();
        assert_eq!(pong.flags & ACK, ACK);
    }
    two.get(1, "/").await;
    assert!(two.next(DATA).await.is_some());
    two.send(frame(PING, 0, 0, &[1; 8]).repeat(1000)).await;
    assert!(two.next(GOAWAY).await.is_none_or(|frame| frame.stream == 0));
    assert!(two.ends().await);
}
