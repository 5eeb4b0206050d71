//! The protocol over a real connection, byte by byte: what only the wire shows (protocol §6.9,
//! §6.10, §12.4).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use seawall::config::{Limits, Listener, Shutdown};
use seawall::frontend::Frontend;
use seawall::proxy::TrustedProxies;
use seawall_kernel::clock::{SystemClock, SystemRandom};
use seawall_net::lifecycle::Lifecycle;
use seawall_net::{RequestService, Server};
use seawall_testkit::{TestApp, TestImage, blob_of};
use seawall_types::digest::{Algorithm, Digest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Runs a story against a listener of `app`.
async fn listening<F, R>(app: &TestApp, story: F)
where
    F: FnOnce(SocketAddr) -> R,
    R: Future<Output = ()>,
{
    let front = Frontend::new(
        Arc::clone(app.dispatcher()),
        TrustedProxies::new([]),
        &SystemRandom,
    );
    let service: Arc<dyn RequestService> = Arc::new(front);
    let lifecycle = Lifecycle::new();
    let mut server = Server::new(&Limits::default(), &[], &lifecycle, Arc::new(SystemClock));
    let address = "127.0.0.1:0".parse().unwrap();
    let listener = Listener { address, tls: None };
    server.listen(&[listener], &service).unwrap();
    let address = server.addresses()[0];
    let shutdown = Shutdown {
        delay_seconds: 0,
        grace_seconds: 0,
    };
    tokio::select! {
        _ = server.run(&shutdown) => panic!("the server ended"),
        () = story(address) => lifecycle.stop(),
    }
}

/// One connection, spoken by hand.
struct RawConnection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
struct Told {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Told {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }
}

impl RawConnection {
    async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let read = Vec::new();
        Self { stream, read }
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// A request's head; `more` are whole lines.
    async fn ask(&mut self, line: &str, user: Option<&str>, more: &str) {
        let authorization = user.map_or_else(String::new, |user| {
            let pair = format!("{user}:correct horse battery staple");
            let pair = base64::engine::general_purpose::STANDARD.encode(pair);
            format!("Authorization: Basic {pair}\r\n")
        });
        let host = "Host: registry.test";
        let head = format!("{line} HTTP/1.1\r\n{host}\r\n{more}{authorization}\r\n");
        self.send(head).await;
    }

    /// Reads more, within a time; says whether there was any.
    async fn more(&mut self) -> bool {
        let mut piece = vec![0; 65_536];
        let reading = self.stream.read(&mut piece);
        let count = tokio::time::timeout(Duration::from_secs(10), reading).await;
        let count = count.unwrap().unwrap_or_default();
        self.read.extend_from_slice(&piece[..count]);
        count > 0
    }

    /// The next answer, whose body is as long as its head says.
    async fn told(&mut self, bodiless: bool) -> Told {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.more().await, "no answer: {:?}", self.read);
        };
        let head: Vec<u8> = self.read.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut told = Told {
            status,
            head,
            body: Vec::new(),
        };
        if bodiless || matches!(status, 100..=199 | 204 | 304) {
            return told;
        }
        let length: usize = told.header("content-length").unwrap().parse().unwrap();
        while self.read.len() < length {
            assert!(self.more().await, "the body broke: {told:?}");
        }
        told.body = self.read.drain(..length).collect();
        told
    }

    async fn is_closed(&mut self) -> bool {
        !self.more().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_header_names_begin_with_capitals() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let digest = ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    listening(&app, |address| async move {
        let mut line = RawConnection::to(address).await;
        line.ask("GET /v2/", None, "").await;
        let bare = line.told(false).await;
        line.ask("HEAD /v2/ann/app/manifests/v1", Some("ann"), "")
            .await;
        let known = line.told(true).await;
        line.ask(
            "POST /v2/ann/app/blobs/uploads/",
            Some("ann"),
            "Content-Length: 0\r\n",
        )
        .await;
        let opened = line.told(false).await;
        for (told, expected) in [
            (&bare, "Docker-Distribution-Api-Version: registry/2.0\r\n"),
            (&bare, "Www-Authenticate: Bearer realm="),
            (&bare, "Content-Type: application/json\r\n"),
            (&known, &format!("Docker-Content-Digest: {digest}\r\n")),
            (&known, "Etag: \""),
            (&opened, "Location: /v2/ann/app/blobs/uploads/"),
        ] {
            assert!(told.head.contains(expected), "{expected} in {told:?}");
        }
    })
    .await;
    app.finish().await;
}

