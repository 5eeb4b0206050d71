//! A real file system that fills up or turns read-only under a running server: pushes are put off
//! clearly, pulls go on, and it works again by itself.

use std::time::Duration;

use seawall_testkit::{Client, ServerProcess, TestImage, TestResponse, blob_of};
use seawall_types::digest::{Algorithm, Digest};
use tokio::time::{sleep, timeout};

use crate::site;

const NAME: &str = "ann/app";

fn digest(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

async fn single(ann: &Client, bytes: &[u8]) -> TestResponse {
    let path = format!("/v2/{NAME}/blobs/uploads/?digest={}", digest(bytes));
    ann.post(&path).body(bytes.to_vec()).send().await
}

async fn shows(ann: &Client, bytes: &[u8]) -> bool {
    let path = format!("/v2/{NAME}/blobs/{}", digest(bytes));
    let answer = ann.get(&path).send().await;
    let status = answer.status.as_u16();
    assert!(status == 404 || status == 200 && answer.body == bytes);
    status == 200
}

/// Fails the test unless this says clearly that it is the server's trouble, and when to come back.
#[track_caller]
fn put_off(answer: TestResponse, status: u16) {
    let answer = answer.refused(status, "UNAVAILABLE");
    let seconds: u32 = answer.header("retry-after").parse().unwrap();
    assert!(seconds > 0);
}

/// Waits until the server says this of its storage; it stays ready all the time.
async fn says(server: &ServerProcess, word: &str) {
    let ann = server.anonymous();
    let waiting = async {
        loop {
            let answer = ann.get("/health/ready").send().await.expect(200);
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            if body["checks"]["storage"]["status"] == word {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = timeout(Duration::from_mins(1), waiting).await;
    assert!(waited.is_ok(), "it never says {word}: {}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_that_is_full_puts_pushes_off_and_serves_pulls() {
    let mut site = site().await;
    let data = site.data();
    // The embedded database is on it as well.
    if !site.mount(&data, 12).await {
        return;
    }
    let server = site.serve().await;
    let ann = server.admin();
    let (image, other) = (TestImage::new(1, 2), TestImage::new(2, 2));
    ann.push(NAME, "v1", &image).await;
    let (small, large) = (blob_of(1, 900), blob_of(2, 3_000_000));
    let upload = ann.open_upload(NAME).await;
    let append = |bytes: &[u8]| ann.patch(&upload).body(bytes.to_vec());
    append(&large[..1000]).send().await.expect(202);
    says(&server, "ok").await;

    site.disk().fill(&server);
    for _ in 0..3 {
        put_off(single(&ann, &small).await, 507);
        put_off(single(&ann, &large).await, 507);
        put_off(append(&large[1000..]).send().await, 507);
    }
    assert!(!shows(&ann, &small).await && !shows(&ann, &large).await);
    let path = format!("/v2/{NAME}/manifests/v2");
    if site.is_embedded() {
        // A manifest is rows only, in a database that has no room either.
        let put = ann.put(&path).header("content-type", image.media_type());
        put_off(put.body(image.manifest()).send().await, 507);
    }
    ann.pull(NAME, "v1", &image).await;
    says(&server, "degraded").await;
    ann.pull(NAME, "v1", &image).await;

    site.disk().free(&server);
    single(&ann, &small).await.expect(201);
    let path = format!("{upload}?digest={}", digest(&large));
    let finish = ann.put(&path).body(large[1000..].to_vec());
    finish.send().await.expect(201);
    assert!(shows(&ann, &small).await && shows(&ann, &large).await);
    ann.push(NAME, "v2", &other).await;
    says(&server, "ok").await;
    ann.pull(NAME, "v1", &image).await;
    ann.pull(NAME, "v2", &other).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_that_turns_read_only_puts_pushes_off_and_serves_pulls() {
    let mut site = site().await;
    let blobs = site.data().join("blobs");
    if !site.mount(&blobs, 12).await {
        return;
    }
    let server = site.serve().await;
    let ann = server.admin();
    let image = TestImage::new(1, 2);
    ann.push(NAME, "v1", &image).await;
    let (small, large) = (blob_of(1, 900), blob_of(2, 3_000_000));
    let upload = ann.open_upload(NAME).await;
    let append = |bytes: &[u8]| ann.patch(&upload).body(bytes.to_vec());
    append(&large[..1000]).send().await.expect(202);

    site.disk().set_read_only(&server, true).await;
    put_off(single(&ann, &small).await, 503);
    put_off(append(&large[1000..]).send().await, 503);
    assert!(!shows(&ann, &small).await);
    ann.pull(NAME, "v1", &image).await;
    says(&server, "degraded").await;
    ann.pull(NAME, "v1", &image).await;

    site.disk().set_read_only(&server, false).await;
    single(&ann, &small).await.expect(201);
    let path = format!("{upload}?digest={}", digest(&large));
    let finish = ann.put(&path).body(large[1000..].to_vec());
    finish.send().await.expect(201);
    assert!(shows(&ann, &small).await && shows(&ann, &large).await);
    says(&server, "ok").await;
    server.stop().await;
}
