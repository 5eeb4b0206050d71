//! Clients that break off, over real sockets.

use seawall_testkit::{Client, ServerProcess, TestImage, Wire, blob_of};
use seawall_types::digest::Digest;
use tokio::time::{Duration, sleep};

use crate::memory::{grew, resident};
use crate::raw::Raw;
use crate::{PASSWORD, add_user, site};

/// How many clients hang up.
const CLIENTS: usize = 200;

/// Begins a request and goes away in the middle of it, at a point that the number chooses.
async fn hang_up(i: usize, ann: &Client, digest: &Digest, wire: Wire) {
    let who = ("ann", PASSWORD);
    let mut raw = Raw::connect(wire).await;
    let (line, more, body): (_, _, Vec<u8>) = match i % 6 {
        0 => return raw.send(b"GET /v2/ann/app/mani").await,
        1 => {
            let open = "POST /v2/ann/app/blobs/uploads/".to_owned();
            (open, "Content-Length: 0\r\n", Vec::new())
        }
        2 => {
            let get = format!("GET /v2/ann/app/blobs/{digest}");
            raw.head(&get, who, "").await;
            drop(raw.some().await);
            return;
        }
        3 => {
            let patch = format!("PATCH {}", ann.open_upload("ann/app").await);
            (
                patch,
                "Content-Length: 2097152\r\n",
                blob_of(3, 100_000 + i),
            )
        }
        4 => {
            let put = format!("PUT /v2/ann/app/manifests/v{i}");
            let more = "Content-Length: 5000\r\nContent-Type: application/json\r\n";
            (put, more, b"{".to_vec())
        }
        _ => {
            let patch = format!("PATCH {}", ann.open_upload("ann/app").await);
            let body = b"5\r\nhello\r\nffff".to_vec();
            (patch, "Transfer-Encoding: chunked\r\n", body)
        }
    };
    raw.head(&line, who, more).await;
    raw.send(&body).await;
}

/// How many connections the server counts.
async fn open_connections(server: &ServerProcess) -> f64 {
    let metrics = server.anonymous().get("/metrics").send().await.expect(200);
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    let count = "seawall_connections{listener=\"registry\"} ";
    let line = text.lines().find_map(|line| line.strip_prefix(count));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_hang_up_leave_the_server_healthy() {
    let site = site().await;
    let server = site.serve().await;
    add_user(&site, "ann").await;
    let ann = server.anonymous().with_password("ann", PASSWORD);
    let layer = blob_of(1, 2 << 20);
    let digest = ann.push_blob("ann/app", &layer).await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let before = resident(&server);
    let hang_ups = (0..CLIENTS).map(|i| hang_up(i, &ann, &digest, server.wire()));
    futures::future::join_all(hang_ups).await;

    server
        .anonymous()
        .get("/health/ready")
        .send()
        .await
        .expect(200);
    ann.pull("ann/app", "v1", &image).await;
    ann.push("ann/after", "v1", &TestImage::new(2, 2)).await;
    grew("200 clients that hung up", before, &server, 64 << 10);
    // The one that asks is the only one left.
    let mut left = open_connections(&server).await;
    for _ in 0..200 {
        if left <= 1.0 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
        left = open_connections(&server).await;
    }
    assert!(left <= 1.0, "{left} connections are left");
    assert!(!server.log().contains("panicked"), "{}", server.log());
    let log = server.log();
    let errors: Vec<_> = log
        .lines()
        .filter(|line| line.contains("\"level\":\"ERROR\""))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    site.run(&["verify"]).await.expect(0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_and_forgotten() {
    let site = site().await;
    let server = site.serve().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"PUT /v2/a/b/manifests/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
    ] {
        let mut raw = Raw::connect(server.wire()).await;
        raw.send(bytes).await;
        raw.close_writing().await;
        let (answer, _) = raw.rest().await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{bytes:?}: {answer}");
    }
    let long = format!(
        "GET /v2/ HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n",
        "x".repeat(200_000)
    );
    let mut raw = Raw::connect(server.wire()).await;
    raw.try_send(long.as_bytes()).await;
    let (answer, _) = raw.rest().await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
    server
        .anonymous()
        .get("/health/ready")
        .send()
        .await
        .expect(200);
    server.stop().await;
}
