//! Mounting a blob from another repository (protocol §8).

use seawall_testkit::{Client, TestApp, blob_of};
use seawall_types::digest::{Algorithm, Digest};
use seawall_types::permission::{Role, Visibility};

async fn mount(client: &Client, to: &str, digest: &Digest, from: Option<&str>) -> u16 {
    let from = from.map(|from| format!("&from={from}")).unwrap_or_default();
    let path = format!("/v2/{to}/blobs/uploads/?mount={digest}{from}");
    let answer = client.post(&path).send().await;
    if answer.status == 201 {
        assert_eq!(
            answer.header("location"),
            format!("/v2/{to}/blobs/{digest}")
        );
        assert_eq!(answer.digest(), *digest);
    } else if answer.status == 202 {
        // As if nothing had been asked: the session that was opened works.
        assert!(
            answer
                .header("location")
                .starts_with(&format!("/v2/{to}/blobs/uploads/"))
        );
        assert_eq!(answer.header("range"), "0-0");
    }
    answer.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_mounted_from_where_it_may_be_read() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(1, 1000);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let digest = ann.push_blob_as("ann/from", &bytes, algorithm).await;
        assert_eq!(mount(&ann, "ann/to", &digest, Some("ann/from")).await, 201);
        let got = ann
            .get(&format!("/v2/ann/to/blobs/{digest}"))
            .send()
            .await
            .expect(200);
        assert_eq!(got.body, bytes);
        // Taking it away there leaves it here.
        ann.delete(&format!("/v2/ann/from/blobs/{digest}"))
            .send()
            .await
            .expect(202);
        ann.get(&format!("/v2/ann/to/blobs/{digest}"))
            .send()
            .await
            .expect(200);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_source_any_readable_one_will_do() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let digest = ann.push_blob("ann/from", b"layer").await;
    assert_eq!(mount(&ann, "ann/to", &digest, None).await, 201);
    assert_eq!(mount(&bob, "bob/to", &digest, None).await, 202);
    app.set_visibility("ann/from", Visibility::Public).await;
    assert_eq!(mount(&bob, "bob/to", &digest, None).await, 201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_mounted_is_uploaded_and_nothing_is_told() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let secret = ann.push_blob("ann/private", b"secret layer").await;
    let missing = Digest::of(Algorithm::Sha256, b"nowhere");
    for (digest, from) in [
        (&secret, Some("ann/private")),
        (&missing, Some("ann/private")),
        (&secret, Some("ann/not-here")),
        (&missing, Some("nobody/at-all")),
        (&secret, Some("Not%20A%20Name")),
        (&secret, None),
        (&missing, None),
    ] {
        assert_eq!(
            mount(&bob, "bob/app", digest, from).await,
            202,
            "{digest} {from:?}"
        );
    }
    // Nothing was made by that, either.
    bob.get(&format!("/v2/bob/app/blobs/{secret}"))
        .send()
        .await
        .refused(404, "NAME_UNKNOWN");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_of_a_failed_mount_takes_the_upload() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let digest = Digest::of(Algorithm::Sha256, b"layer");
    let path = format!("/v2/ann/to/blobs/uploads/?mount={digest}&from=ann/none");
    let opened = ann.post(&path).send().await.expect(202);
    let put = ann
        .put(&format!("{}?digest={digest}", opened.header("location")))
        .body("layer");
    put.send().await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_the_target_is_enough_if_its_subject_may_read_the_source() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let digest = ann.push_blob("ann/from", b"layer").await;
    let token = bob.token_for(&["repository:bob/to:pull,push"]).await;
    assert_eq!(
        mount(&token, "bob/to", &digest, Some("ann/from")).await,
        202
    );
    app.grant("ann/from", "bob", Role::Read).await;
    assert_eq!(
        mount(&token, "bob/to", &digest, Some("ann/from")).await,
        201
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_mounts_in_one_request_are_refused() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let digest = ann.push_blob("ann/from", b"layer").await;
    let path = format!("/v2/ann/to/blobs/uploads/?mount={digest}&mount={digest}&from=ann/from");
    ann.post(&path).send().await.expect(400);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_token_finds_nothing_beyond_its_scopes_unless_it_is_named() {
    let app = TestApp::new().await;
    let (ann, bob, root) = (app.user("ann").await, app.user("bob").await, app.admin());
    let digest = ann.push_blob("ann/from", b"layer").await;
    app.grant("ann/from", "bob", Role::Read).await;
    for (client, to) in [(&bob, "bob/to"), (&root, "admin/to")] {
        let target = format!("repository:{to}:pull,push");
        let narrow = client.token_for(&[&target]).await;
        assert_eq!(mount(&narrow, to, &digest, None).await, 202);
        let wide = [&*target, "repository:ann/from:pull"];
        let wide = client.token_for(&wide).await;
        assert_eq!(mount(&wide, to, &digest, None).await, 201);
        let blob = format!("/v2/{to}/blobs/{digest}");
        client.delete(&blob).send().await.expect(202);
        let named = mount(&narrow, to, &digest, Some("ann/from")).await;
        assert_eq!(named, 201);
        client.delete(&blob).send().await.expect(202);
    }
    let narrow = bob.token_for(&["repository:bob/to:pull,push"]).await;
    app.set_visibility("ann/from", Visibility::Public).await;
    assert_eq!(mount(&narrow, "bob/to", &digest, None).await, 201);
    app.finish().await;
}
