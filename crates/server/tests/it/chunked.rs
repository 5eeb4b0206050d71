//! Pushing a blob in pieces: the state machine of protocol §7, with its accidents.

use bytes::Bytes;
use futures::StreamExt;
use seawall_testkit::{Client, TestApp, blob_of};
use seawall_types::digest::{Algorithm, Digest};

async fn offset(client: &Client, location: &str) -> String {
    let answer = client.get(location).send().await.expect(204);
    assert!(answer.has("location") && answer.has("docker-upload-uuid"));
    answer.header("range").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_in_chunks_arrives_whole() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(1, 10_000);
    let mut location = ann.open_upload("ann/app").await;
    assert_eq!(offset(&ann, &location).await, "0-0");
    for (i, chunk) in bytes.chunks(3000).enumerate() {
        let start = i * 3000;
        let range = format!("{start}-{}", start + chunk.len() - 1);
        let patch = ann
            .patch(&location)
            .header("content-range", &range)
            .body(chunk.to_vec());
        let answer = patch.send().await.expect(202);
        assert_eq!(
            answer.header("range"),
            format!("0-{}", start + chunk.len() - 1)
        );
        answer.header("location").clone_into(&mut location);
        assert_eq!(
            offset(&ann, &location).await,
            format!("0-{}", start + chunk.len() - 1)
        );
    }
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let done = ann
        .put(&format!("{location}?digest={digest}"))
        .body("")
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
    ann.get(&location)
        .send()
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_unknown_length_arrives_whole() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(2, 700_001);
    let location = ann.open_upload("ann/app").await;
    let answer = ann
        .patch(&location)
        .streamed(bytes.clone(), 1009)
        .send()
        .await
        .expect(202);
    assert_eq!(answer.header("range"), "0-700000");
    let digest = Digest::of(Algorithm::Sha512, &bytes);
    let put = ann.put(&format!("{}?digest={digest}", answer.header("location")));
    let done = put.send().await.expect(201);
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
async fn the_last_chunk_may_come_with_the_put() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(3, 5000);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let location = ann.open_upload("ann/app").await;
    let first = ann
        .patch(&location)
        .body(bytes[..3000].to_vec())
        .send()
        .await
        .expect(202);
    let location = first.header("location");

    let path = format!("{location}?digest={digest}");
    let skewed = ann
        .put(&path)
        .header("content-range", "2999-4999")
        .body(bytes[2999..].to_vec());
    let skewed = skewed.send().await.refused(416, "SIZE_INVALID");
    assert_eq!(skewed.header("range"), "0-2999");
    assert_eq!(offset(&ann, location).await, "0-2999");

    let last = ann
        .put(&path)
        .header("content-range", "3000-4999")
        .body(bytes[3000..].to_vec());
    last.send().await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_out_of_order_changes_nothing_and_says_where_to_go_on() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let location = ann.open_upload("ann/app").await;
    let patch = |range: &str, size: usize| {
        ann.patch(&location)
            .header("content-range", range)
            .body(blob_of(4, size))
    };
    patch("0-999", 1000).send().await.expect(202);
    for (range, size) in [("0-999", 1000), ("2000-2999", 1000), ("999-1998", 1000)] {
        let refused = patch(range, size).send().await.refused(416, "SIZE_INVALID");
        assert_eq!(refused.header("range"), "0-999", "{range}");
        assert!(
            refused
                .header("location")
                .starts_with("/v2/ann/app/blobs/uploads/")
        );
        assert!(refused.has("docker-upload-uuid"));
    }
    for (range, size) in [
        ("1000-1999", 999),
        ("1000-1999", 1001),
        ("1999-1000", 1000),
        ("x-y", 1),
    ] {
        let refused = patch(range, size).send().await;
        assert!(
            matches!(refused.status.as_u16(), 400 | 416),
            "{range}: {}",
            refused.status
        );
        assert_eq!(offset(&ann, &location).await, "0-999", "{range}");
    }
    patch("1000-1000", 1).send().await.expect(202);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_loses_nothing_that_was_reported() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(5, 50_000);
    let location = ann.open_upload("ann/app").await;
    let pieces = [
        Ok(Bytes::copy_from_slice(&bytes[..20_000])),
        Err(std::io::Error::other("the line is cut")),
    ];
    ann.patch(&location)
        .stream(futures::stream::iter(pieces))
        .send()
        .await;

    let range = offset(&ann, &location).await;
    let reached: usize = range.strip_prefix("0-").unwrap().parse().unwrap();
    let at = if reached == 0 { 0 } else { reached + 1 };
    assert!(at <= 20_000);
    let rest = format!("{at}-49999");
    let patch = ann
        .patch(&location)
        .header("content-range", &rest)
        .body(bytes[at..].to_vec());
    patch.send().await.expect(202);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    ann.put(&format!("{location}?digest={digest}"))
        .send()
        .await
        .expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_chunks_at_once_never_mix() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = [blob_of(6, 200_000), blob_of(7, 200_000)];
    for _ in 0..5 {
        let location = ann.open_upload("ann/app").await;
        let patches = bytes.iter().map(|bytes| {
            let body = futures::stream::iter(bytes.clone().into_iter().collect::<Vec<_>>())
                .chunks(10_000)
                .then(|piece| async move {
                    tokio::task::yield_now().await;
                    Ok(Bytes::from(piece))
                });
            let range = ann.patch(&location).header("content-range", "0-199999");
            range.header("content-length", "200000").stream(body).send()
        });
        let answers = futures::future::join_all(patches).await;
        let won: Vec<_> = answers
            .iter()
            .filter(|answer| answer.status == 202)
            .collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        let lost = answers.iter().find(|answer| answer.status != 202).unwrap();
        assert!(matches!(lost.status.as_u16(), 400 | 409 | 416), "{lost:?}");
        let winner = answers
            .iter()
            .position(|answer| answer.status == 202)
            .unwrap();
        let digest = Digest::of(Algorithm::Sha256, &bytes[winner]);
        ann.put(&format!("{location}?digest={digest}"))
            .send()
            .await
            .expect(201);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_puts_at_once_commit_once() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let digest = Digest::of(Algorithm::Sha256, b"abc");
    for _ in 0..5 {
        let location = ann.open_upload("ann/app").await;
        ann.patch(&location).body("abc").send().await.expect(202);
        let path = format!("{location}?digest={digest}");
        let answers =
            futures::future::join_all([ann.put(&path).send(), ann.put(&path).send()]).await;
        assert!(
            answers.iter().any(|answer| answer.status == 201),
            "{answers:?}"
        );
        let fine = |status: u16| matches!(status, 201 | 404 | 409);
        assert!(
            answers.iter().all(|answer| fine(answer.status.as_u16())),
            "{answers:?}"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_upload_is_gone() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let location = ann.open_upload("ann/app").await;
    ann.patch(&location).body("abc").send().await.expect(202);
    ann.delete(&location).send().await.expect(204);
    let digest = Digest::of(Algorithm::Sha256, b"abc");
    ann.get(&location)
        .send()
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    ann.patch(&location)
        .body("d")
        .send()
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    ann.put(&format!("{location}?digest={digest}"))
        .send()
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    ann.delete(&location)
        .send()
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_belongs_to_its_repository_and_its_maker() {
    let app = TestApp::new().await;
    let (ann, admin) = (app.user("ann").await, app.admin());
    let location = ann.open_upload("ann/app").await;
    ann.push_blob("ann/other", b"x").await;
    let elsewhere = location.replace("ann/app", "ann/other");
    ann.get(&elsewhere)
        .send()
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    ann.patch(&elsewhere)
        .body("x")
        .send()
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    // An administrator may push here, but this session is somebody else's.
    admin
        .get(&location)
        .send()
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    admin
        .patch(&location)
        .body("x")
        .send()
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    app.anonymous()
        .get(&location)
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    let unknown = "/v2/ann/app/blobs/uploads/00000000-0000-4000-8000-000000000000";
    ann.get(unknown)
        .send()
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    ann.get("/v2/ann/app/blobs/uploads/no-uuid")
        .send()
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_algorithm_may_be_announced() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let open = |algorithm: &str| {
        ann.post(&format!(
            "/v2/ann/app/blobs/uploads/?digest-algorithm={algorithm}"
        ))
        .send()
    };
    let location = open("sha512")
        .await
        .expect(202)
        .header("location")
        .to_owned();
    let bytes = blob_of(8, 3000);
    ann.patch(&location)
        .body(bytes[..1000].to_vec())
        .send()
        .await
        .expect(202);
    let digest = Digest::of(Algorithm::Sha512, &bytes);
    let put = ann
        .put(&format!("{location}?digest={digest}"))
        .body(bytes[1000..].to_vec());
    put.send().await.expect(201);
    open("md5").await.refused(400, "DIGEST_INVALID");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_session_expires_by_inactivity() {
    let app = TestApp::with(|config| config.uploads.expire_after_hours = 1).await;
    let ann = app.user("ann").await;
    let idle = ann.open_upload("ann/app").await;
    let busy = ann.open_upload("ann/app").await;
    ann.patch(&idle).body("abc").send().await.expect(202);
    app.advance(std::time::Duration::from_mins(50)).await;
    ann.patch(&busy).body("abc").send().await.expect(202);
    app.advance(std::time::Duration::from_mins(20)).await;
    let gone = || async { ann.get(&idle).send().await.status == 404 };
    app.eventually("the idle session goes", gone).await;
    assert_eq!(offset(&ann, &busy).await, "0-2");
    app.finish().await;
}
