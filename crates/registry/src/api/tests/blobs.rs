//! Blobs over HTTP (protocol §5, §8, §15.5): who sees what, in which parts, and for how long.

use std::time::Duration;

use http::StatusCode as S;
use seawall_blob::fixture::noise;
use seawall_types::{Algorithm, Digest, RepositoryName};

use super::Harness;
use crate::acts::Pull;
use crate::blob;

#[tokio::test]
async fn a_blob_is_seen_through_its_repository_only() {
    let rig = Harness::new().await;
    let digest = rig.push("ann", "ann/app", b"secret").await;
    rig.push("ann", "ann/other", b"other").await;
    rig.push("bob", "bob/app", b"bob's").await;
    rig.ask("ann", "GET", &format!("/v2/ann/app/blobs/{digest}"))
        .expect(S::OK)
        .await;
    let told = rig
        .ask("ann", "GET", &format!("/v2/ann/other/blobs/{digest}"))
        .send()
        .await;
    assert_eq!(
        (told.status, told.code().as_str()),
        (S::NOT_FOUND, "BLOB_UNKNOWN")
    );
    rig.ask("bob", "GET", &format!("/v2/bob/app/blobs/{digest}"))
        .expect(S::NOT_FOUND)
        .await;
    rig.ask("bob", "GET", &format!("/v2/ann/app/blobs/{digest}"))
        .expect(S::NOT_FOUND)
        .await;
    rig.ask("", "GET", &format!("/v2/ann/app/blobs/{digest}"))
        .expect(S::UNAUTHORIZED)
        .await;
    rig.ask("ann", "GET", "/v2/ann/app/blobs/sha256:bad")
        .expect(S::BAD_REQUEST)
        .await;
}

#[tokio::test]
async fn the_head_says_what_the_body_is() {
    let rig = Harness::new().await;
    let bytes = noise(700_000, 1);
    let path = format!(
        "/v2/ann/app/blobs/{}",
        rig.push("ann", "ann/app", &bytes).await
    );
    let got = rig.ask("ann", "GET", &path).expect(S::OK).await;
    let head = rig.ask("ann", "HEAD", &path).expect(S::OK).await;
    assert_eq!((got.body.as_ref(), head.body.len()), (bytes.as_slice(), 0));
    for (name, value) in [
        ("content-length", "700000"),
        ("content-type", "application/octet-stream"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, max-age=31536000, immutable"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox"),
        ("docker-distribution-api-version", "registry/2.0"),
    ] {
        assert_eq!(
            (got.text(name).as_str(), head.text(name).as_str()),
            (value, value),
            "{name}"
        );
    }
    let etag = got.text("etag");
    let known = rig.ask("ann", "GET", &path).header("if-none-match", &etag);
    let known = known.expect(S::NOT_MODIFIED).await;
    assert_eq!((known.text("etag"), known.body.len()), (etag, 0));
}

#[tokio::test]
async fn a_blob_is_pulled_in_parts() {
    let rig = Harness::new().await;
    let bytes = noise(2048, 2);
    let path = format!(
        "/v2/ann/app/blobs/{}",
        rig.push("ann", "ann/app", &bytes).await
    );
    let part = |range: &str| rig.ask("ann", "GET", &path).header("range", range);
    for (range, from, to) in [
        ("bytes=500-1499", 500, 1500),
        ("bytes=500-", 500, 2048),
        ("bytes=-500", 1548, 2048),
        ("bytes=2000-5000", 2000, 2048),
    ] {
        let told = part(range).expect(S::PARTIAL_CONTENT).await;
        assert_eq!(told.body, bytes[from..to], "{range}");
        assert_eq!(
            told.text("content-range"),
            format!("bytes {from}-{}/2048", to - 1)
        );
        assert_eq!(told.text("content-length"), (to - from).to_string());
    }
    for range in ["bytes=500-0", "bytes=5000-10000"] {
        let told = part(range).expect(S::RANGE_NOT_SATISFIABLE).await;
        assert_eq!(told.text("content-range"), "bytes */2048");
    }
    let stale = part("bytes=0-1")
        .header("if-range", "\"other\"")
        .expect(S::OK)
        .await;
    assert_eq!(stale.body, bytes);

    let told = part("bytes=0-1,2000-2047").expect(S::PARTIAL_CONTENT).await;
    assert_eq!(told.text("content-length"), told.body.len().to_string());
    let kind = told.text("content-type");
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    assert!(
        boundary.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{boundary}"
    );
    let body = String::from_utf8_lossy(&told.body);
    assert!(body.contains("Content-Range: bytes 2000-2047/2048\r\n\r\n"));
    assert!(body.ends_with(&format!("\r\n--{boundary}--\r\n")));

    let empty = format!(
        "/v2/ann/app/blobs/{}",
        rig.push("ann", "ann/app", b"").await
    );
    let ask = |method| rig.ask("ann", method, &empty);
    assert_eq!(ask("HEAD").expect(S::OK).await.text("content-length"), "0");
    assert_eq!(ask("GET").expect(S::OK).await.body.len(), 0);
    let ranged = |range| ask("GET").header("range", range);
    ranged("bytes=0-").expect(S::OK).await;
    ranged("bytes=1-").expect(S::RANGE_NOT_SATISFIABLE).await;
}

