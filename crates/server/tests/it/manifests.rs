//! Pushing and pulling manifests (protocol §4 and §9).

use seawall_testkit::{Client, TestApp, TestImage, blob_of};
use seawall_types::digest::{Algorithm, Digest};
use serde_json::{Value, json};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

async fn put(
    client: &Client,
    reference: &str,
    kind: &str,
    body: &str,
) -> seawall_testkit::TestResponse {
    let put = client.put(&format!("/v2/ann/app/manifests/{reference}"));
    put.header("content-type", kind)
        .body(body.to_owned())
        .send()
        .await
}

fn index_of(children: &[(&str, &[u8])]) -> Value {
    let children: Vec<_> = children
        .iter()
        .map(|(kind, bytes)| TestImage::descriptor(kind, bytes))
        .collect();
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_comes_back_as_the_very_bytes() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 2);
    for blob in image.blobs() {
        ann.push_blob("ann/app", &blob).await;
    }
    let odd = format!("\n  {}\n\n", String::from_utf8(image.manifest()).unwrap());
    let pushed = put(&ann, "v1", &format!("{IMAGE}; charset=utf-8"), &odd)
        .await
        .expect(201);
    let digest = Digest::of(Algorithm::Sha256, odd.as_bytes());
    assert_eq!(pushed.digest(), digest);
    assert_eq!(
        pushed.header("location"),
        format!("/v2/ann/app/manifests/{digest}")
    );
    for reference in ["v1".to_owned(), digest.to_string()] {
        let path = format!("/v2/ann/app/manifests/{reference}");
        let got = ann
            .get(&path)
            .header("accept", DOCKER)
            .send()
            .await
            .expect(200);
        assert_eq!(got.body, odd.as_bytes());
        assert_eq!(got.header("content-type"), IMAGE);
        assert_eq!(got.digest(), digest);
        let head = ann.head(&path).send().await.expect(200);
        assert_eq!(head.header("content-length"), odd.len().to_string());
        for name in ["content-type", "docker-content-digest", "etag"] {
            assert_eq!(head.header(name), got.header(name), "{name}");
        }
        let known = ann.get(&path).header("if-none-match", got.header("etag"));
        known.send().await.expect(304);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_that_is_named_must_be_the_digest() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let body = String::from_utf8(image.manifest()).unwrap();
    let digest = image.digest();
    put(&ann, &digest.to_string(), IMAGE, &body)
        .await
        .expect(201);
    let spaced = format!("{body} ");
    put(&ann, &digest.to_string(), IMAGE, &spaced)
        .await
        .refused(400, "DIGEST_INVALID");
    put(&ann, "sha256:baddigeststring", IMAGE, &body)
        .await
        .refused(400, "DIGEST_INVALID");
    let long = Digest::of(Algorithm::Sha512, body.as_bytes());
    put(&ann, &long.to_string(), IMAGE, &body).await.expect(201);
    let got = ann
        .get(&format!("/v2/ann/app/manifests/{long}"))
        .send()
        .await
        .expect(200);
    assert_eq!((got.digest(), got.body.as_ref()), (long, body.as_bytes()));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_missing_blobs_are_named_at_once() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 3);
    ann.push_blob("ann/app", &image.layers[0]).await;
    let body = String::from_utf8(image.manifest()).unwrap();
    let answer = put(&ann, "v1", IMAGE, &body)
        .await
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    assert_eq!(errors.len(), 3);
    for missing in [&image.config, &image.layers[1], &image.layers[2]] {
        let digest = Digest::of(Algorithm::Sha256, missing).to_string();
        assert!(
            errors
                .iter()
                .any(|error| error["detail"] == digest.as_str()),
            "{digest}"
        );
    }
    // Blobs of another repository are not here.
    ann.push("ann/other", "v1", &image).await;
    put(&ann, "v1", IMAGE, &body)
        .await
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
    ann.head("/v2/ann/app/manifests/v1")
        .send()
        .await
        .expect(404);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_names_manifests_or_blobs_that_are_here() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let (one, two) = (TestImage::new(1, 1), TestImage::new(2, 1));
    ann.push("ann/app", &one.digest().to_string(), &one).await;
    let cache = b"{\"cache\":true}";
    let body = index_of(&[
        (IMAGE, &one.manifest()),
        ("application/vnd.buildkit.cacheconfig.v0", cache),
    ]);
    put(&ann, "multi", INDEX, &body.to_string())
        .await
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
    ann.push_blob("ann/app", cache).await;
    put(&ann, "multi", INDEX, &body.to_string())
        .await
        .expect(201);
    let sparse = index_of(&[(IMAGE, &one.manifest()), (IMAGE, &two.manifest())]);
    let refused = put(&ann, "sparse", INDEX, &sparse.to_string()).await;
    refused.refused(400, "MANIFEST_BLOB_UNKNOWN");
    let nested = index_of(&[(INDEX, body.to_string().as_bytes())]);
    put(&ann, "nested", INDEX, &nested.to_string())
        .await
        .expect(201);
    put(&ann, "empty", INDEX, &index_of(&[]).to_string())
        .await
        .expect(201);
    let mut list = index_of(&[(IMAGE, &one.manifest())]);
    list["mediaType"] = LIST.into();
    put(&ann, "list", LIST, &list.to_string()).await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_and_broken_documents_are_refused() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let good: Value = serde_json::from_slice(&image.manifest()).unwrap();
    let with = |key: &str, value: Value| {
        let mut changed = good.clone();
        changed[key] = value;
        changed.to_string()
    };
    let text = good.to_string();
    let bad = [
        with("manifests", json!([])),
        with("mediaType", INDEX.into()),
        with("schemaVersion", 1.into()),
        with("schemaVersion", json!(2.5)),
        with("fsLayers", json!([])),
        with("Layers", json!([])),
        with("MediaType", IMAGE.into()),
        text.replacen('{', "{\"schemaVersion\":2,", 1),
        text.replacen("\"size\":", "\"size\":-", 1),
        text.replacen("\"size\":", "\"size\":1e3,\"x\":", 1),
        format!("\u{feff}{text}"),
        format!("{text}x"),
        format!("{text}{{}}"),
        "[]".to_owned(),
        "null".to_owned(),
        String::new(),
        "[".repeat(100_000),
    ];
    for body in bad {
        let answer = put(&ann, "bad", IMAGE, &body).await.expect(400);
        let code = answer.code();
        assert!(
            matches!(code.as_str(), "MANIFEST_INVALID" | "SIZE_INVALID"),
            "{code}: {body:.80}"
        );
    }
    put(&ann, "bad", "application/json", &text)
        .await
        .expect(400);
    put(
        &ann,
        "bad",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        &text,
    )
    .await
    .expect(400);
    ann.get("/v2/ann/app/manifests/bad")
        .send()
        .await
        .refused(404, "MANIFEST_UNKNOWN");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_layers_need_not_be_here() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 0);
    let foreign = |kind: &str, urls: Value| {
        let mut layer = TestImage::descriptor(kind, b"elsewhere");
        layer["urls"] = urls;
        let image = image.clone().saying("layers", json!([layer]));
        String::from_utf8(image.manifest()).unwrap()
    };
    ann.push_blob("ann/app", &image.config).await;
    let kind = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let urls = json!(["https://store.example.com/blob"]);
    put(&ann, "v1", IMAGE, &foreign(kind, urls.clone()))
        .await
        .expect(201);
    put(&ann, "v2", IMAGE, &foreign(kind, json!([])))
        .await
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
    let plain = "application/vnd.oci.image.layer.v1.tar+gzip";
    put(&ann, "v2", IMAGE, &foreign(plain, urls))
        .await
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_push_sets_many_tags() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v0", &image).await;
    let digest = image.digest();
    let push = |query: &str| {
        let put = ann.put(&format!("/v2/ann/app/manifests/{digest}?{query}"));
        put.header("content-type", IMAGE)
            .body(image.manifest())
            .send()
    };
    let tags: Vec<_> = (1..=12).map(|i| format!("tag=t{i}")).collect();
    let done = push(&format!("{}&tag=t1", tags.join("&")))
        .await
        .expect(201);
    let told: Vec<_> = done
        .headers
        .get_all("oci-tag")
        .iter()
        .flat_map(|value| value.to_str().unwrap().split(','))
        .map(|tag| tag.trim().to_owned())
        .collect();
    assert_eq!(told.len(), 12, "{told:?}");
    ann.pull("ann/app", "t12", &image).await;
    push("tag=good&tag=-bad").await.expect(400);
    push("tag=").await.expect(400);
    ann.get("/v2/ann/app/manifests/good")
        .send()
        .await
        .expect(404);
    let many: Vec<_> = (0..100).map(|i| format!("tag=m{i}")).collect();
    push(&many.join("&")).await.expect(414);
    let by_tag = ann
        .put("/v2/ann/app/manifests/v0?tag=x")
        .header("content-type", IMAGE);
    by_tag.body(image.manifest()).send().await.expect(400);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_guard_a_tag() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let (one, two) = (TestImage::new(1, 1), TestImage::new(2, 1));
    for image in [&one, &two] {
        ann.push("ann/app", &image.digest().to_string(), image)
            .await;
    }
    let push = |image: &TestImage, name: &str, value: &str| {
        let put = ann
            .put("/v2/ann/app/manifests/v1")
            .header("content-type", IMAGE);
        put.header(name, value).body(image.manifest()).send()
    };
    push(&one, "if-match", "*").await.refused(412, "DENIED");
    push(&one, "if-none-match", "*").await.expect(201);
    push(&two, "if-none-match", "*")
        .await
        .refused(412, "DENIED");
    push(&two, "if-match", &format!("\"{}\"", two.digest()))
        .await
        .refused(412, "DENIED");
    ann.pull("ann/app", "v1", &one).await;
    push(&two, "if-match", &format!("\"{}\"", one.digest()))
        .await
        .expect(201);
    ann.pull("ann/app", "v1", &two).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_pushes_to_one_tag_one_is_last_and_all_succeed() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let images: Vec<_> = (1..=8).map(|seed| TestImage::new(seed, 1)).collect();
    let pushes = images
        .iter()
        .map(|image| ann.push("ann/app", "latest", image));
    let digests = futures::future::join_all(pushes).await;
    let got = ann
        .get("/v2/ann/app/manifests/latest")
        .send()
        .await
        .expect(200);
    assert!(digests.contains(&got.digest()));
    let listed = ann
        .get("/v2/ann/app/tags/list")
        .send()
        .await
        .expect(200)
        .json();
    assert_eq!(listed["tags"], json!(["latest"]));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_in_a_descriptor_must_be_its_bytes() {
    use base64::Engine;
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v0", &image).await;
    let mut manifest: Value = serde_json::from_slice(&image.manifest()).unwrap();
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    manifest["config"]["data"] = encode(&image.config).into();
    put(&ann, "v1", IMAGE, &manifest.to_string())
        .await
        .expect(201);
    manifest["config"]["data"] = encode(&blob_of(1, image.config.len())).into();
    put(&ann, "v2", IMAGE, &manifest.to_string())
        .await
        .refused(400, "MANIFEST_INVALID");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_manifest_is_taken_up_to_the_limit() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let notes: serde_json::Map<_, _> = (0..390)
        .map(|i| (format!("note{i}"), "x".repeat(10_000).into()))
        .collect();
    let image = TestImage::new(1, 1).saying("annotations", notes.into());
    assert!(image.manifest().len() > 3_900_000);
    ann.push("ann/app", "big", &image).await;
    ann.pull("ann/app", "big", &image).await;
    app.finish().await;
}
