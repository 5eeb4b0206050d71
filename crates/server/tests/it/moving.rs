//! Content that exists elsewhere comes here as it is, also where it says what is not so (protocol
//! §9.8, §9.14).

use seawall_kernel::events::EventType;
use seawall_registry::ContentPolicy;
use seawall_registry::events::ManifestPushed;
use seawall_testkit::{Client, TestApp, TestImage, TestResponse};
use seawall_types::digest::{Algorithm, Digest};
use serde_json::{Value, json};

const IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

async fn put(client: &Client, tag: &str, kind: &str, body: &Value) -> TestResponse {
    let put = client.put(&format!("/v2/ann/app/manifests/{tag}"));
    let put = put.header("content-type", kind).body(body.to_string());
    put.send().await
}

fn image(config: &Value, layers: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers })
}

fn list(entries: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": LIST, "manifests": entries })
}

/// A descriptor of what is here, with another size.
fn sized(kind: &str, bytes: &[u8], size: usize) -> Value {
    let mut descriptor = TestImage::descriptor(kind, bytes);
    descriptor["size"] = size.into();
    descriptor
}

const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// An image, and an image and a list whose sizes are wrong.
async fn prepared(ann: &Client) -> (Value, Value, Value) {
    ann.push_blob("ann/app", b"{}").await;
    ann.push_blob("ann/app", b"a layer").await;
    let config = TestImage::descriptor(CONFIG, b"{}");
    let good = image(&config, &[TestImage::descriptor(LAYER, b"a layer")]);
    let one_more = sized(LAYER, b"a layer", 8);
    let odd = image(&config, &[one_more.clone(), one_more]);
    let child = sized(IMAGE, good.to_string().as_bytes(), 1);
    (good, odd, list(&[child]))
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_sizes_are_taken_with_a_warning() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let (good, odd, listed) = prepared(&ann).await;
    let taken = put(&ann, "good", IMAGE, &good).await.expect(201);
    assert!(!taken.has("warning"));
    for _ in 0..2 {
        let taken = put(&ann, "odd", IMAGE, &odd).await.expect(201);
        let layer = Digest::of(Algorithm::Sha256, b"a layer");
        assert_eq!(
            taken.header("warning"),
            format!(
                "299 - \"the manifest gives 8 bytes for {layer}, which has 7; and 1 more wrong sizes\""
            )
        );
    }
    let taken = put(&ann, "list", LIST, &listed).await.expect(201);
    assert!(taken.header("warning").contains("gives 1 bytes"));
    for (tag, body) in [("odd", &odd), ("list", &listed)] {
        let pulled = ann
            .get(&format!("/v2/ann/app/manifests/{tag}"))
            .send()
            .await;
        assert_eq!(pulled.body, body.to_string().as_bytes());
    }
    // Its referrers are listed with their real sizes.
    let mut about = odd.clone();
    about["subject"] = sized(IMAGE, good.to_string().as_bytes(), 5);
    put(&ann, "about", IMAGE, &about).await.expect(201);
    let subject = Digest::of(Algorithm::Sha256, good.to_string().as_bytes());
    let referrers = format!("/v2/ann/app/referrers/{subject}");
    let referrers = ann.get(&referrers).send().await.expect(200).json();
    assert_eq!(referrers["manifests"][0]["size"], about.to_string().len());
    app.eventually("the activity log tells of it", || async {
        let log = seawall_usage::recent_activity(
            &app.operator(),
            &app.operator().installation().unwrap(),
            100,
        )
        .await;
        log.unwrap().iter().any(|entry| {
            entry.kind == Some(ManifestPushed::KIND) && entry.detail["wrong_sizes"] == 2
        })
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_sizes_are_refused_where_that_is_set() {
    let app = TestApp::with(|config| config.manifests.sizes = ContentPolicy::Refuse).await;
    let ann = app.user("ann").await;
    let (good, odd, listed) = prepared(&ann).await;
    put(&ann, "good", IMAGE, &good).await.expect(201);
    let refused = put(&ann, "odd", IMAGE, &odd).await;
    refused.refused(400, "MANIFEST_INVALID");
    let refused = put(&ann, "list", LIST, &listed).await;
    refused.refused(400, "MANIFEST_INVALID");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_what_is_elsewhere_is_taken_where_that_is_set() {
    for (policy, status) in [(ContentPolicy::Refuse, 400), (ContentPolicy::Accept, 201)] {
        let app = TestApp::with(|config| config.manifests.sparse_indexes = policy).await;
        let ann = app.user("ann").await;
        let (good, ..) = prepared(&ann).await;
        put(&ann, "good", IMAGE, &good).await.expect(201);
        let here = TestImage::descriptor(IMAGE, good.to_string().as_bytes());
        let sparse = list(&[here, TestImage::descriptor(IMAGE, b"elsewhere")]);
        let answer = put(&ann, "list", LIST, &sparse).await.expect(status);
        if status == 400 {
            assert_eq!(answer.code(), "MANIFEST_BLOB_UNKNOWN");
        } else {
            let pulled = ann.get("/v2/ann/app/manifests/list").send().await;
            assert_eq!(pulled.body, sparse.to_string().as_bytes());
        }
        // Layers have to be here all the same.
        let config = TestImage::descriptor(CONFIG, b"{}");
        let hollow = image(&config, &[TestImage::descriptor(LAYER, b"elsewhere")]);
        let answer = put(&ann, "hollow", IMAGE, &hollow).await;
        answer.refused(400, "MANIFEST_BLOB_UNKNOWN");
        app.finish().await;
    }
}