fn put(digest: &Digest, location: &str) -> String {
    format!("PUT {location}?digest={digest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_first_is_answered_first() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(1, 50_000);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let location = ann.open_upload("ann/app").await;
    let big = "Content-Length: 50000\r\nExpect: 100-continue\r\n";
    listening(&app, async |address| {
        // No word of going on comes before a refusal, and no byte of the body is waited for.
        for (line, more, status) in [
            (put(&digest, &location), big, 401),
            ("PUT /v2/ann/app/manifests/v1".to_owned(), big, 401),
            ("POST /v2/ann/app/blobs/uploads/".to_owned(), big, 401),
            ("PUT /v2/ann/app/tags/list".to_owned(), big, 405),
        ] {
            let mut stranger = RawConnection::to(address).await;
            stranger.ask(&line, None, more).await;
            assert_eq!(stranger.told(false).await.status, status, "{line}");
        }
        let too_large = "Content-Length: 4194305\r\nExpect: 100-continue\r\n";
        let mut line = RawConnection::to(address).await;
        line.ask("PUT /v2/ann/app/manifests/v1", Some("ann"), too_large)
            .await;
        assert_eq!(line.told(false).await.status, 413);
        let skewed = "Content-Range: 5-50004\r\nContent-Length: 50000\r\nExpect: 100-continue\r\n";
        let mut line = RawConnection::to(address).await;
        line.ask(&format!("PATCH {location}"), Some("ann"), skewed)
            .await;
        let told = line.told(false).await;
        assert_eq!((told.status, told.header("range")), (416, Some("0-0")));
        // Whoever may push is told to go on, and then sends.
        let mut line = RawConnection::to(address).await;
        line.ask(&put(&digest, &location), Some("ann"), big).await;
        assert_eq!(line.told(false).await.status, 100);
        line.send(&bytes).await;
        let told = line.told(false).await;
        assert_eq!((told.status, told.body.len()), (201, 0));
    })
    .await;
    let got = ann.get(&format!("/v2/ann/app/blobs/{digest}")).send().await;
    assert_eq!(got.expect(200).body, bytes);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_what_is_refused_on_it() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    listening(&app, async |address| {
        let mut line = RawConnection::to(address).await;
        for _ in 0..3 {
            // All of the body is written before the answer is read, as many clients do.
            line.ask(
                "PUT /v2/ann/app/manifests/v2",
                None,
                "Content-Length: 30000\r\n",
            )
            .await;
            line.send(vec![b'x'; 30_000]).await;
            assert_eq!(line.told(false).await.status, 401);
            line.ask("HEAD /v2/ann/none/manifests/v1", Some("ann"), "")
                .await;
            let head = line.told(true).await;
            assert_eq!(head.status, 404);
            line.ask("GET /v2/ann/none/manifests/v1", Some("ann"), "")
                .await;
            let got = line.told(false).await;
            assert_eq!(got.header("content-length"), head.header("content-length"));
            line.ask("HEAD /v2/ann/app/manifests/v1", Some("ann"), "")
                .await;
            let head = line.told(true).await;
            line.ask("GET /v2/ann/app/manifests/v1", Some("ann"), "")
                .await;
            let got = line.told(false).await;
            let date = |told: &Told| {
                let lines = told.head.lines().filter(|line| !line.starts_with("Date:"));
                let lines = lines.filter(|line| !line.starts_with("X-Request-Id:"));
                lines.map(str::to_owned).collect::<Vec<_>>()
            };
            assert_eq!(date(&head), date(&got));
        }
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_are_what_the_wire_says() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let digest = Digest::of(Algorithm::Sha256, b"hello");
    let location = ann.open_upload("ann/app").await;
    listening(&app, async |address| {
        for length in [
            "-1",
            "x",
            "5, 6",
            "99999999999999999999999999",
            "+5",
            "0x5",
            "",
        ] {
            let mut line = RawConnection::to(address).await;
            let length = format!("Content-Length: {length}\r\n");
            line.ask(&put(&digest, &location), Some("ann"), &length)
                .await;
            // HTTP itself refuses it, before there is a request: no body, and the end.
            while line.more().await {}
            assert!(line.read.starts_with(b"HTTP/1.1 400 "), "{length}");
        }
        let mut line = RawConnection::to(address).await;
        let huge = "Content-Length: 9000000000000000000\r\n";
        line.ask(&format!("PATCH {location}"), Some("ann"), huge)
            .await;
        assert_eq!(line.told(false).await.status, 413);
        // A body that is cut off commits nothing, and its session takes the next.
        let cut = ann.open_upload("ann/app").await;
        let mut line = RawConnection::to(address).await;
        let five = "Content-Length: 5\r\n";
        line.ask(&put(&digest, &cut), Some("ann"), five).await;
        line.send("hel").await;
        drop(line);
        let again = ann.put(&format!("{cut}?digest={digest}")).body("hello");
        again.send().await.expect(201);
        let mut line = RawConnection::to(address).await;
        let chunked = "Transfer-Encoding: chunked\r\n";
        line.ask(&format!("PATCH {location}"), Some("ann"), chunked)
            .await;
        line.send("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n").await;
        let told = line.told(false).await;
        assert_eq!((told.status, told.header("range")), (202, Some("0-4")));
        line.ask(&put(&digest, &location), Some("ann"), chunked)
            .await;
        line.send("0\r\n\r\n").await;
        assert_eq!(line.told(false).await.status, 201);
        // Without any length there is no body.
        line.ask("POST /v2/ann/app/blobs/uploads/", Some("ann"), "")
            .await;
        let told = line.told(false).await;
        let location = told.header("location").unwrap().to_owned();
        let empty = Digest::of(Algorithm::Sha256, b"");
        line.ask(&put(&empty, &location), Some("ann"), "").await;
        assert_eq!(line.told(false).await.status, 201);
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_for_http_is_refused_by_it() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    listening(&app, async |address| {
        for (line, more, status) in [
            (
                format!("GET /v2/?{}", "x".repeat(65_536)),
                String::new(),
                "431 ",
            ),
            (
                "GET /v2/".to_owned(),
                format!("X: {}\r\n", "x".repeat(65_536)),
                "431 ",
            ),
            ("GET /v2/".to_owned(), "X: y\r\n".repeat(200), "431 "),
        ] {
            let mut refused = RawConnection::to(address).await;
            refused.ask(&line, None, &more).await;
            while refused.more().await {}
            let told = String::from_utf8_lossy(&refused.read).into_owned();
            assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{told}");
            assert!(refused.is_closed().await);
        }
        // As long as the longest honest one is fine.
        let tags: Vec<_> = (0..46)
            .map(|i| format!("tag={}{i}", "t".repeat(120)))
            .collect();
        let image = TestImage::new(1, 1);
        let line = format!(
            "PUT /v2/ann/app/manifests/{}?{}",
            image.digest(),
            tags.join("&")
        );
        let body = image.manifest();
        let more = format!(
            "Content-Length: {}\r\nContent-Type: {}\r\n",
            body.len(),
            image.media_type()
        );
        let mut pushed = RawConnection::to(address).await;
        pushed.ask(&line, Some("ann"), &more).await;
        pushed.send(body).await;
        assert_eq!(pushed.told(false).await.status, 201);
    })
    .await;
    app.finish().await;
}
