//! How clients push blobs, well and badly: bodies, types, digests, lengths, time (protocol §6
//! to §8).

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use seawall_meta::fixture::damage;
use seawall_testkit::{Client, Request, TestApp, blob_of};
use seawall_types::digest::{Algorithm, Digest};

use crate::store;

type Piece = Result<Bytes, std::io::Error>;

/// A body that the test writes while it is sent.
pub(crate) struct SentBody {
    /// Done when the server first reads of it: then the request has passed the door.
    pub(crate) begun: oneshot::Receiver<()>,
    pen: mpsc::UnboundedSender<Piece>,
}

impl SentBody {
    pub(crate) fn with(request: Request) -> (Self, Request) {
        let (ring, begun) = oneshot::channel();
        let (pen, pieces) = mpsc::unbounded();
        let ringing = futures::stream::once(async move {
            let _ = ring.send(());
            Ok(Bytes::new())
        });
        (Self { begun, pen }, request.stream(ringing.chain(pieces)))
    }

    pub(crate) fn write(&self, bytes: impl Into<Bytes>) {
        self.pen.unbounded_send(Ok(bytes.into())).unwrap();
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

/// The conformance program's five ways to push, each with a digest and these bytes.
async fn pushed(ann: &Client, way: usize, digest: &Digest, bytes: &[u8]) -> (u16, Option<String>) {
    let half = bytes.len() / 2;
    if way == 0 {
        let post = ann.post(&format!("/v2/ann/app/blobs/uploads/?digest={digest}"));
        return (post.body(bytes.to_vec()).send().await.status.as_u16(), None);
    }
    let location = ann.open_upload("ann/app").await;
    let put = ann.put(&format!("{location}?digest={digest}"));
    let patch = |from: usize, to: usize| {
        ann.patch(&location)
            .header("content-range", &format!("{from}-{}", to - 1))
            .body(bytes[from..to].to_vec())
    };
    let answer = match way {
        1 => put.body(bytes.to_vec()).send().await,
        2 => {
            patch(0, half).send().await.expect(202);
            patch(half, bytes.len()).send().await.expect(202);
            put.send().await
        }
        3 => {
            patch(0, half).send().await.expect(202);
            let last = put.header("content-range", &format!("{half}-{}", bytes.len() - 1));
            last.body(bytes[half..].to_vec()).send().await
        }
        _ => {
            let stream = ann.patch(&location).streamed(bytes.to_vec(), 999);
            stream.send().await.expect(202);
            put.send().await
        }
    };
    if answer.status == 400 {
        assert_eq!(answer.code(), "DIGEST_INVALID");
    }
    (answer.status.as_u16(), Some(location))
}

#[tokio::test(flavor = "multi_thread")]
async fn however_it_is_pushed_the_digest_decides() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    for (way, algorithm) in (0..5).flat_map(|way| Algorithm::ALL.map(|a| (way, a))) {
        let bytes = blob_of(way as u64 + 10, 10_000);
        let (digest, wrong) = (
            Digest::of(algorithm, &bytes),
            Digest::of(algorithm, b"something else"),
        );
        let (status, location) = pushed(&ann, way, &wrong, &bytes).await;
        assert_eq!(status, 400, "{way}");
        for digest in [&digest, &wrong] {
            let head = ann.head(&format!("/v2/ann/app/blobs/{digest}"));
            head.send().await.expect(404);
        }
        if let Some(location) = location {
            let gone = ann.get(&location).send().await;
            gone.refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
        assert_eq!(pushed(&ann, way, &digest, &bytes).await.0, 201, "{way}");
        let got = ann.get(&format!("/v2/ann/app/blobs/{digest}")).send().await;
        assert_eq!(got.expect(200).body, bytes);
    }
    let report = app.verify().await;
    assert!(report.orphans.is_empty(), "{:?}", report.orphans);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_body_calls_itself_does_not_matter() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let kinds = [
        "application/octet-stream",
        "application/json",
        "text/plain; charset=utf-8",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "nonsense",
        "",
    ];
    for (i, kind) in kinds.into_iter().enumerate() {
        let bytes = blob_of(i as u64 + 1, 100);
        let digest = sha256(&bytes);
        let post = ann.post("/v2/ann/app/blobs/uploads/");
        let opened = post.header("content-type", kind).send().await.expect(202);
        let location = opened.header("location");
        let patch = ann.patch(location).header("content-type", kind);
        patch.body(bytes[..50].to_vec()).send().await.expect(202);
        let put = ann.put(&format!("{location}?digest={digest}"));
        let put = put.header("content-type", kind);
        put.body(bytes[50..].to_vec()).send().await.expect(201);
        let whole = ann.post(&format!("/v2/ann/app/blobs/uploads/?digest={digest}"));
        let whole = whole.header("content-type", kind).body(bytes);
        whole.send().await.expect(201);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locations_are_used_as_clients_use_them() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    // Without the slash, and with parameters that mean nothing here.
    let opened = ann
        .post("/v2/ann/app/blobs/uploads?origin=other.example&ns=x")
        .send()
        .await
        .expect(202);
    assert_eq!(opened.header("content-length"), "0");
    let location = opened.header("location");
    let uuid = opened.header("docker-upload-uuid");
    let (path, state) = location.split_once('.').unwrap();
    assert_eq!(path, format!("/v2/ann/app/blobs/uploads/{uuid}"));
    assert!(state.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"), "a random UUID");
    for path in ["/v2/ann/app/blobs/uploads/", "/v2/ann/app/blobs/uploads"] {
        for request in [
            ann.get(path),
            ann.head(path),
            ann.put(path),
            ann.delete(path),
        ] {
            let answer = request.send().await.refused(405, "UNSUPPORTED");
            assert_eq!(answer.header("allow"), "POST");
        }
    }
    ann.patch(location).body("abc").send().await.expect(202);
    let digest = sha256(b"abc");
    for query in [
        "",
        "?digest=sha256:nonsense",
        "?_state=x&digest=",
        "&digest=",
        "?digest=a&digest=b",
    ] {
        for request in [
            ann.get(&format!("{location}{query}")),
            ann.head(&format!("{location}{query}")),
        ] {
            let status = request.send().await.expect(204);
            assert_eq!(status.header("range"), "0-2");
            assert_eq!(status.header("location"), location);
            assert_eq!(status.header("docker-upload-uuid"), uuid);
        }
    }
    for odd in [
        format!("{location}/"),
        location
            .to_uppercase()
            .replace("/V2/ANN/APP/BLOBS/UPLOADS", "/v2/ann/app/blobs/uploads"),
    ] {
        let status = ann.get(&odd).send().await.status.as_u16();
        // A UUID is one whatever its case; with a slash behind it nothing is served.
        assert_eq!(status, if odd.ends_with('/') { 404 } else { 204 }, "{odd}");
    }
    let twice = format!("{location}?digest={digest}&digest={digest}");
    ann.put(&twice).send().await.refused(400, "DIGEST_INVALID");
    let escaped = digest.to_string().replace(':', "%3A");
    let put = ann.put(&format!("{location}?foo=b%20r&digest={escaped}&_state=%2F"));
    let done = put.send().await.expect(201);
    assert_eq!(done.digest(), digest);
    assert_eq!(done.header("content-length"), "0");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_location_carries_is_good_for_its_own_upload_only() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let (one, other) = (
        ann.open_upload("ann/app").await,
        ann.open_upload("ann/app").await,
    );
    let (path, _) = one.split_once('.').unwrap();
    let (_, state) = other.split_once('.').unwrap();
    let mixed = format!("{path}.{state}");
    let get = ann.get(&mixed).send().await;
    get.refused(404, "BLOB_UPLOAD_UNKNOWN");
    let patch = ann.patch(&mixed).body("x").send().await;
    patch.refused(404, "BLOB_UPLOAD_UNKNOWN");
    for own in [&one, &other] {
        ann.patch(own).body("x").send().await.expect(202);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_unknown_length_are_taken_everywhere() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(1, 600_000);
    let digest = sha256(&bytes);
    let location = ann.open_upload("ann/put").await;
    let put = ann.put(&format!("{location}?digest={digest}"));
    put.streamed(bytes.clone(), 7001).send().await.expect(201);
    let post = ann.post(&format!("/v2/ann/post/blobs/uploads/?digest={digest}"));
    post.streamed(bytes.clone(), 7001).send().await.expect(201);
    let location = ann.open_upload("ann/patch").await;
    for chunk in bytes.chunks(250_000) {
        let patch = ann.patch(&location).streamed(chunk.to_vec(), 7001);
        patch.send().await.expect(202);
    }
    let put = ann.put(&format!("{location}?digest={digest}"));
    put.streamed(Vec::new(), 1).send().await.expect(201);
    for name in ["ann/put", "ann/post", "ann/patch"] {
        let got = ann.get(&format!("/v2/{name}/blobs/{digest}")).send().await;
        assert_eq!(got.expect(200).body, bytes);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_is_not_true_commits_nothing() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let digest = sha256(b"abc");
    let blob = format!("/v2/ann/app/blobs/{digest}");
    for length in ["4", "2", "999"] {
        let location = ann.open_upload("ann/app").await;
        let sent = |request: Request| {
            let pieces = futures::stream::iter([Ok(Bytes::from_static(b"abc"))]);
            request.header("content-length", length).stream(pieces)
        };
        let patch = sent(ann.patch(&location)).send().await;
        patch.refused(400, "SIZE_INVALID");
        assert_eq!(ann.get(&location).send().await.header("range"), "0-0");
        let put = sent(ann.put(&format!("{location}?digest={digest}")));
        put.send().await.refused(400, "SIZE_INVALID");
        let post = ann.post(&format!("/v2/ann/app/blobs/uploads/?digest={digest}"));
        sent(post).send().await.refused(400, "SIZE_INVALID");
        ann.head(&blob).send().await.expect(404);
        // The session lives on.
        let put = ann.put(&format!("{location}?digest={digest}")).body("abc");
        put.send().await.expect(201);
        ann.delete(&blob).send().await.expect(202);
    }
    for length in ["-1", "x", "99999999999999999999999", "1, 1"] {
        let location = ann.open_upload("ann/app").await;
        let patch = ann.patch(&location).header("content-length", length);
        patch.send().await.refused(400, "SIZE_INVALID");
    }
    // More than any blob may have is refused before a byte of it comes.
    let location = ann.open_upload("ann/app").await;
    let (_written, patch) = SentBody::with(ann.patch(&location));
    let patch = patch.header("content-length", "1000000000000000");
    patch.send().await.refused(413, "SIZE_INVALID");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_algorithm_binds_nobody() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(4, 5000);
    for (announced, pushed) in [
        ("sha512", Algorithm::Sha256),
        ("sha256", Algorithm::Sha512),
        ("sha512", Algorithm::Sha512),
    ] {
        for chunked in [false, true] {
            let digest = Digest::of(pushed, &bytes);
            let open = format!("/v2/ann/app/blobs/uploads/?digest-algorithm={announced}");
            let opened = ann.post(&open).send().await.expect(202);
            let location = opened.header("location");
            let put = ann.put(&format!("{location}?digest={digest}"));
            let put = if chunked {
                let patch = ann.patch(location).body(bytes[..1000].to_vec());
                patch.send().await.expect(202);
                put.body(bytes[1000..].to_vec())
            } else {
                put.body(bytes.clone())
            };
            assert_eq!(put.send().await.expect(201).digest(), digest);
            let got = ann.get(&format!("/v2/ann/app/blobs/{digest}")).send().await;
            assert_eq!(got.expect(200).body, bytes);
        }
    }
    for algorithm in ["", "md5", "SHA512", "sha512,sha256", "sha384"] {
        let open = format!("/v2/ann/app/blobs/uploads/?digest-algorithm={algorithm}");
        ann.post(&open).send().await.refused(400, "DIGEST_INVALID");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_end_while_a_layer_is_under_way() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let token = ann.token_for(&["repository:ann/app:pull,push"]).await;
    let location = token.open_upload("ann/app").await;
    let (mut written, patch) = SentBody::with(token.patch(&location));
    let writing = async {
        (&mut written.begun).await.unwrap();
        written.write("first");
        app.advance(Duration::from_secs(1000)).await;
        written.write("second");
        drop(written);
    };
    let (answer, ()) = futures::join!(patch.send(), writing);
    assert_eq!(answer.expect(202).header("range"), "0-10");
    let late = token.get(&location).send().await;
    late.refused(401, "UNAUTHORIZED");
    // A new token goes on where the old one was.
    let token = ann.token_for(&["repository:ann/app:pull,push"]).await;
    let digest = sha256(b"firstsecond");
    let put = token.put(&format!("{location}?digest={digest}"));
    put.send().await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cancelled_under_way_takes_no_more() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let location = ann.open_upload("ann/app").await;
    let (mut written, patch) = SentBody::with(ann.patch(&location));
    let cancelling = async {
        (&mut written.begun).await.unwrap();
        written.write(blob_of(1, 700_000));
        ann.delete(&location).send().await.expect(204);
        written.write(blob_of(2, 700_000));
        drop(written);
    };
    let (answer, ()) = futures::join!(patch.send(), cancelling);
    answer.refused(404, "BLOB_UPLOAD_UNKNOWN");
    let get = ann.get(&location).send().await;
    get.refused(404, "BLOB_UPLOAD_UNKNOWN");
    let transfers = app.operator().transfers();
    let files = transfers.idle_uploads(Duration::ZERO);
    assert!(files.await.unwrap().is_empty(), "no bytes are left");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_in_a_repository_that_somebody_else_has_just_made() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let url = app.config().database.url.as_ref().unwrap().expose();
    ann.push_blob("ann/first", b"first").await;
    let location = ann.open_upload("ann/app").await;
    // As by a push beside this one, of whose end this process has not heard yet.
    damage(url, &[store::APP_IS_MADE.to_owned()]).await.unwrap();
    ann.patch(&location).body("bytes").send().await.expect(202);
    let digest = Digest::of(Algorithm::Sha256, b"bytes");
    let put = ann.put(&format!("{location}&digest={digest}"));
    put.send().await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_booked_only_where_the_upload_still_is() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let url = app.config().database.url.as_ref().unwrap().expose();
    // What a replica would do that does not see our locks, or whoever cancels: nothing is where it
    // was read.
    for meanwhile in [store::NEXT_GENERATION, store::ONE_MORE, store::CANCELLED] {
        let location = ann.open_upload("ann/app").await;
        ann.patch(&location).body("first").send().await.expect(202);
        let (mut written, patch) = SentBody::with(ann.patch(&location));
        let moving = async {
            (&mut written.begun).await.unwrap();
            damage(url, &[meanwhile.to_owned()]).await.unwrap();
            written.write("second");
            drop(written);
        };
        let (answer, ()) = futures::join!(patch.send(), moving);
        answer.refused(404, "BLOB_UPLOAD_UNKNOWN");
        damage(url, &[store::CANCELLED.to_owned()]).await.unwrap();
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_row_contradicts_itself_does_not_go_on() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let url = app.config().database.url.as_ref().unwrap().expose();
    let location = ann.open_upload("ann/app").await;
    ann.patch(&location).body("first").send().await.expect(202);
    damage(url, &[store::ONE_MORE.to_owned()]).await.unwrap();
    let get = ann.get(&location).send().await;
    get.refused(400, "BLOB_UPLOAD_INVALID");
    let patch = ann.patch(&location).body("second").send().await;
    patch.refused(400, "BLOB_UPLOAD_INVALID");
    damage(url, &[store::CANCELLED.to_owned()]).await.unwrap();
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closing_put_that_breaks_can_be_sent_again() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(9, 900_000);
    let digest = sha256(&bytes);
    let location = ann.open_upload("ann/app").await;
    let first = ann.patch(&location).body(bytes[..100_000].to_vec());
    first.send().await.expect(202);
    let put = || ann.put(&format!("{location}?digest={digest}"));
    let broken = [
        Ok(Bytes::copy_from_slice(&bytes[100_000..800_000])),
        Err(std::io::Error::other("the line is cut")),
    ];
    put().stream(futures::stream::iter(broken)).send().await;
    let status = ann.get(&location).send().await.expect(204);
    assert_eq!(status.header("range"), "0-99999");
    let rest = bytes[100_000..].to_vec();
    put().body(rest).send().await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_a_thousand_uploads_under_way() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let beginning = (0..1000).map(|_| async {
        let location = ann.open_upload("ann/app").await;
        ann.patch(&location).body("x").send().await.expect(202);
        location
    });
    let begun: Vec<_> = futures::stream::iter(beginning)
        .buffer_unordered(16)
        .collect()
        .await;
    // Opening one costs nothing and is not counted.
    let next = ann.open_upload("ann/app").await;
    let patch = || ann.patch(&next).body("x").send();
    let answer = patch().await.refused(429, "TOOMANYREQUESTS");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    ann.delete(&begun[0]).send().await.expect(204);
    patch().await.expect(202);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_empty_object_is_everybodys_blob() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let known = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let pushes = (0..12).map(|i| {
        let (client, name) = if i % 2 == 0 {
            (&ann, "ann")
        } else {
            (&bob, "bob")
        };
        async move { client.push_blob(&format!("{name}/app{i}"), b"{}").await }
    });
    for digest in futures::future::join_all(pushes).await {
        assert_eq!(digest.to_string(), known);
    }
    assert_eq!(app.verify().await.blobs, 1);
    app.finish().await;
}
