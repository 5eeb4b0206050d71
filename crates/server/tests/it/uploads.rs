//! Uploads whose requests overlap, or whose database is busy: what was acknowledged stays, and what
//! could not be done can be said again.

use std::path::Path;

use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use seawall_meta::fixture::OpenTransaction;
use seawall_testkit::{TestApp, blob_of};
use seawall_types::digest::{Algorithm, Digest};

use crate::store;

fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

fn has_files(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_overtakes_the_first_chunk_waits_for_it() {
    let app = TestApp::new().await;
    app.user("ann").await;
    for round in 0..3 {
        let name = format!("ann/new{round}");
        let scope = format!("repository:{name}:pull,push");
        let ann = app.known("ann").token_for(&[&scope]).await;
        let bytes = blob_of(round, 900_000);
        let location = ann.open_upload(&name).await;
        let (pen, pieces) = mpsc::unbounded::<Result<Bytes, std::io::Error>>();
        let (first, rest) = bytes.split_at(800_000);
        pen.unbounded_send(Ok(Bytes::copy_from_slice(first)))
            .unwrap();
        let patch = ann.patch(&location).stream(pieces.boxed()).send();
        let both_are_under_way = async || {
            app.eventually("both requests are under way", || async {
                let live = app.server.kernel.tracker().live();
                live.get("request").copied().unwrap_or_default() >= 2
            })
            .await;
            // As long as it takes to come to the upload itself, and much longer.
            for _ in 0..20 {
                ann.get("/v2/").send().await.expect(200);
            }
        };
        let put = async {
            // The upload has a file once a first buffer was full, and by then the chunk holds it.
            app.eventually("the chunk is being written", || async {
                has_files(&app.data().join("blobs/uploads"))
            })
            .await;
            // There is no repository yet, as far as this one knows.
            let put = ann.put(&format!("{location}?digest={}", sha256(&bytes)));
            put.send().await
        };
        let writing = async {
            both_are_under_way().await;
            pen.unbounded_send(Ok(Bytes::copy_from_slice(rest)))
                .unwrap();
            drop(pen);
        };
        let (patched, done, ()) = futures::join!(patch, put, writing);
        patched.expect(202);
        let done = done.expect(201);
        let got = ann.get(done.header("location")).send().await;
        assert_eq!(got.expect(200).body, bytes);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_put_off_can_be_said_again_and_leaves_nothing_behind() {
    let app = TestApp::with(|config| config.database.lock_timeout_ms = 100).await;
    let ann = app.user("ann").await;
    ann.push_blob("ann/app", b"to make it").await;
    let url = app.config().database.url.as_ref().unwrap().expose();
    let (chunked, whole) = (blob_of(1, 5000), blob_of(2, 700_000));
    let location = ann.open_upload("ann/app").await;
    let first = ann.patch(&location).body(chunked[..3000].to_vec());
    first.send().await.expect(202);
    let fresh = ann.open_upload("ann/app").await;
    let ends = || {
        let put = ann.put(&format!("{location}?digest={}", sha256(&chunked)));
        let last = put.body(chunked[3000..].to_vec());
        let put = ann.put(&format!("{fresh}?digest={}", sha256(&whole)));
        let post = format!("/v2/ann/app/blobs/uploads/?digest={}", sha256(&whole));
        let all = [
            last,
            put.body(whole.clone()),
            ann.post(&post).body(whole.clone()),
        ];
        futures::future::join_all(all.map(seawall_testkit::Request::send))
    };
    let standing = OpenTransaction::open(url, &[store::LOCK_UPLOADS, store::LOCK_REPOSITORIES]);
    let standing = standing.await.unwrap();
    for answer in ends().await {
        let answer = answer.refused(503, "UNAVAILABLE");
        assert!(answer.has("retry-after"));
    }
    standing.end().await.unwrap();
    let status = ann.get(&location).send().await.expect(204);
    assert_eq!(status.header("range"), "0-2999");
    let report = app.verify().await;
    assert!(report.orphans.is_empty(), "{:?}", report.orphans);

    for answer in ends().await {
        let done = answer.expect(201);
        let got = ann.get(done.header("location")).send().await.expect(200);
        assert_eq!(sha256(&got.body), done.digest());
    }
    let report = app.verify().await;
    assert!(report.orphans.is_empty(), "{:?}", report.orphans);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_for_what_it_is() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let nothing = sha256(b"");
    let blob = |name: &str| format!("/v2/{name}/blobs/{nothing}");
    let uploads = "/v2/ann/app/blobs/uploads/";

    // Whole, with a length and without one; asked for with a digest of something, it is an upload.
    let whole = ann.post(&format!("{uploads}?digest={nothing}"));
    whole.body("").send().await.expect(201);
    let whole = ann.post(&format!("{uploads}?digest={nothing}"));
    whole.streamed("", 1).send().await.expect(201);
    let something = sha256(b"something");
    for post in [
        ann.post(&format!("{uploads}?digest={something}")).body(""),
        ann.post(&format!("{uploads}?digest={something}")),
    ] {
        let opened = post.send().await.expect(202);
        let put = format!("{}?digest={something}", opened.header("location"));
        let put = ann.put(&put).body("something");
        put.send().await.expect(201);
    }

    // By an end alone, with any length and range.
    for range in [None, Some("0-0"), Some("0--1"), Some("7-9"), Some("")] {
        for sized in [false, true] {
            let location = ann.open_upload("ann/app").await;
            let ask = |request: seawall_testkit::Request| {
                let request = match range {
                    Some(range) => request.header("content-range", range),
                    None => request,
                };
                if sized { request.body("") } else { request }
            };
            let told = ask(ann.patch(&location)).send().await.expect(202);
            assert_eq!(told.header("range"), "0-0");
            assert_eq!(told.header("location"), location);
            let status = ann.get(&location).send().await.expect(204);
            assert_eq!(status.header("range"), "0-0");
            let put = ask(ann.put(&format!("{location}?digest={nothing}")));
            put.send().await.expect(201);
            // Nothing, between something and its end.
            let location = ann.open_upload("ann/app").await;
            let patch = ann.patch(&location).header("content-range", "0-2");
            patch.body("abc").send().await.expect(202);
            let told = ask(ann.patch(&location)).send().await.expect(202);
            assert_eq!(told.header("range"), "0-2");
            let put = ask(ann.put(&format!("{location}?digest={}", sha256(b"abc"))));
            put.send().await.expect(201);
        }
    }
    let location = ann.open_upload("ann/app").await;
    ann.delete(&location).send().await.expect(204);

    let post = format!("/v2/ann/other/blobs/uploads/?mount={nothing}&from=ann/app");
    ann.post(&post).send().await.expect(201);
    for name in ["ann/app", "ann/other"] {
        let head = ann.head(&blob(name)).send().await.expect(200);
        assert_eq!(head.header("content-length"), "0");
        for range in [
            "bytes=0-",
            "bytes=0-0",
            "bytes=0-1023",
            "bytes=-5",
            "items=0-",
        ] {
            let got = ann.get(&blob(name)).header("range", range).send().await;
            let got = got.expect(200);
            assert_eq!(got.header("content-length"), "0", "{range}");
            assert!(got.body.is_empty() && !got.has("content-range"));
        }
        for range in ["bytes=1-", "bytes=5-0", "bytes=-0"] {
            let got = ann.get(&blob(name)).header("range", range).send().await;
            let got = got.refused(416, "SIZE_INVALID");
            assert_eq!(got.header("content-range"), "bytes */0", "{range}");
        }
        ann.delete(&blob(name)).send().await.expect(202);
    }
    app.finish().await;
}
