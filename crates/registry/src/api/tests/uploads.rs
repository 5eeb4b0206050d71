//! The state machine of uploads over HTTP (protocol §6, §7), and what is left behind.

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::StatusCode as S;
use seawall_blob::fixture::noise;
use seawall_kernel::auth::Administer;
use seawall_kernel::catalog::grants;
use seawall_meta::args;
use seawall_types::permission::Role;
use seawall_types::{Algorithm, Digest, RepositoryName};
use std::time::Duration;

use super::Harness;
use crate::Config;
use crate::upload::{store, sweep};

fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

/// The upload that a Location names.
fn uuid_of(location: &str) -> String {
    let last = location.rsplit('/').next().unwrap();
    last.split('.').next().unwrap().to_owned()
}

/// A body of unknown length that ends as it should, or breaks.
fn pieces(bytes: &[u8], breaks: bool) -> Body {
    let pieces: Vec<_> = bytes
        .chunks(1000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    let end = breaks.then(|| Err(std::io::Error::other("the client is gone")));
    Body::from_stream(futures::stream::iter(pieces).chain(futures::stream::iter(end)))
}

#[tokio::test]
async fn a_blob_is_pushed_by_post_and_put() {
    let rig = Harness::new().await;
    let bytes = noise(5000, 1);
    let digest = sha256(&bytes);
    let opened = rig
        .ask("ann", "POST", "/v2/ann/app/blobs/uploads")
        .expect(S::ACCEPTED)
        .await;
    let location = opened.text("location");
    let uuid = opened.text("docker-upload-uuid");
    let (path, state) = location.split_once('.').unwrap();
    assert_eq!(path, format!("/v2/ann/app/blobs/uploads/{uuid}"));
    assert_eq!(state.len(), 100);
    assert_eq!(
        (
            opened.text("range").as_str(),
            opened.text("content-length").as_str()
        ),
        ("0-0", "0")
    );
    assert_eq!(opened.text("oci-chunk-min-length"), "");

    let digest_there = format!(
        "{location}?digest={}",
        digest.to_string().replace(':', "%3A")
    );
    let put = rig
        .ask("ann", "PUT", &digest_there)
        .bytes(&bytes)
        .expect(S::CREATED)
        .await;
    assert_eq!(put.text("location"), format!("/v2/ann/app/blobs/{digest}"));
    assert_eq!(put.text("docker-content-digest"), digest.to_string());
    let got = rig
        .ask("ann", "GET", &put.text("location"))
        .expect(S::OK)
        .await;
    assert_eq!(got.body, bytes);
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        let told = rig
            .ask("ann", method, &digest_there)
            .expect(S::NOT_FOUND)
            .await;
        assert_eq!(told.code(), "BLOB_UPLOAD_UNKNOWN", "{method}");
    }
}

#[tokio::test]
async fn chunks_go_where_the_upload_is_and_nowhere_else() {
    let rig = Harness::new().await;
    let bytes = noise(3000, 2);
    let at = rig.open("ann", "ann/app").await;
    let chunk = |from: usize, to: usize| {
        let range = format!("{from}-{}", to - 1);
        rig.ask("ann", "PATCH", &at)
            .header("content-range", &range)
            .bytes(&bytes[from..to])
    };
    let early = chunk(1000, 2000).expect(S::RANGE_NOT_SATISFIABLE).await;
    assert_eq!(
        (early.text("location"), early.text("range").as_str()),
        (at.clone(), "0-0")
    );
    assert_ne!(early.text("docker-upload-uuid"), "");
    let told = chunk(0, 1000).expect(S::ACCEPTED).await;
    assert_eq!(told.text("range"), "0-999");
    let again = chunk(0, 1000).expect(S::RANGE_NOT_SATISFIABLE).await;
    assert_eq!(again.text("range"), "0-999");
    // Half a chunk says that it is a whole one.
    let short = rig
        .ask("ann", "PATCH", &at)
        .header("content-range", "1000-1999");
    let short = short.bytes(&bytes[1000..1500]).expect(S::BAD_REQUEST).await;
    assert_eq!(short.code(), "SIZE_INVALID");
    let streamed = rig
        .ask("ann", "PATCH", &at)
        .stream(pieces(&bytes[1000..2000], false));
    assert_eq!(streamed.expect(S::ACCEPTED).await.text("range"), "0-1999");
    let status = rig
        .ask("ann", "GET", &format!("{at}?digest=x"))
        .expect(S::NO_CONTENT)
        .await;
    assert_eq!(
        (status.text("range").as_str(), status.text("location")),
        ("0-1999", at.clone())
    );

    let end = format!("{at}?digest={}", sha256(&bytes));
    let last = |range: &str| {
        rig.ask("ann", "PUT", &end)
            .header("content-range", range)
            .bytes(&bytes[2000..])
    };
    let wrong = last("2001-3000").expect(S::RANGE_NOT_SATISFIABLE).await;
    assert_eq!(wrong.text("range"), "0-1999");
    last("2000-2999").expect(S::CREATED).await;
}

