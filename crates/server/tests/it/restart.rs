//! What was acknowledged is there after a restart, and nothing needs a repair.

use seawall_testkit::{TestApp, TestImage, blob_of};
use seawall_types::digest::{Algorithm, Digest};

#[tokio::test(flavor = "multi_thread")]
async fn a_push_survives_a_restart_and_an_upload_goes_on_after_it() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 3);
    ann.push("ann/app", "v1", &image).await;
    let bytes = blob_of(9, 20_000);
    let location = ann.open_upload("ann/app").await;
    ann.patch(&location)
        .body(bytes[..12_345].to_vec())
        .send()
        .await
        .expect(202);

    let app = app.restarted().await;
    let ann = app.known("ann");
    ann.pull("ann/app", "v1", &image).await;
    let answer = ann.get(&location).send().await.expect(204);
    assert_eq!(answer.header("range"), "0-12344");
    let rest = ann.patch(&location).header("content-range", "12345-19999");
    rest.body(bytes[12_345..].to_vec()).send().await.expect(202);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let done = ann
        .put(&format!("{location}?digest={digest}"))
        .send()
        .await
        .expect(201);
    assert_eq!(
        ann.get(done.header("location"))
            .send()
            .await
            .expect(200)
            .body,
        bytes
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_without_a_byte_goes_on_after_a_restart_and_on_another_replica() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let (one, other) = (
        ann.open_upload("ann/app").await,
        ann.open_upload("ann/app").await,
    );
    let (server, beside) = app.beside().await;
    let there = beside.with_password("ann", "correct horse battery staple");
    there.get(&one).send().await.expect(204);
    there.patch(&one).body("one").send().await.expect(202);
    server.close(std::time::Duration::from_secs(5)).await;

    let app = app.restarted().await;
    let ann = app.known("ann");
    let status = ann.get(&other).send().await.expect(204);
    assert_eq!(status.header("location"), other);
    for (location, bytes) in [(&one, ""), (&other, "other")] {
        let whole = if bytes.is_empty() { "one" } else { bytes };
        let digest = Digest::of(Algorithm::Sha256, whole.as_bytes());
        let put = ann.put(&format!("{location}?digest={digest}"));
        put.body(bytes).send().await.expect(201);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_not_heard_of_can_be_said_again() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let location = ann.open_upload("ann/app").await;
    ann.patch(&location).body("bytes").send().await.expect(202);
    let put = |digest| format!("{location}?digest={digest}");
    let digest = Digest::of(Algorithm::Sha256, b"bytes");
    ann.put(&put(digest)).send().await.expect(201);

    // The server stops before its client has read the answer.
    let app = app.restarted().await;
    let ann = app.known("ann");
    let again = ann.put(&put(digest)).send().await.expect(201);
    let got = ann.get(again.header("location")).send().await;
    assert_eq!(got.expect(200).body, "bytes");
    let never = Digest::of(Algorithm::Sha256, b"other bytes");
    let put = ann.put(&put(never)).send().await;
    put.refused(400, "DIGEST_INVALID");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_given_before_a_restart_are_good_after_it() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(2, 1);
    ann.push("ann/app", "v1", &image).await;
    let token = ann
        .token_for(&["repository:ann/app:pull"])
        .await
        .authorization
        .unwrap();
    let app = app.restarted().await;
    let ann = app
        .anonymous()
        .with_token(token.strip_prefix("Bearer ").unwrap());
    ann.pull("ann/app", "v1", &image).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_accepts_the_other_serves() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(3, 2);
    let (server, beside) = app.beside().await;
    let there = beside.with_password("ann", "correct horse battery staple");
    let location = ann.open_upload("ann/app").await;
    ann.patch(&location).body("one ").send().await.expect(202);
    there
        .patch(&location)
        .header("content-range", "4-6")
        .body("two")
        .send()
        .await
        .expect(202);
    let digest = Digest::of(Algorithm::Sha256, b"one two");
    ann.put(&format!("{location}?digest={digest}"))
        .send()
        .await
        .expect(201);
    ann.push("ann/app", "v1", &image).await;
    there.pull("ann/app", "v1", &image).await;
    server.close(std::time::Duration::from_secs(5)).await;
    app.finish().await;
}
