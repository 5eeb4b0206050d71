//! What is pushed as a manifest in the wild, and what is refused (protocol §9, §12).

use http::Method;
use seawall_testkit::{Client, TestApp, TestImage};
use seawall_types::digest::{Algorithm, Digest};
use serde_json::{Value, json};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Pushes a manifest of this content under a tag and by its digest, and pulls it back.
async fn round_trip(ann: &Client, kind: &str, manifest: &Value) {
    let body = manifest.to_string().into_bytes();
    let digest = Digest::of(Algorithm::Sha256, &body);
    for reference in ["v1".to_owned(), digest.to_string()] {
        let path = format!("/v2/ann/app/manifests/{reference}");
        let put = ann.put(&path).header("content-type", kind);
        let done = put.body(body.clone()).send().await.expect(201);
        assert_eq!(done.digest(), digest);
        let location = format!("/v2/ann/app/manifests/{digest}");
        assert_eq!(done.header("location"), location);
        for path in [&path, &location] {
            let got = ann.get(path).send().await.expect(200);
            assert_eq!(got.header("content-type"), kind);
            assert_eq!((got.digest(), got.body.as_ref()), (digest, body.as_slice()));
        }
    }
}

fn image(kind: &str, config: (&str, &[u8]), layers: &[(&str, &[u8])]) -> Value {
    let layers: Vec<_> = layers
        .iter()
        .map(|(kind, bytes)| TestImage::descriptor(kind, bytes))
        .collect();
    json!({
        "schemaVersion": 2, "mediaType": kind,
        "config": TestImage::descriptor(config.0, config.1), "layers": layers,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn types_of_configs_and_layers_are_nobodys_business() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let (config, layer, empty) = (&b"{\"a\":1}"[..], &b"layer"[..], &b""[..]);
    for bytes in [config, layer, empty, b"{}"] {
        ann.push_blob("ann/app", bytes).await;
    }
    let docker = "application/vnd.docker.container.image.v1+json";
    let rootfs = "application/vnd.docker.image.rootfs.diff.tar";
    let helm = "application/vnd.cncf.helm.config.v1+json";
    let chart = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    let nothing = "application/vnd.oci.empty.v1+json";
    for (kind, config, layers) in [
        (
            DOCKER,
            (docker, config),
            vec![(rootfs, layer), (rootfs, layer)],
        ),
        (
            DOCKER,
            ("application/vnd.docker.plugin.v1+json", config),
            vec![],
        ),
        (
            DOCKER,
            (docker, config),
            vec![("application/vnd.docker.image.rootfs.diff.tar.zstd", layer)],
        ),
        (IMAGE, (helm, config), vec![(chart, layer)]),
        (
            IMAGE,
            ("application/vnd.sylabs.sif.config.v1+json", empty),
            vec![("appliciation/vnd.sylabs.sif.layer.tar", layer)],
        ),
        (IMAGE, (nothing, b"{}"), vec![(nothing, b"{}")]),
        (
            IMAGE,
            ("application/vnd.buildkit.cacheconfig.v0", config),
            vec![("application/vnd.oci.image.layer.v1.tar+zstd", layer)],
        ),
        (
            IMAGE,
            ("application/vnd.wasm.config.v0+json", config),
            vec![("application/wasm", layer)],
        ),
        (
            IMAGE,
            (helm, config),
            vec![("application/vnd.in-toto+json", layer)],
        ),
    ] {
        round_trip(&ann, kind, &image(kind, config, &layers)).await;
    }
    let mut odd = image(IMAGE, (nothing, b"{}"), &[(chart, layer)]);
    odd["artifactType"] = "application/vnd.example+json".into();
    odd["x-custom"] = json!({ "anything": [1, 2.5, null, true] });
    odd["config"]["data"] = "e30=".into();
    odd["config"]["custom"] = "field".into();
    odd["layers"][0]["annotations"] = json!({ "a": "b" });
    round_trip(&ann, IMAGE, &odd).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_lists_whatever_is_here() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let child = TestImage::new(1, 1);
    ann.push("ann/app", "child", &child).await;
    let mut entry = TestImage::descriptor(IMAGE, &child.manifest());
    let with =
        |entries: Value| json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    round_trip(&ann, INDEX, &with(json!([entry, entry]))).await;
    entry["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
    entry["annotations"] = json!({ "vnd.docker.reference.type": "attestation-manifest" });
    round_trip(&ann, INDEX, &with(json!([entry]))).await;
    let layer = Digest::of(Algorithm::Sha256, &child.layers[0]).to_string();
    let cache = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer,
        "size": child.layers[0].len(),
    });
    round_trip(&ann, INDEX, &with(json!([cache]))).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_type_is_said_by_the_head_or_by_the_body() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v0", &image).await;
    let body = image.manifest();
    let mut silent: Value = serde_json::from_slice(&body).unwrap();
    silent.as_object_mut().unwrap().remove("mediaType");
    let silent = silent.to_string().into_bytes();
    for (kind, body, status) in [
        (None, &body, 201),
        (Some(IMAGE), &silent, 201),
        (
            Some("application/vnd.oci.image.manifest.v1+json ; charset=utf-8"),
            &body,
            201,
        ),
        (None, &silent, 400),
        (Some(DOCKER), &body, 400),
        (Some(INDEX), &silent, 400),
        (Some(""), &body, 400),
        (Some("json"), &body, 400),
        (Some("application/json"), &body, 400),
        (Some("application/octet-stream"), &body, 400),
        (
            Some("application/vnd.docker.distribution.manifest.v1+json"),
            &body,
            400,
        ),
        (
            Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
            &body,
            400,
        ),
        (
            Some("application/vnd.oci.artifact.manifest.v1+json"),
            &silent,
            400,
        ),
    ] {
        let mut put = ann.put("/v2/ann/app/manifests/v1");
        if let Some(kind) = kind {
            put = put.header("content-type", kind);
        }
        let answer = put.body(body.clone()).send().await.expect(status);
        if status == 400 {
            assert_eq!(answer.code(), "MANIFEST_INVALID", "{kind:?}");
        } else {
            let got = ann.get("/v2/ann/app/manifests/v1").send().await;
            assert_eq!(got.expect(200).header("content-type"), IMAGE);
        }
    }
    // One digest is one thing: the same bytes are not taken under another type.
    let put = ann
        .put("/v2/ann/app/manifests/v1")
        .header("content-type", DOCKER);
    let answer = put.body(silent).send().await;
    answer.refused(400, "MANIFEST_INVALID");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_one_and_bytes_that_are_no_text_are_refused() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v0", &image).await;
    let one = json!({
        "schemaVersion": 1, "name": "ann/app", "tag": "v1", "architecture": "amd64",
        "fsLayers": [], "history": [], "signatures": [],
    });
    let mut latin = image.manifest();
    let at = latin.windows(2).position(|pair| pair == b"v1").unwrap();
    latin[at] = 0xe4;
    let deep = |depth: usize| {
        let text = String::from_utf8(image.manifest()).unwrap();
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        text.replacen('{', &format!("{{\"x\":{nested},"), 1)
    };
    for (kind, body) in [
        (IMAGE, one.to_string().into_bytes()),
        (
            "application/vnd.docker.distribution.manifest.v1+json",
            one.to_string().into_bytes(),
        ),
        (IMAGE, latin),
        (IMAGE, deep(1000).into_bytes()),
        (IMAGE, b"{".to_vec()),
    ] {
        let put = ann
            .put("/v2/ann/app/manifests/v1")
            .header("content-type", kind);
        let answer = put.body(body).send().await;
        answer.refused(400, "MANIFEST_INVALID");
    }
    let put = ann
        .put("/v2/ann/app/manifests/v1")
        .header("content-type", IMAGE);
    put.body(deep(20)).send().await.expect(201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_tell_case_apart_and_keep_the_digest_they_were_pushed_with() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let (one, two) = (TestImage::new(1, 1), TestImage::new(2, 1));
    ann.push("ann/app", "Latest", &one).await;
    ann.push("ann/app", "latest", &two).await;
    ann.pull("ann/app", "Latest", &one).await;
    ann.pull("ann/app", "latest", &two).await;
    let tag = |tag: &str| ann.get(&format!("/v2/ann/app/manifests/{tag}")).send();
    tag("LATEST").await.refused(404, "MANIFEST_UNKNOWN");
    // A tag of a SHA-512 push answers with that digest; under the other it is another entry.
    let long = Digest::of(Algorithm::Sha512, &one.manifest());
    let put = ann.put(&format!("/v2/ann/app/manifests/{long}?tag=long&tag=latest"));
    let put = put.header("content-type", IMAGE).body(one.manifest());
    let done = put.send().await.expect(201);
    assert_eq!(
        (done.digest(), done.header("oci-tag")),
        (long, "latest, long")
    );
    for name in ["long", "latest"] {
        assert_eq!(tag(name).await.expect(200).digest(), long);
    }
    assert_eq!(tag("Latest").await.expect(200).digest(), one.digest());
    let delete = ann.delete(&format!("/v2/ann/app/manifests/{long}"));
    delete.send().await.expect(202);
    tag("latest").await.expect(404);
    ann.pull("ann/app", "Latest", &one).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_cannot_be_read_is_refused() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    let digest = ann.push("ann/app", "v1", &image).await;
    let put = |path: String, name: &str, value: &str| {
        let put = ann.put(&path).header("content-type", IMAGE);
        put.header(name, value).body(image.manifest()).send()
    };
    let (by_tag, by_digest) = (
        "/v2/ann/app/manifests/v1".to_owned(),
        format!("/v2/ann/app/manifests/{digest}"),
    );
    for path in [&by_tag, &by_digest] {
        for value in ["\"", "", "a b", "W/x"] {
            for name in ["if-match", "if-none-match"] {
                let answer = put(path.clone(), name, value).await;
                answer.refused(400, "UNSUPPORTED");
            }
        }
        let same = format!("\"{digest}\"");
        put(path.clone(), "if-match", &same).await.expect(201);
        let answer = put(path.clone(), "if-none-match", &same).await;
        answer.refused(412, "DENIED");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_push_hears_so_before_the_body_is_read() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    let upload = ann.open_upload("ann/app").await;
    for (method, path) in [
        (Method::PUT, "/v2/ann/app/manifests/v1".to_owned()),
        (
            Method::POST,
            format!(
                "/v2/ann/app/blobs/uploads/?digest={}",
                TestImage::new(1, 1).digest()
            ),
        ),
        (Method::PATCH, upload.clone()),
        (
            Method::PUT,
            format!("{upload}?digest=sha256:{}", "0".repeat(64)),
        ),
    ] {
        for (client, status) in [(app.anonymous(), 401), (bob.clone(), 403)] {
            // A body that never comes: whoever reads it waits for ever.
            let asked = client.request(method.clone(), &path);
            let asked = asked.header("content-length", "1000000");
            let asked = asked.header("expect", "100-continue");
            asked
                .stream(futures::stream::pending())
                .send()
                .await
                .expect(status);
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_is_never_missing() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let images = [TestImage::new(1, 1), TestImage::new(2, 1)];
    for image in &images {
        ann.push("ann/app", "latest", image).await;
    }
    let moving = async {
        for round in 0..40 {
            let image = &images[round % 2];
            let bytes = image.manifest();
            ann.push_manifest("ann/app", "latest", IMAGE, &bytes).await;
        }
    };
    let looking = async || {
        for _ in 0..60 {
            let get = ann.get("/v2/ann/app/manifests/latest").send().await;
            let got = get.expect(200);
            let image = images.iter().find(|image| image.digest() == got.digest());
            assert_eq!(got.body, image.unwrap().manifest());
        }
    };
    futures::join!(moving, looking(), looking());
    app.finish().await;
}