#[tokio::test]
async fn a_digest_that_is_missing_is_forgiven_and_a_wrong_one_is_not() {
    let rig = Harness::new().await;
    let bytes = noise(100, 3);
    let at = rig.open("ann", "ann/app").await;
    let told = rig
        .ask("ann", "PUT", &at)
        .bytes(&bytes)
        .expect(S::BAD_REQUEST)
        .await;
    assert_eq!(told.code(), "DIGEST_INVALID");
    rig.ask("ann", "PATCH", &at)
        .bytes(&bytes)
        .expect(S::ACCEPTED)
        .await;
    let wrong = format!("{at}?digest={}", sha256(b"something else"));
    let told = rig
        .ask("ann", "PUT", &wrong)
        .bytes(b"")
        .expect(S::BAD_REQUEST)
        .await;
    assert_eq!(told.code(), "DIGEST_INVALID");
    rig.ask("ann", "GET", &at).expect(S::NOT_FOUND).await;
    assert_eq!(rig.stored().await, 0);
}

#[tokio::test]
async fn a_whole_blob_comes_in_one_request() {
    let rig = Harness::new().await;
    for (bytes, algorithm) in [
        (noise(2_000_000, 4), Algorithm::Sha256),
        (Vec::new(), Algorithm::Sha256),
        (noise(3000, 5), Algorithm::Sha512),
    ] {
        let digest = Digest::of(algorithm, &bytes);
        let path = format!("/v2/ann/app/blobs/uploads/?digest={digest}&origin=x");
        let streamed = rig.ask("ann", "POST", &path).stream(pieces(&bytes, false));
        let told = streamed
            .header("content-type", "text/html")
            .expect(S::CREATED)
            .await;
        let got = rig
            .ask("ann", "GET", &told.text("location"))
            .expect(S::OK)
            .await;
        assert_eq!(got.body, bytes);
        assert_eq!(got.text("docker-content-digest"), digest.to_string());
        rig.ask("ann", "POST", &path)
            .bytes(b"another")
            .expect(S::BAD_REQUEST)
            .await;
        rig.ask("ann", "POST", &path)
            .stream(pieces(b"anot", true))
            .expect(S::BAD_REQUEST)
            .await;
    }
    assert_eq!(rig.stored().await, 3);
}

#[tokio::test]
async fn sha512_may_be_asked_for_at_the_end_or_at_the_beginning() {
    let rig = Harness::new().await;
    let bytes = noise(9000, 6);
    let digest = Digest::of(Algorithm::Sha512, &bytes);
    for query in ["", "?digest-algorithm=sha512", "?digest-algorithm=sha256"] {
        let path = format!("/v2/ann/app/blobs/uploads/{query}");
        let at = rig
            .ask("ann", "POST", &path)
            .expect(S::ACCEPTED)
            .await
            .text("location");
        rig.ask("ann", "PATCH", &at)
            .bytes(&bytes[..4000])
            .expect(S::ACCEPTED)
            .await;
        let end = format!("{at}?digest={digest}");
        rig.ask("ann", "PUT", &end)
            .bytes(&bytes[4000..])
            .expect(S::CREATED)
            .await;
    }
    assert_eq!(rig.stored().await, 1, "redundant copies go");
}

#[tokio::test]
async fn bad_input_leaves_nothing_behind() {
    let rig = Harness::new().await;
    let good = sha256(b"");
    for query in [
        "digest=sha256:short".to_owned(),
        "digest=blake3:aa".to_owned(),
        "digest-algorithm=md5".to_owned(),
        format!("mount={good}&mount={good}"),
        "mount=nonsense".to_owned(),
    ] {
        let path = format!("/v2/ann/new/blobs/uploads/?{query}");
        let told = rig
            .ask("ann", "POST", &path)
            .bytes(b"x")
            .expect(S::BAD_REQUEST)
            .await;
        assert_eq!(told.code(), "DIGEST_INVALID", "{query}");
    }
    let told = rig
        .ask("ann", "GET", &format!("/v2/ann/new/blobs/{good}"))
        .send()
        .await;
    assert_eq!(
        (told.status, told.code().as_str()),
        (S::NOT_FOUND, "NAME_UNKNOWN")
    );
}