#[tokio::test]
async fn a_cold_pull_reads_twice_and_writes_nothing() {
    let rig = Harness::new().await;
    let digest = rig.push("ann", "ann/app", b"layer").await;
    let op = rig.op("ann");
    let name = RepositoryName::parse("ann/app").unwrap();
    let repo = op.repo::<Pull>(&name).await.unwrap();
    let links = blob::LinkCache::new(op.kernel()).unwrap();
    blob::find(&op, &links, &repo, &digest).await.unwrap();
    let spent = op.cost().snapshot();
    assert_eq!((spent.reads, spent.writes), (2, 0));
}

#[tokio::test]
async fn a_pushers_head_is_a_promise_that_is_renewed_in_time() {
    let rig = Harness::new().await;
    let digest = rig.push("ann", "ann/app", b"layer").await;
    let name = RepositoryName::parse("ann/app").unwrap();
    let writes = async || {
        let op = rig.op("ann");
        let repo = op.repo::<Pull>(&name).await.unwrap();
        blob::promise(&op, &repo, &digest).await.unwrap();
        op.cost().snapshot().writes
    };
    assert_eq!(writes().await, 0);
    rig.advance(Duration::from_hours(13));
    assert_eq!(writes().await, 1);
    assert_eq!(writes().await, 0);
    rig.advance(Duration::from_hours(13));
    let pull = rig.ask("ann", "HEAD", &format!("/v2/ann/app/blobs/{digest}"));
    pull.header("x-scope", "repository:ann/app:pull")
        .expect(S::OK)
        .await;
    assert_eq!(writes().await, 1, "a puller's HEAD renewed nothing");
}

#[tokio::test]
async fn a_mount_needs_the_subjects_permission_on_the_source() {
    let rig = Harness::new().await;
    let digest = rig.push("ann", "ann/base", b"layer").await;
    let post = |user: &'static str, to: &str, query: String| {
        rig.ask(user, "POST", &format!("/v2/{to}/blobs/uploads/?{query}"))
    };
    let mount = |from: &str| format!("mount={digest}&from={from}&origin=x");
    // The token covers the target only; its subject may read the source.
    let told = post("ann", "ann/app", mount("ann/base"))
        .header("x-scope", "repository:ann/app:pull,push")
        .expect(S::CREATED)
        .await;
    assert_eq!(told.text("location"), format!("/v2/ann/app/blobs/{digest}"));
    assert_eq!(told.text("docker-content-digest"), digest.to_string());
    rig.ask("ann", "GET", &told.text("location"))
        .expect(S::OK)
        .await;

    let elsewhere = format!(
        "mount={}&from=ann/base",
        Digest::of(Algorithm::Sha256, b"missing")
    );
    for (user, to, query) in [
        ("bob", "bob/app", mount("ann/base")),
        ("bob", "bob/app", mount("ann/missing")),
        ("bob", "bob/app", mount("NOT A NAME").replace(' ', "%20")),
        ("bob", "bob/app", format!("mount={digest}")),
        ("ann", "ann/third", mount("ann/missing")),
        ("ann", "ann/third", elsewhere),
    ] {
        let told = post(user, to, query.clone()).expect(S::ACCEPTED).await;
        assert_eq!(told.text("range"), "0-0", "{query}");
        rig.ask(user, "GET", &told.text("location"))
            .expect(S::NO_CONTENT)
            .await;
    }
    rig.ask("bob", "GET", &format!("/v2/bob/app/blobs/{digest}"))
        .expect(S::NOT_FOUND)
        .await;
    post("ann", "ann/fourth", format!("mount={digest}"))
        .expect(S::CREATED)
        .await;
}

#[tokio::test]
async fn a_mount_outlives_its_source_and_a_deleted_blob_comes_back() {
    let rig = Harness::new().await;
    let digest = rig.push("ann", "ann/base", b"layer").await;
    let mount = format!("/v2/ann/app/blobs/uploads/?mount={digest}&from=ann/base");
    rig.ask("ann", "POST", &mount).expect(S::CREATED).await;
    let source = format!("/v2/ann/base/blobs/{digest}");
    rig.ask("bob", "DELETE", &source).expect(S::NOT_FOUND).await;
    rig.ask("ann", "DELETE", &source).expect(S::ACCEPTED).await;
    rig.ask("ann", "HEAD", &source).expect(S::NOT_FOUND).await;
    let again = rig.ask("ann", "DELETE", &source).expect(S::NOT_FOUND).await;
    assert_eq!(again.code(), "BLOB_UNKNOWN");
    rig.ask("ann", "GET", &format!("/v2/ann/app/blobs/{digest}"))
        .expect(S::OK)
        .await;
    rig.push("ann", "ann/base", b"layer").await;
    rig.ask("ann", "GET", &source).expect(S::OK).await;
    assert_eq!(rig.stored().await, 1);
}
