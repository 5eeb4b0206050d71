//! How a server ends: gently when it is told to, at once when it is told twice, and without loss
//! when nobody asks it.

use std::time::Duration;

use rustix::process::Signal;
use seawall_testkit::{ServerProcess, Site, TestImage, blob_of};
use seawall_types::digest::{Algorithm, Digest};
use tokio::time::{Instant, sleep};

use crate::raw::{Raw, body};
use crate::{PASSWORD, add_user, site};

/// More than the buffers between two sockets hold.
const BIG: usize = 24 << 20;

async fn ready(grace: u32) -> (Site, ServerProcess) {
    let mut site = site().await;
    site.configure(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\nmanagement: {{address: \"127.0.0.1:0\"}}\nshutdown: {{grace_seconds: {grace}}}\n"
    ));
    let server = site.serve_with(&[]).await;
    add_user(&site, "ann").await;
    (site, server)
}

/// Begins to pull a big blob and takes only the beginning.
async fn slow_download(server: &ServerProcess) -> (Raw, Vec<u8>, Vec<u8>) {
    let ann = server.anonymous().with_password("ann", PASSWORD);
    let bytes = blob_of(7, BIG);
    let digest = ann.push_blob("ann/app", &bytes).await;
    let mut raw = Raw::connect(server.wire()).await;
    let line = format!("GET /v2/ann/app/blobs/{digest}");
    raw.head(&line, ("ann", PASSWORD), "").await;
    let begun = raw.some().await;
    (raw, begun, bytes)
}

/// Waits until no new connection is taken.
async fn closed(server: &ServerProcess) {
    while server.wire().connect().await.is_ok() {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_run_may_end_and_no_new_ones_begin() {
    let (site, mut server) = ready(30).await;
    let management = server.at(server.management());
    let ann = server.anonymous().with_password("ann", PASSWORD);
    let (mut download, mut got, bytes) = slow_download(&server).await;
    let layer = blob_of(8, 3 << 20);
    let location = ann.open_upload("ann/app").await;
    let mut upload = Raw::connect(server.wire()).await;
    let length = format!("Content-Length: {}\r\n", layer.len());
    upload
        .head(&format!("PATCH {location}"), ("ann", PASSWORD), &length)
        .await;
    upload.send(&layer[..1 << 20]).await;
    management.get("/health/ready").send().await.expect(200);

    server.signal(Signal::TERM);
    server.logged("SIGTERM").await;
    let told = management.get("/health/ready").send().await.expect(503);
    assert_eq!(told.json()["status"], "stopping");
    closed(&server).await;
    management.get("/health/live").send().await.expect(200);

    upload.send(&layer[1 << 20..]).await;
    let (answer, whole) = upload.rest().await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(
        answer.contains(&format!("Range: 0-{}\r\n", layer.len() - 1)) && whole,
        "{answer}"
    );
    let (rest, whole) = download.rest().await;
    got.extend(rest);
    assert!(whole && body(&got) == bytes, "the download broke");
    assert_eq!(server.ended().await, Some(0), "{}", server.log());
    assert!(server.log().contains("\"cut_off\":0"), "{}", server.log());

    let server = site.serve_with(&[]).await;
    let ann = server.anonymous().with_password("ann", PASSWORD);
    let digest = Digest::of(Algorithm::Sha256, &layer);
    let put = ann.put(&format!("{location}?digest={digest}"));
    put.send().await.expect(201);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the bound is one of real time")]
async fn a_client_that_is_too_slow_is_cut_off() {
    let (_site, mut server) = ready(1).await;
    let (mut download, got, bytes) = slow_download(&server).await;
    let begun = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await, Some(0), "{}", server.log());
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "the second was not given"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert!(server.log().contains("\"cut_off\":1"), "{}", server.log());
    let (rest, _) = download.rest().await;
    assert!(got.len() + rest.len() < bytes.len(), "nothing was cut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let (_site, mut server) = ready(600).await;
    let (_download, _, _) = slow_download(&server).await;
    server.signal(Signal::INT);
    server.logged("SIGINT: stopping").await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await, Some(0), "{}", server.log());
    assert!(server.log().contains("SIGTERM again"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_has_lost_nothing_that_it_confirmed() {
    let site = site().await;
    let server = site.serve().await;
    add_user(&site, "ann").await;
    let ann = server.anonymous().with_password("ann", PASSWORD);
    let images = [TestImage::new(1, 3), TestImage::new(2, 2)];
    ann.push("ann/app", "v1", &images[0]).await;
    ann.push("ann/other", "v1", &images[1]).await;
    let layer = blob_of(9, 4 << 20);
    let confirmed = 1 << 20;
    let location = ann.open_upload("ann/app").await;
    ann.patch(&location)
        .body(layer[..confirmed].to_vec())
        .send()
        .await
        .expect(202);
    let mut upload = Raw::connect(server.wire()).await;
    let more = format!("Content-Length: {}\r\n", layer.len() - confirmed);
    upload
        .head(&format!("PATCH {location}"), ("ann", PASSWORD), &more)
        .await;
    upload.send(&layer[confirmed..3 << 20]).await;
    server.kill().await;

    let server = site.serve().await;
    let ann = server.anonymous().with_password("ann", PASSWORD);
    ann.pull("ann/app", "v1", &images[0]).await;
    ann.pull("ann/other", "v1", &images[1]).await;
    let answer = ann.get(&location).send().await.expect(204);
    let last: usize = answer
        .header("range")
        .strip_prefix("0-")
        .unwrap()
        .parse()
        .unwrap();
    assert!(last + 1 >= confirmed, "{last}");
    let range = format!("{}-{}", last + 1, layer.len() - 1);
    let patch = ann.patch(&location).header("content-range", &range);
    patch
        .body(layer[last + 1..].to_vec())
        .send()
        .await
        .expect(202);
    let digest = Digest::of(Algorithm::Sha256, &layer);
    ann.put(&format!("{location}?digest={digest}"))
        .send()
        .await
        .expect(201);
    let got = ann
        .get(&format!("/v2/ann/app/blobs/{digest}"))
        .send()
        .await
        .expect(200);
    assert_eq!(got.body, layer);
    site.run(&["verify"]).await.expect(0);
    server.stop().await;
}