#[tokio::test]
async fn an_upload_is_its_openers_alone() {
    let rig = Harness::new().await;
    rig.push("ann", "ann/app", b"to make it").await;
    let at = rig.open("ann", "ann/app").await;
    let elsewhere = at.replace("ann/app", "ann/other");
    rig.open("ann", "ann/other").await;
    for method in ["GET", "PATCH", "DELETE"] {
        rig.ask("ann", method, &elsewhere)
            .expect(S::NOT_FOUND)
            .await;
        rig.ask("bob", method, &at).expect(S::FORBIDDEN).await;
        rig.ask("", method, &at).expect(S::UNAUTHORIZED).await;
    }
    let op = rig.op("ann");
    let name = RepositoryName::parse("ann/app").unwrap();
    let repo = op.repo::<Administer>(&name).await.unwrap();
    grants::on_repository(&op, &repo, "bob", Some(Role::Write))
        .await
        .unwrap();
    rig.open("bob", "ann/app").await;
    rig.ask("bob", "GET", &at).expect(S::NOT_FOUND).await;
    rig.ask("ann", "GET", &at).expect(S::NO_CONTENT).await;
    rig.ask("ann", "GET", "/v2/ann/app/blobs/uploads/nonsense")
        .expect(S::NOT_FOUND)
        .await;
    rig.ask("ann", "DELETE", &at).expect(S::NO_CONTENT).await;
    rig.ask("ann", "GET", &at).expect(S::NOT_FOUND).await;
}

#[tokio::test]
async fn what_came_of_a_broken_body_counts() {
    let rig = Harness::new().await;
    let bytes = noise(5000, 7);
    let at = rig.open("ann", "ann/app").await;
    rig.ask("ann", "PATCH", &at)
        .stream(pieces(&bytes[..2000], true))
        .expect(S::BAD_REQUEST)
        .await;
    let status = rig.ask("ann", "HEAD", &at).expect(S::NO_CONTENT).await;
    assert_eq!(status.text("range"), "0-1999");
    // A PUT that breaks leaves the upload as it was, so the same PUT may come again.
    let end = format!("{at}?digest={}", sha256(&bytes));
    let last = |breaks| {
        rig.ask("ann", "PUT", &end)
            .stream(pieces(&bytes[2000..], breaks))
    };
    last(true).expect(S::BAD_REQUEST).await;
    last(false).expect(S::CREATED).await;
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_it_says_does_not_count() {
    let rig = Harness::new().await;
    let at = rig.open("ann", "ann/app").await;
    for (declared, method) in [("5", "PATCH"), ("3", "PATCH"), ("5", "PUT")] {
        let path = format!("{at}?digest={}", sha256(b"four"));
        let ask = rig
            .ask("ann", method, &path)
            .header("content-length", declared);
        let told = ask
            .stream(pieces(b"four", false))
            .expect(S::BAD_REQUEST)
            .await;
        assert_eq!(told.code(), "SIZE_INVALID");
        let status = rig.ask("ann", "GET", &at).expect(S::NO_CONTENT).await;
        assert_eq!(status.text("range"), "0-0");
    }
}

#[tokio::test]
async fn a_blob_has_a_largest_size() {
    let rig = Harness::with(with_uploads(|uploads| uploads.max_blob_bytes = Some(10))).await;
    let (fits, over) = (noise(10, 8), noise(11, 9));
    rig.push("ann", "ann/app", &fits).await;
    let path = format!("/v2/ann/app/blobs/uploads/?digest={}", sha256(&over));
    rig.ask("ann", "POST", &path)
        .bytes(&over)
        .expect(S::PAYLOAD_TOO_LARGE)
        .await;
    let unsized_body = rig.ask("ann", "POST", &path).stream(pieces(&over, false));
    unsized_body.expect(S::PAYLOAD_TOO_LARGE).await;
    let at = rig.open("ann", "ann/app").await;
    rig.ask("ann", "PATCH", &at)
        .bytes(&fits)
        .expect(S::ACCEPTED)
        .await;
    rig.ask("ann", "PATCH", &at)
        .bytes(b"x")
        .expect(S::PAYLOAD_TOO_LARGE)
        .await;
    let end = format!("{at}?digest={}", sha256(&fits));
    rig.ask("ann", "PUT", &end)
        .bytes(b"")
        .expect(S::CREATED)
        .await;
}

#[tokio::test]
async fn of_two_chunks_at_once_one_wins() {
    let rig = Harness::new().await;
    for round in 0..10 {
        let at = rig.open("ann", "ann/app").await;
        let (one, two) = (vec![b'1'; 300_000], vec![b'2'; 300_000]);
        let chunk = |bytes: &[u8]| {
            let ask = rig
                .ask("ann", "PATCH", &at)
                .header("content-range", "0-299999");
            ask.bytes(bytes).send()
        };
        let (first, second) = tokio::join!(chunk(&one), chunk(&two));
        let won = [&first, &second].map(|told| told.status == S::ACCEPTED);
        assert!(won[0] != won[1], "{round}: {first:?} {second:?}");
        let lost = if won[0] { second } else { first };
        assert!(
            matches!(lost.status, S::CONFLICT | S::RANGE_NOT_SATISFIABLE),
            "{lost:?}"
        );
        let end = format!("{at}?digest={}", sha256(if won[0] { &one } else { &two }));
        rig.ask("ann", "PUT", &end)
            .bytes(b"")
            .expect(S::CREATED)
            .await;
    }
}

#[tokio::test]
async fn of_two_ends_at_once_one_finds_the_upload_gone() {
    let rig = Harness::new().await;
    let bytes = noise(400_000, 10);
    let at = rig.open("ann", "ann/app").await;
    rig.ask("ann", "PATCH", &at)
        .bytes(&bytes)
        .expect(S::ACCEPTED)
        .await;
    let end = format!("{at}?digest={}", sha256(&bytes));
    let put = || rig.ask("ann", "PUT", &end).bytes(b"").send();
    let (first, second) = tokio::join!(put(), put());
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [S::CREATED, S::NOT_FOUND]);
}

