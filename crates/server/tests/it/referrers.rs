//! Subjects and referrers (protocol §10).

use seawall_testkit::{Client, TestApp, TestImage};
use seawall_types::digest::Digest;
use serde_json::{Value, json};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const SBOM: &str = "application/spdx+json";

fn referring(seed: u64, subject: &TestImage, kind: &str) -> TestImage {
    TestImage::new(seed, 1)
        .saying(
            "subject",
            TestImage::descriptor(subject.media_type(), &subject.manifest()),
        )
        .saying("artifactType", kind.into())
        .saying(
            "annotations",
            json!({ "org.example.seed": seed.to_string() }),
        )
}

async fn list(
    client: &Client,
    subject: &Digest,
    query: &str,
) -> (Vec<Value>, seawall_testkit::TestResponse) {
    let path = format!("/v2/ann/app/referrers/{subject}{query}");
    let answer = client.get(&path).send().await.expect(200);
    assert_eq!(answer.header("content-type"), INDEX);
    let body = answer.json();
    assert_eq!(
        (&body["schemaVersion"], &body["mediaType"]),
        (&2.into(), &INDEX.into())
    );
    (body["manifests"].as_array().unwrap().clone(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_refers_to_an_image_is_listed() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    // Asked before anything is here, and pushed before its subject.
    assert!(list(&ann, &image.digest(), "").await.0.is_empty());
    let sbom = referring(2, &image, SBOM);
    for blob in sbom.blobs() {
        ann.push_blob("ann/app", &blob).await;
    }
    let put = ann.put(&format!("/v2/ann/app/manifests/{}", sbom.digest()));
    let put = put
        .header("content-type", sbom.media_type())
        .body(sbom.manifest());
    let pushed = put.send().await.expect(201);
    assert_eq!(pushed.header("oci-subject"), image.digest().to_string());
    ann.push("ann/app", "v1", &image).await;
    let signature = referring(3, &image, "application/vnd.example.signature+json");
    ann.push("ann/app", "sig", &signature).await;

    let (found, answer) = list(&ann, &image.digest(), "").await;
    assert_eq!(found.len(), 2);
    assert!(!answer.has("oci-filters-applied"));
    let entry = found
        .iter()
        .find(|e| e["digest"] == sbom.digest().to_string())
        .unwrap();
    assert_eq!(entry["artifactType"], SBOM);
    assert_eq!(entry["size"], sbom.manifest().len());
    assert_eq!(entry["mediaType"], sbom.media_type());
    assert_eq!(entry["annotations"]["org.example.seed"], "2");

    for query in [
        "?artifactType=application/spdx+json",
        "?artifactType=application%2Fspdx%2Bjson",
        "?artifactType=application/spdx%20json",
    ] {
        let (found, answer) = list(&ann, &image.digest(), query).await;
        if query.contains("%20") {
            continue;
        }
        assert_eq!(found.len(), 1, "{query}");
        assert_eq!(answer.header("oci-filters-applied"), "artifactType");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_referrer_is_gone_and_others_outlive_their_subject() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let (one, two) = (referring(2, &image, SBOM), referring(3, &image, SBOM));
    ann.push("ann/app", "one", &one).await;
    ann.push("ann/app", "two", &two).await;
    ann.delete(&format!("/v2/ann/app/manifests/{}", one.digest()))
        .send()
        .await
        .expect(202);
    ann.delete(&format!("/v2/ann/app/manifests/{}", image.digest()))
        .send()
        .await
        .expect(202);
    let (found, _) = list(&ann, &image.digest(), "").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["digest"], two.digest().to_string());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_refers_as_well_with_a_type_of_its_own_only() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [],
        "subject": TestImage::descriptor(image.media_type(), &image.manifest()),
    });
    let body = index.to_string();
    ann.push_manifest("ann/app", "index", INDEX, body.as_bytes())
        .await;
    // An image without a type of its own has its configuration's.
    let plain = TestImage::new(4, 1).saying(
        "subject",
        TestImage::descriptor(image.media_type(), &image.manifest()),
    );
    ann.push("ann/app", "plain", &plain).await;
    let (found, _) = list(&ann, &image.digest(), "").await;
    let of = |kind: &str| found.iter().find(|e| e["mediaType"] == kind).unwrap();
    assert!(of(INDEX).get("artifactType").is_none());
    assert_eq!(
        of(plain.media_type())["artifactType"],
        "application/vnd.oci.image.config.v1+json"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_referrers_come_in_pages() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    // Large enough that they do not fit into one answer.
    for seed in 0..5 {
        let notes = json!({ "note": "x".repeat(1_000_000) });
        let referrer = referring(10 + seed, &image, SBOM).saying("annotations", notes);
        ann.push("ann/app", &format!("r{seed}"), &referrer).await;
    }
    let mut next = Some(format!(
        "/v2/ann/app/referrers/{}?artifactType={SBOM}",
        image.digest()
    ));
    let mut seen = std::collections::BTreeSet::new();
    let mut pages = 0;
    while let Some(path) = next {
        let answer = ann.get(&path).send().await.expect(200);
        assert!(answer.body.len() < 4 * 1024 * 1024);
        for entry in answer.json()["manifests"].as_array().unwrap() {
            assert!(seen.insert(entry["digest"].to_string()), "listed twice");
        }
        next = answer.next();
        pages += 1;
        assert!(
            next.iter().all(|next| next.contains("artifactType=")),
            "{next:?}"
        );
    }
    assert!(pages > 1);
    assert_eq!(seen.len(), 5);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_there_whatever_is_asked_about() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let zeros = format!("sha256:{}", "0".repeat(64));
    let long = format!("sha512:{}", "0".repeat(128));
    // Before and after the repository is there.
    for round in 0..2 {
        for subject in [&zeros, &long] {
            for client in [&ann, &ann.token_for(&["repository:ann/app:pull"]).await] {
                let subject = subject.parse().unwrap();
                assert!(list(client, &subject, "").await.0.is_empty(), "{round}");
                let (none, answer) = list(client, &subject, "?artifactType=a/b%2Bc").await;
                assert!(none.is_empty());
                assert_eq!(answer.header("oci-filters-applied"), "artifactType");
            }
        }
        ann.push_blob("ann/app", b"x").await;
    }
    for bad in ["sha256:0", "v1", "sha384:0", "sha256:%2e%2e"] {
        let get = ann.get(&format!("/v2/ann/app/referrers/{bad}"));
        get.send().await.refused(400, "DIGEST_INVALID");
    }
    let path = format!("/v2/ann/app/referrers/{zeros}");
    bob.get(&path).send().await.refused(404, "NAME_UNKNOWN");
    app.anonymous()
        .get(&path)
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    for request in [ann.put(&path), ann.delete(&path), ann.post(&path)] {
        let answer = request.send().await.refused(405, "UNSUPPORTED");
        assert_eq!(answer.header("allow"), "GET, HEAD");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_push_of_a_referrer_names_its_subject() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    let mut signature = referring(2, &image, SBOM);
    for subject in [
        image.digest(),
        Digest::of(seawall_types::digest::Algorithm::Sha512, &image.manifest()),
    ] {
        signature.extra["subject"]["digest"] = subject.to_string().into();
        for blob in signature.blobs() {
            ann.push_blob("ann/app", &blob).await;
        }
        let digest = signature.digest().to_string();
        for reference in ["sig", "sig", &digest, &digest, "again"] {
            let put = ann.put(&format!("/v2/ann/app/manifests/{reference}"));
            let put = put.header("content-type", signature.media_type());
            let done = put.body(signature.manifest()).send().await.expect(201);
            assert_eq!(done.header("oci-subject"), subject.to_string());
        }
        let (found, _) = list(&ann, &subject, "").await;
        assert_eq!(found.len(), 1);
        // Gone and back again, at once.
        let path = format!("/v2/ann/app/manifests/{digest}");
        ann.delete(&path).send().await.expect(202);
        assert!(list(&ann, &subject, "").await.0.is_empty());
        ann.push("ann/app", "sig", &signature).await;
        assert_eq!(list(&ann, &subject, "").await.0, found);
    }
    let plain = ann.put(&format!(
        "/v2/ann/app/manifests/{}",
        TestImage::new(3, 0).digest()
    ));
    ann.push_blob("ann/app", &TestImage::new(3, 0).config).await;
    let plain = plain.header("content-type", image.media_type());
    let done = plain
        .body(TestImage::new(3, 0).manifest())
        .send()
        .await
        .expect(201);
    assert!(!done.has("oci-subject"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn referrers_stay_in_their_repository_and_fallback_tags_are_tags() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    let signature = referring(2, &image, SBOM);
    for name in ["ann/app", "ann/other"] {
        ann.push(name, "v1", &image).await;
    }
    ann.push("ann/other", "sig", &signature).await;
    assert!(list(&ann, &image.digest(), "").await.0.is_empty());
    ann.push("ann/app", "sig", &signature).await;
    let fallback = image.digest().to_string().replace(':', "-");
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [TestImage::descriptor(signature.media_type(), &signature.manifest())],
    });
    let body = index.to_string();
    ann.push_manifest("ann/app", &fallback, INDEX, body.as_bytes())
        .await;
    ann.push("ann/app", &format!("{fallback}.sig"), &TestImage::new(5, 1))
        .await;
    assert_eq!(list(&ann, &image.digest(), "").await.0.len(), 1);
    let got = ann.get(&format!("/v2/ann/app/manifests/{fallback}"));
    assert_eq!(got.send().await.expect(200).body, body);
    app.finish().await;
}
