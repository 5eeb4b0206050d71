//! Everything about nothing: what is legal for something is tried with zero bytes, zero entries and
//! empty values. What the protocol leaves open is answered as CNCF Distribution does.

use http::Method;
use seawall_testkit::{Client, TestApp, TestImage, TestResponse};
use seawall_types::digest::{Algorithm, Digest};
use seawall_types::permission::Visibility;
use serde_json::{Value, json};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const MANIFEST: &str = "/v2/ann/app/manifests/v1";

/// A document with the members of `more`; those that are null there are null here, and "gone" is
/// absent.
fn with(document: &Value, more: &Value) -> String {
    let mut document = document.clone();
    for (key, value) in more.as_object().unwrap() {
        if *value == json!("gone") {
            document.as_object_mut().unwrap().remove(key);
        } else {
            document[key] = value.clone();
        }
    }
    document.to_string()
}

async fn put(client: &Client, kind: Option<&str>, body: &str) -> TestResponse {
    let mut put = client.put("/v2/ann/app/manifests/v1").body(body.to_owned());
    if let Some(kind) = kind {
        put = put.header("content-type", kind);
    }
    put.send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_of_nothing() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.push_blob("ann/app", b"{}").await;
    ann.push_blob("ann/app", b"").await;
    let config = TestImage::descriptor(EMPTY, b"{}");
    let image = json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [] });
    let zero = TestImage::descriptor("application/x.zero", b"");
    let layer = |more: Value| {
        let layer: Value = serde_json::from_str(&with(&zero, &more)).unwrap();
        json!({ "layers": [layer] })
    };
    let images = [
        (json!({}), 201),
        (json!({ "layers": null }), 201),
        (json!({ "layers": "gone" }), 201),
        (json!({ "layers": [zero, zero] }), 201),
        (json!({ "config": zero }), 201),
        (json!({ "config": null }), 400),
        (json!({ "config": {} }), 400),
        (json!({ "config": "gone" }), 400),
        (json!({ "layers": [null] }), 400),
        (json!({ "layers": [{}] }), 400),
        (json!({ "layers": {} }), 400),
        (json!({ "layers": "" }), 400),
        (json!({ "manifests": null }), 201),
        (json!({ "manifests": [] }), 400),
        (json!({ "annotations": {} }), 201),
        (json!({ "annotations": null }), 201),
        (json!({ "annotations": { "": "" } }), 201),
        (json!({ "annotations": { "a": null } }), 201),
        (json!({ "annotations": "" }), 400),
        (json!({ "annotations": [] }), 400),
        (json!({ "artifactType": "" }), 201),
        (json!({ "artifactType": null }), 201),
        (json!({ "subject": null }), 201),
        (json!({ "subject": {} }), 400),
        (json!({ "mediaType": "" }), 201),
        (json!({ "mediaType": null }), 201),
        (json!({ "schemaVersion": null }), 400),
        (json!({ "": "", "x": null, "y": {}, "z": [] }), 201),
        (
            layer(json!({ "urls": [], "annotations": {}, "data": "", "platform": null })),
            201,
        ),
        (
            layer(json!({ "urls": null, "annotations": null, "data": null, "artifactType": "" })),
            201,
        ),
        (layer(json!({ "urls": [""], "platform": {} })), 201),
        (layer(json!({ "mediaType": "" })), 400),
        (layer(json!({ "digest": "" })), 400),
        (layer(json!({ "size": null })), 400),
    ];
    for (more, status) in images {
        let body = with(&image, &more);
        let answer = put(&ann, Some(IMAGE), &body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(!answer.has("oci-subject"), "{body}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_of_nothing_and_bodies_of_none() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.push_blob("ann/app", b"{}").await;
    ann.push_blob("ann/app", b"").await;
    let config = TestImage::descriptor(EMPTY, b"{}");
    let image = json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [] });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    let zero = TestImage::descriptor("application/x.zero", b"");
    let indexes = [
        (json!({}), 201),
        (json!({ "manifests": null }), 201),
        (json!({ "manifests": "gone" }), 201),
        (json!({ "manifests": [zero] }), 201),
        (json!({ "manifests": [null] }), 400),
        (json!({ "manifests": [{}] }), 400),
        (json!({ "layers": null, "config": null }), 201),
        (json!({ "layers": [] }), 400),
        (
            json!({ "annotations": {}, "artifactType": "", "subject": null }),
            201,
        ),
    ];
    for (more, status) in indexes {
        let body = with(&index, &more);
        let answer = put(&ann, Some(INDEX), &body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
    for body in ["", " ", "null", "{}", "[]", "\"\"", "0"] {
        for kind in [None, Some(""), Some(IMAGE), Some(INDEX)] {
            let answer = put(&ann, kind, body).await;
            answer.refused(400, "MANIFEST_INVALID");
        }
    }
    // The body's own type counts where there is no header, and not where one says nothing.
    put(&ann, None, &image.to_string()).await.expect(201);
    let refused = put(&ann, Some(""), &image.to_string()).await;
    refused.refused(400, "MANIFEST_INVALID");
    app.finish().await;
}

/// The path, the headers, the status, and what the body says.
type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    u16,
    Option<Value>,
);

async fn asked(client: &Client, rows: Vec<Row>) {
    for (path, headers, status, body) in rows {
        for method in [Method::GET, Method::HEAD] {
            let mut request = client.request(method.clone(), path);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let answer = request.send().await;
            let what = format!("{method} {path} {headers:?}: {answer:?}");
            assert_eq!(answer.status, status, "{what}");
            assert!(!answer.has("link"), "{what}");
            if let Some(body) = body.as_ref().filter(|_| method == Method::GET) {
                assert_eq!(answer.json(), *body, "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_nothing() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let nothing = json!({ "repositories": [] });
    let all = || Some(nothing.clone());
    asked(
        &ann,
        vec![
            ("/v2/_catalog", &[], 200, all()),
            ("/v2/_catalog?", &[], 200, all()),
            ("/v2/_catalog?n=0", &[], 200, all()),
            ("/v2/_catalog?n=&last=", &[], 200, all()),
            ("/v2/_catalog?n&last", &[], 200, all()),
            ("/v2/_catalog?=&&=", &[], 200, all()),
            ("/v2/ann/app/tags/list", &[], 404, None),
            ("/v2/?", &[], 200, None),
        ],
    )
    .await;
    ann.push_blob("ann/app", b"").await;
    let tags = || Some(json!({ "name": "ann/app", "tags": [] }));
    let names = || Some(json!({ "repositories": ["ann/app"] }));
    asked(
        &ann,
        vec![
            ("/v2/ann/app/tags/list", &[], 200, tags()),
            ("/v2/ann/app/tags/list?", &[], 200, tags()),
            ("/v2/ann/app/tags/list?n=0", &[], 200, tags()),
            ("/v2/ann/app/tags/list?n=0&last=", &[], 200, tags()),
            ("/v2/ann/app/tags/list?n=&last=", &[], 200, tags()),
            ("/v2/ann/app/tags/list?n&last", &[], 200, tags()),
            (
                "/v2/ann/app/tags/list",
                &[("accept", ""), ("range", "")],
                200,
                tags(),
            ),
            ("/v2/_catalog?n=&last=", &[], 200, names()),
            ("/v2/_catalog?n=0", &[], 200, all()),
        ],
    )
    .await;
    let config = TestImage::descriptor(EMPTY, b"{}");
    ann.push_blob("ann/app", b"{}").await;
    let image = json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": config });
    put(&ann, Some(IMAGE), &image.to_string()).await.expect(201);
    let tag = || Some(json!({ "name": "ann/app", "tags": ["v1"] }));
    asked(
        &ann,
        vec![
            ("/v2/ann/app/tags/list?n=&last=", &[], 200, tag()),
            ("/v2/ann/app/tags/list?n=0", &[], 200, tags()),
            ("/v2/ann/app/tags/list?last=v1", &[], 200, tags()),
        ],
    )
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_of_nothing() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let empty = Digest::of(Algorithm::Sha256, b"");
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    let get = async |query: &str| {
        let path = format!("/v2/ann/app/referrers/{empty}{query}");
        ann.get(&path).send().await.expect(200)
    };
    for round in 0..2 {
        for query in [
            "",
            "?",
            "?artifactType=",
            "?artifactType",
            "?last=",
            "?n=",
            "?n=0",
        ] {
            let answer = get(query).await;
            assert_eq!(answer.json(), index, "{query} in round {round}");
            // A filter for nothing is none.
            assert!(!answer.has("oci-filters-applied"), "{query}");
        }
        ann.push_blob("ann/app", b"{}").await;
    }
    // One whose subject is the digest of nothing, and which says nothing of itself.
    let subject = TestImage::descriptor(IMAGE, b"");
    let config = TestImage::descriptor(EMPTY, b"{}");
    let about = json!({
        "schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [], "subject": subject,
        "annotations": {}, "artifactType": "",
    });
    put(&ann, Some(IMAGE), &about.to_string()).await.expect(201);
    for query in ["", "?artifactType=", "?last="] {
        let listed = get(query).await.json();
        let entry = &listed["manifests"][0];
        assert_eq!(entry["artifactType"], EMPTY, "{query}: {listed}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_parameters_that_say_nothing() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.push("ann/app", "v1", &TestImage::new(1, 0)).await;
    app.set_visibility("ann/app", Visibility::Public).await;
    asked(
        &ann,
        vec![
            (MANIFEST, &[("accept", "")], 200, None),
            (
                MANIFEST,
                &[("accept", ","), ("accept-encoding", "")],
                200,
                None,
            ),
            (MANIFEST, &[("if-none-match", "")], 200, None),
            (MANIFEST, &[("if-none-match", "\"\"")], 200, None),
            (MANIFEST, &[("if-none-match", ",")], 200, None),
            (MANIFEST, &[("range", "")], 200, None),
            (MANIFEST, &[("range", "bytes=")], 200, None),
            (
                MANIFEST,
                &[("if-range", ""), ("range", "bytes=0-")],
                200,
                None,
            ),
            (
                MANIFEST,
                &[("cookie", ""), ("user-agent", ""), ("content-type", "")],
                200,
                None,
            ),
            ("/v2/ann/app/manifests/v1?", &[], 200, None),
            ("/v2/ann/app/manifests/v1?ns=", &[], 200, None),
            ("/v2/ann/app/manifests/v1?tag=&=", &[], 200, None),
            ("/v2/ann/app/manifests/", &[], 404, None),
            ("/v2//manifests/v1", &[], 404, None),
        ],
    )
    .await;
    let image = TestImage::new(1, 0);
    let put = |path: String, header: Option<&'static str>| {
        let mut put = ann.put(&path).header("content-type", IMAGE);
        if let Some(name) = header {
            put = put.header(name, "");
        }
        put.body(image.manifest()).send()
    };
    let by_digest = format!("/v2/ann/app/manifests/{}", image.digest());
    put(format!("{by_digest}?"), None).await.expect(201);
    // No tag is called nothing, and who sends a condition relies on it.
    let refused = put(format!("{by_digest}?tag="), None).await;
    refused.refused(400, "NAME_INVALID");
    put(MANIFEST.to_owned(), Some("if-match")).await.expect(400);
    let refused = put(MANIFEST.to_owned(), Some("if-none-match")).await;
    refused.expect(400);
    app.finish().await;
}
