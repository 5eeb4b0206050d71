//! The wire format, to the byte: what clients parse does not change by accident.
//!
//! Snapshots are committed; `INSTA_UPDATE=no` refuses any other answer, and is what CI says.

use std::collections::BTreeMap;

use seawall_testkit::{TestApp, TestImage, TestResponse, blob_of};
use seawall_types::digest::{Algorithm, Digest};
use seawall_types::permission::Visibility;
use serde_json::{Value, json};

/// An answer as it is snapshotted: what differs from run to run is masked.
fn seen(answer: &TestResponse) -> Value {
    let mask = |name: &str, value: &str| match name {
        "x-request-id" | "date" | "docker-upload-uuid" => "[…]".to_owned(),
        "location" => masked(value),
        "www-authenticate" => {
            value
                .split("service=\"")
                .enumerate()
                .fold(String::new(), |text, (index, part)| match index {
                    0 => part.to_owned(),
                    _ => format!("{text}service=\"[…]{}", &part[36..]),
                })
        }
        _ => value.to_owned(),
    };
    let headers: BTreeMap<_, _> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), mask(name.as_str(), value.to_str().unwrap())))
        .collect();
    let body = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(json) => json,
        Err(_) => json!(String::from_utf8_lossy(&answer.body)),
    };
    json!({ "status": answer.status.as_u16(), "headers": headers, "body": body })
}