#[tokio::test]
async fn one_blob_pushed_by_many_at_once_is_stored_once() {
    let rig = Harness::new().await;
    let bytes = noise(10_000, 11);
    let repositories: Vec<_> = (0..8)
        .map(|number| format!("ann/app{}", number % 3))
        .collect();
    let pushes = repositories
        .iter()
        .map(|repository| rig.push("ann", repository, &bytes));
    futures::future::join_all(pushes).await;
    assert_eq!(rig.stored().await, 1);
}

#[tokio::test]
async fn a_user_has_so_many_uploads_under_way_and_no_more() {
    let rig = Harness::with(with_uploads(|uploads| uploads.max_per_user = 2)).await;
    let mut opened = Vec::new();
    for _ in 0..4 {
        opened.push(rig.open("ann", "ann/app").await);
    }
    let patch = |number: usize| rig.ask("ann", "PATCH", &opened[number]).bytes(b"some");
    patch(0).expect(S::ACCEPTED).await;
    patch(1).expect(S::ACCEPTED).await;
    patch(2).expect(S::TOO_MANY_REQUESTS).await;
    patch(1).expect(S::ACCEPTED).await;
    let first = rig.ask("ann", "DELETE", &opened[0]);
    first.expect(S::NO_CONTENT).await;
    patch(2).expect(S::ACCEPTED).await;
    rig.advance(Duration::from_hours(2));
    patch(3).expect(S::ACCEPTED).await;
}

#[tokio::test]
async fn uploads_that_nobody_goes_on_with_are_removed() {
    let rig = Harness::new().await;
    let (old, young) = (
        rig.open("ann", "ann/app").await,
        rig.open("ann", "ann/app").await,
    );
    for at in [&old, &young] {
        rig.ask("ann", "PATCH", at)
            .bytes(b"some")
            .expect(S::ACCEPTED)
            .await;
    }
    let op = rig.op("");
    rig.advance(Duration::from_hours(167));
    rig.ask("ann", "PATCH", &young)
        .bytes(b"more")
        .expect(S::ACCEPTED)
        .await;
    rig.advance(Duration::from_hours(2));
    sweep(&rig.content, &op).await.unwrap();
    rig.ask("ann", "GET", &old).expect(S::NOT_FOUND).await;
    let status = rig.ask("ann", "GET", &young).expect(S::NO_CONTENT).await;
    assert_eq!(status.text("range"), "0-7");
    let left = op.transfers().idle_uploads(Duration::ZERO).await.unwrap();
    assert_eq!(left.len(), 1, "one file");
}

#[tokio::test]
async fn files_without_a_row_are_removed_when_they_are_old() {
    let rig = Harness::new().await;
    let op = rig.op("ann");
    let at = rig.open("ann", "ann/app").await;
    rig.ask("ann", "PATCH", &at)
        .bytes(b"some")
        .expect(S::ACCEPTED)
        .await;
    let uuid = uuid_of(&at);
    op.transaction(uuid, |tx, _op, uuid| {
        Box::pin(async move { Ok(tx.execute(&store::CANCEL, args![uuid]).await?) })
    })
    .await
    .unwrap();
    let files = || async {
        op.transfers()
            .idle_uploads(Duration::ZERO)
            .await
            .unwrap()
            .len()
    };
    sweep(&rig.content, &op).await.unwrap();
    assert_eq!(files().await, 1);
    rig.advance(Duration::from_hours(200));
    sweep(&rig.content, &op).await.unwrap();
    assert_eq!(files().await, 0);
}

fn with_uploads(change: impl FnOnce(&mut crate::UploadsConfig)) -> Config {
    let mut config = Config::default();
    change(&mut config.uploads);
    config
}
