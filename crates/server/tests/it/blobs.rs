//! Pushing a blob whole and pulling it back, with ranges and conditions (protocol §5 and §6).

use seawall_testkit::{TestApp, blob_of};
use seawall_types::digest::{Algorithm, Digest};

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_pushed_by_post_and_put_and_pulled_back() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(1, 300_000);
    let digest = Digest::of(Algorithm::Sha256, &bytes);

    let opened = ann
        .post("/v2/ann/app/blobs/uploads/")
        .send()
        .await
        .expect(202);
    assert_eq!(opened.header("range"), "0-0");
    assert!(!opened.header("docker-upload-uuid").is_empty());
    let location = opened.header("location");
    assert!(
        location.starts_with("/v2/ann/app/blobs/uploads/"),
        "{location}"
    );

    let put = ann
        .put(&format!("{location}?digest={digest}"))
        .body(bytes.clone());
    let done = put.send().await.expect(201);
    assert_eq!(
        done.header("location"),
        format!("/v2/ann/app/blobs/{digest}")
    );
    assert_eq!(done.digest(), digest);

    let head = ann.head(done.header("location")).send().await.expect(200);
    assert_eq!(head.header("content-length"), "300000");
    assert_eq!(head.header("accept-ranges"), "bytes");
    assert!(head.body.is_empty());

    let got = ann.get(done.header("location")).send().await.expect(200);
    assert_eq!(got.body, bytes);
    assert_eq!(got.digest(), digest);
    assert_eq!(got.header("content-type"), "application/octet-stream");
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    assert!(got.header("content-security-policy").contains("sandbox"));
    assert!(!got.has("content-encoding"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_post_is_enough() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(2, 1000);
    let digest = Digest::of(Algorithm::Sha512, &bytes);
    let path = format!("/v2/ann/app/blobs/uploads/?digest={digest}");
    let done = ann.post(&path).body(bytes.clone()).send().await.expect(201);
    let got = ann.get(done.header("location")).send().await.expect(200);
    assert_eq!(got.body, bytes);
    assert_eq!(got.digest(), digest);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_blob_is_a_blob() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let digest = ann.push_blob("ann/app", b"").await;
    let path = format!("/v2/ann/app/blobs/{digest}");
    assert_eq!(
        ann.head(&path)
            .send()
            .await
            .expect(200)
            .header("content-length"),
        "0"
    );
    assert!(ann.get(&path).send().await.expect(200).body.is_empty());
    let ranged = ann.get(&path).header("range", "bytes=0-0").send().await;
    assert!(ranged.expect(200).body.is_empty());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_served_as_asked() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(3, 2048);
    let digest = ann.push_blob("ann/app", &bytes).await;
    let path = format!("/v2/ann/app/blobs/{digest}");
    for (range, from, to) in [
        ("bytes=500-1499", 500, 1500),
        ("bytes=500-", 500, 2048),
        ("bytes=-500", 1548, 2048),
        ("bytes=2000-5000", 2000, 2048),
        ("bytes=0-0", 0, 1),
    ] {
        let got = ann
            .get(&path)
            .header("range", range)
            .send()
            .await
            .expect(206);
        assert_eq!(got.body, bytes[from..to], "{range}");
        assert_eq!(
            got.header("content-range"),
            format!("bytes {from}-{}/2048", to - 1)
        );
        assert_eq!(got.header("content-length"), (to - from).to_string());
    }
    for range in ["bytes=500-0", "bytes=5000-10000", "bytes=2048-"] {
        let got = ann.get(&path).header("range", range).send().await;
        let got = got.refused(416, "SIZE_INVALID");
        assert_eq!(got.header("content-range"), "bytes */2048", "{range}");
    }
    let two = ann
        .get(&path)
        .header("range", "bytes=0-1,1000-1002")
        .send()
        .await
        .expect(206);
    let kind = two.header("content-type");
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let body = two.body.to_vec();
    let text = String::from_utf8_lossy(&body);
    assert_eq!(text.matches(&format!("--{boundary}")).count(), 3);
    assert!(
        text.contains("Content-Range: bytes 1000-1002/2048")
            || text.contains("content-range: bytes 1000-1002/2048")
    );
    assert!(body.windows(3).any(|window| window == &bytes[1000..1003]));
    assert_eq!(two.header("content-length"), body.len().to_string());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_the_blob_is_not_sent_it_again() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(4, 100);
    let digest = ann.push_blob("ann/app", &bytes).await;
    let path = format!("/v2/ann/app/blobs/{digest}");
    let etag = ann
        .get(&path)
        .send()
        .await
        .expect(200)
        .header("etag")
        .to_owned();
    assert_eq!(etag, format!("\"{digest}\""));
    for known in [
        etag.as_str(),
        "*",
        &format!("W/{etag}"),
        &format!("\"x\", {etag}"),
    ] {
        let answer = ann
            .get(&path)
            .header("if-none-match", known)
            .send()
            .await
            .expect(304);
        assert!(answer.body.is_empty());
    }
    ann.get(&path)
        .header("if-none-match", "\"other\"")
        .send()
        .await
        .expect(200);
    let ranged = ann.get(&path).header("range", "bytes=0-9");
    assert_eq!(
        ranged
            .header("if-range", &etag)
            .send()
            .await
            .expect(206)
            .body,
        bytes[..10]
    );
    let ranged = ann.get(&path).header("range", "bytes=0-9");
    ranged
        .header("if-range", "\"other\"")
        .send()
        .await
        .expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_are_never_visible() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let wrong = Digest::of(Algorithm::Sha256, b"something else");
    let visible = format!("/v2/ann/app/blobs/{wrong}");

    let location = ann.open_upload("ann/app").await;
    let put = ann
        .put(&format!("{location}?digest={wrong}"))
        .body(blob_of(5, 5000));
    put.send().await.refused(400, "DIGEST_INVALID");
    ann.head(&visible).send().await.expect(404);
    ann.get(&location)
        .send()
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");

    let post = ann.post(&format!("/v2/ann/app/blobs/uploads/?digest={wrong}"));
    post.body(blob_of(5, 5000))
        .send()
        .await
        .refused(400, "DIGEST_INVALID");
    ann.head(&visible).send().await.expect(404);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_without_a_digest_leaves_the_session_as_it_was() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let location = ann.open_upload("ann/app").await;
    for digest in [
        "",
        "?digest=",
        "?digest=sha256:abc",
        "?digest=md5:d41d8cd98f00b204e9800998ecf8427e",
    ] {
        let put = ann.put(&format!("{location}{digest}")).body(&b"abc"[..]);
        put.send().await.refused(400, "DIGEST_INVALID");
    }
    let digest = Digest::of(Algorithm::Sha256, b"abc");
    let put = ann
        .put(&format!("{location}?digest={digest}"))
        .body(&b"abc"[..]);
    put.send().await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushing_the_same_blob_twice_or_at_once_is_fine() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(6, 100_000);
    let pushes = (0..8).map(|i| {
        let (ann, bytes) = (ann.clone(), bytes.clone());
        async move { ann.push_blob(&format!("ann/app{}", i % 2), &bytes).await }
    });
    let digests = futures::future::join_all(pushes).await;
    for (i, digest) in digests.iter().enumerate() {
        let path = format!("/v2/ann/app{}/blobs/{digest}", i % 2);
        assert_eq!(ann.get(&path).send().await.expect(200).body, bytes);
    }
    let report = app.verify().await;
    assert_eq!(report.blobs, 1, "one stored copy");
    assert!(report.orphans.is_empty(), "{:?}", report.orphans);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_seen_only_through_a_repository_that_links_it() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let digest = ann.push_blob("ann/app", b"mine").await;
    bob.push_blob("bob/app", b"other").await;
    bob.get(&format!("/v2/bob/app/blobs/{digest}"))
        .send()
        .await
        .refused(404, "BLOB_UNKNOWN");
    bob.get(&format!("/v2/ann/app/blobs/{digest}"))
        .send()
        .await
        .refused(404, "NAME_UNKNOWN");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_beyond_the_limit_is_refused_early() {
    let app = TestApp::with(|config| config.uploads.max_blob_bytes = Some(1000)).await;
    let ann = app.user("ann").await;
    let bytes = blob_of(7, 2000);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let location = ann.open_upload("ann/app").await;
    let path = format!("{location}?digest={digest}");
    ann.put(&path)
        .body(bytes.clone())
        .send()
        .await
        .refused(413, "SIZE_INVALID");
    let location = ann.open_upload("ann/app").await;
    let streamed = ann.patch(&location).streamed(bytes, 100);
    streamed.send().await.refused(413, "SIZE_INVALID");
    app.finish().await;
}
