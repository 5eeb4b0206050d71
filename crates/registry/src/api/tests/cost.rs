//! What a push costs the database.

use http::StatusCode as S;
use seawall_types::{Algorithm, Digest};
use serde_json::{Value, json};

use super::Harness;

const OCTETS: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Pushes a blob by POST and PUT.
async fn blob(rig: &Harness, media_type: &str, bytes: &[u8]) -> Value {
    let digest = Digest::of(Algorithm::Sha256, bytes);
    let at = rig.open("ann", "ann/app").await;
    let put = rig.ask("ann", "PUT", &format!("{at}?digest={digest}"));
    put.bytes(bytes).expect(S::CREATED).await;
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

/// Pushes an image of a config and ten layers, called `name`.
async fn image(rig: &Harness, name: &str, tag: &str) {
    let config = blob(rig, CONFIG, format!("config of {name}").as_bytes()).await;
    let mut layers = Vec::new();
    for layer in 0..10 {
        layers.push(blob(rig, OCTETS, format!("layer {layer} of {name}").as_bytes()).await);
    }
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
    });
    let path = format!("/v2/ann/app/manifests/{tag}");
    let put = rig
        .ask("ann", "PUT", &path)
        .header("content-type", MANIFEST);
    put.bytes(manifest.to_string().as_bytes())
        .expect(S::CREATED)
        .await;
}

/// What an image costs beside the one read of each request that asks what its caller may do.
async fn cost(rig: &Harness, name: &str, tag: &str) -> u64 {
    rig.spent();
    image(rig, name, tag).await;
    let (requests, statements) = rig.spent();
    assert_eq!(requests, 11 + 11 + 1);
    statements - requests
}

#[tokio::test]
async fn an_image_costs_few_statements() {
    let rig = Harness::new().await;
    let fresh = cost(&rig, "first", "v1").await;
    let second = cost(&rig, "second", "v2").await;
    let moved = cost(&rig, "third", "v2").await;
    println!("a new repository {fresh}, a new tag {second}, a moved tag {moved}");
    assert!(second <= 30, "{second}");
    // The repository: made and announced twice.
    assert!(fresh <= 30 + 3, "{fresh}");
    // The tag is locked and its history closed.
    assert!(moved <= 30 + 2, "{moved}");
}

#[tokio::test]
async fn an_opening_costs_nothing() {
    let rig = Harness::new().await;
    rig.push("ann", "ann/app", b"first").await;
    rig.spent();
    rig.open("ann", "ann/app").await;
    // What the caller may do.
    assert_eq!(rig.spent(), (1, 1));
}