/// The session's id in a location differs each time.
fn masked(location: &str) -> String {
    match location.split_once("/blobs/uploads/") {
        Some((before, _)) => format!("{before}/blobs/uploads/[…]"),
        None => location.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_errors() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let token = ann.token_for(&["repository:ann/app:pull"]).await;
    let none = Digest::of(Algorithm::Sha256, b"none");
    let location = ann.open_upload("ann/app").await;
    let manifest = |reference: &str, body: &str| {
        let put = ann.put(&format!("/v2/ann/app/manifests/{reference}"));
        put.header("content-type", image.media_type())
            .body(body.to_owned())
    };
    let dangling = TestImage::new(2, 1).manifest();
    let dangling = String::from_utf8(dangling).unwrap();
    let asked = [
        ("unauthenticated", app.anonymous().get("/v2/")),
        (
            "unauthenticated, repository",
            app.anonymous().get("/v2/ann/app/tags/list"),
        ),
        (
            "invalid token",
            app.anonymous().with_token("no.good.token").get("/v2/"),
        ),
        (
            "wrong password",
            app.anonymous().with_password("ann", "wrong").get("/v2/"),
        ),
        (
            "insufficient scope",
            token.post("/v2/ann/app/blobs/uploads/"),
        ),
        ("name invalid", ann.get("/v2/Ann/app/tags/list")),
        ("name unknown", ann.get("/v2/ann/none/tags/list")),
        ("manifest unknown", ann.get("/v2/ann/app/manifests/none")),
        (
            "blob unknown",
            ann.get(&format!("/v2/ann/app/blobs/{none}")),
        ),
        (
            "upload unknown",
            ann.get("/v2/ann/app/blobs/uploads/00000000-0000-4000-8000-000000000000"),
        ),
        ("digest invalid", ann.get("/v2/ann/app/blobs/sha256:abc")),
        (
            "digest mismatch",
            ann.put(&format!("{location}?digest={none}")).body("other"),
        ),
        ("manifest invalid", manifest("v2", "{}")),
        ("missing references", manifest("v2", &dangling)),
        ("page invalid", ann.get("/v2/ann/app/tags/list?n=x")),
        ("route unknown", ann.get("/v2/ann")),
        ("wrong method", ann.post("/v2/ann/app/tags/list")),
        ("not the api", ann.get("/nothing")),
    ];
    let mut answers = BTreeMap::new();
    for (name, request) in asked {
        answers.insert(name, seen(&request.send().await));
    }
    insta::assert_json_snapshot!("errors", answers);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listings() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    for name in ["ann/app", "ann/other"] {
        for tag in ["v2", "v10", "latest"] {
            ann.push(name, tag, &image).await;
        }
    }
    let subject = json!({ "mediaType": image.media_type(), "digest": image.digest().to_string(), "size": image.manifest().len() });
    let signature = TestImage::new(2, 1)
        .saying("subject", subject)
        .saying("artifactType", json!("application/vnd.example.signature"))
        .saying("annotations", json!({ "org.example.by": "ann" }));
    ann.push("ann/app", "signature", &signature).await;
    let digest = image.digest();
    let mut answers = BTreeMap::new();
    for (name, path) in [
        ("tags", "/v2/ann/app/tags/list".to_owned()),
        ("tags, first page", "/v2/ann/app/tags/list?n=2".to_owned()),
        (
            "tags, after the last",
            "/v2/ann/app/tags/list?last=zzz".to_owned(),
        ),
        ("catalog", "/v2/_catalog".to_owned()),
        ("catalog, first page", "/v2/_catalog?n=1".to_owned()),
        ("referrers", format!("/v2/ann/app/referrers/{digest}")),
        (
            "referrers, of one type",
            format!(
                "/v2/ann/app/referrers/{digest}?artifactType=application/vnd.example.signature"
            ),
        ),
        (
            "referrers, of nothing",
            format!("/v2/ann/other/referrers/{digest}"),
        ),
    ] {
        let client = if name.starts_with("catalog") {
            app.admin()
        } else {
            ann.clone()
        };
        answers.insert(name, seen(&client.get(&path).send().await.expect(200)));
    }
    insta::assert_json_snapshot!("listings", answers);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_and_blobs() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let text = b"a layer, as far as the registry can tell".to_vec();
    let digest = ann.push_blob("ann/app", &text).await;
    let blob = format!("/v2/ann/app/blobs/{digest}");
    let manifest = "/v2/ann/app/manifests/v1";
    let etag = format!("\"{}\"", image.digest());
    let mut answers = BTreeMap::new();
    for (name, request) in [
        ("manifest GET", ann.get(manifest)),
        ("manifest HEAD", ann.head(manifest)),
        (
            "manifest 304",
            ann.get(manifest).header("if-none-match", &etag),
        ),
        ("blob GET", ann.get(&blob)),
        ("blob HEAD", ann.head(&blob)),
        ("blob 206", ann.get(&blob).header("range", "bytes=2-6")),
        ("blob 416", ann.get(&blob).header("range", "bytes=4000-")),
        ("manifest DELETE", ann.delete(manifest)),
    ] {
        answers.insert(name, seen(&request.send().await));
    }
    insta::assert_json_snapshot!("manifests_and_blobs", answers);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bytes = blob_of(1, 100);
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let open = ann.post("/v2/ann/app/blobs/uploads/").send().await;
    let location = open.header("location").to_owned();
    let mut answers = vec![("POST 202", seen(&open))];
    for (name, request) in [
        (
            "PATCH 202",
            ann.patch(&location)
                .header("content-range", "0-49")
                .body(bytes[..50].to_vec()),
        ),
        ("GET 204", ann.get(&location)),
        (
            "PATCH 416",
            ann.patch(&location)
                .header("content-range", "10-19")
                .body(bytes[10..20].to_vec()),
        ),
        (
            "PUT 201",
            ann.put(&format!("{location}?digest={digest}"))
                .body(bytes[50..].to_vec()),
        ),
        (
            "mount 201",
            ann.post(&format!(
                "/v2/ann/other/blobs/uploads/?mount={digest}&from=ann/app"
            )),
        ),
        (
            "POST 201",
            ann.post(&format!("/v2/ann/app/blobs/uploads/?digest={digest}"))
                .body(bytes.clone()),
        ),
    ] {
        answers.push((name, seen(&request.send().await)));
    }
    let cancelled = ann.open_upload("ann/app").await;
    answers.push(("cancel 204", seen(&ann.delete(&cancelled).send().await)));
    let image = TestImage::new(1, 0);
    ann.push_blob("ann/app", &image.config).await;
    let put = ann
        .put("/v2/ann/app/manifests/v1")
        .header("content-type", image.media_type());
    answers.push((
        "manifest 201",
        seen(&put.body(image.manifest()).send().await),
    ));
    insta::assert_json_snapshot!("uploads", answers);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_and_the_front_page() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    app.set_visibility("ann/app", Visibility::Public).await;
    let token = ann.get("/v2/auth?service=x&scope=repository:ann/app:pull,push");
    let mut token = seen(&token.send().await.expect(200));
    assert_eq!(token["body"]["token"], token["body"]["access_token"]);
    for key in ["token", "access_token", "issued_at"] {
        assert!(token["body"][key].is_string(), "{token}");
        token["body"][key] = json!("[…]");
    }
    // Its length is that of the token.
    token["headers"]["content-length"] = json!("[…]");
    insta::assert_json_snapshot!("token", token);
    let page = app.anonymous().get("/").send().await.expect(200);
    insta::assert_snapshot!("front_page", String::from_utf8(page.body.to_vec()).unwrap());
    app.finish().await;
}
