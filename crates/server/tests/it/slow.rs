//! A body that always brings a little is ended all the same, and nothing that came is lost
//! (protocol §7.13, §14.17).

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use seawall_testkit::{TestApp, TestImage, blob_of};
use seawall_types::digest::{Algorithm, Digest};

#[tokio::test(flavor = "multi_thread")]
async fn a_trickling_upload_is_ended_and_goes_on_where_it_was() {
    let app = TestApp::with(|config| {
        config.limits.body_idle_timeout_seconds = 1;
        config.limits.body_min_rate_bytes_per_second = 10_000;
    })
    .await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let bytes = blob_of(1, 50_000);
    let location = ann.open_upload("ann/app").await;
    // Ten bytes fifty times a second: it never stands still, and never comes to its end.
    let pieces: Vec<_> = bytes.chunks(10).map(Bytes::copy_from_slice).collect();
    let trickle = futures::stream::iter(pieces).then(|piece| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(piece)
    });
    let slow = ann.patch(&location).stream(trickle).send();
    let neighbour = async {
        for seed in 2..5 {
            let image = TestImage::new(seed, 1);
            bob.push("bob/app", "v1", &image).await;
            bob.pull("bob/app", "v1", &image).await;
        }
    };
    let (slow, ()) = futures::join!(slow, neighbour);
    slow.refused(408, "SIZE_INVALID");

    let status = ann.get(&location).send().await.expect(204);
    let reached = status.header("range").strip_prefix("0-").unwrap();
    let at = reached.parse::<usize>().unwrap() + 1;
    assert!((100..25_000).contains(&at), "{at}");
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let put = ann.put(&format!("{location}?digest={digest}"));
    let put = put.header("content-range", &format!("{at}-49999"));
    put.body(bytes[at..].to_vec()).send().await.expect(201);
    let got = ann.get(&format!("/v2/ann/app/blobs/{digest}")).send().await;
    assert_eq!(got.expect(200).body, bytes);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_stands_still_is_ended_and_goes_on_where_it_was() {
    let app = TestApp::with(|config| {
        config.limits.body_idle_timeout_seconds = 1;
        config.limits.body_min_rate_bytes_per_second = 0;
    })
    .await;
    let ann = app.user("ann").await;
    let location = ann.open_upload("ann/app").await;
    let piece = Ok(Bytes::from_static(b"a piece, and then nothing"));
    let halting = futures::stream::iter([piece]).chain(futures::stream::pending());
    let patch = ann.patch(&location).stream(halting).send();
    let answer = tokio::time::timeout(Duration::from_secs(20), patch).await;
    answer.expect("an answer").refused(408, "SIZE_INVALID");
    let status = ann.get(&location).send().await.expect(204);
    assert_eq!(status.header("range"), "0-24");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trickling_manifest_is_ended_as_well() {
    let app = TestApp::with(|config| {
        config.limits.body_idle_timeout_seconds = 1;
        config.limits.body_min_rate_bytes_per_second = 10_000;
    })
    .await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let trickle = futures::stream::repeat(Bytes::from_static(b" ")).then(|piece| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(piece)
    });
    let put = ann.put("/v2/ann/app/manifests/v2");
    let put = put.header("content-type", image.media_type());
    put.stream(trickle)
        .send()
        .await
        .refused(408, "SIZE_INVALID");
    ann.pull("ann/app", "v1", &image).await;
    app.finish().await;
}
