//! Names as clients send them: one segment of the path, its slashes as escapes (protocol §2.12).

use http::Method;
use seawall_testkit::{TestApp, TestImage};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

#[tokio::test(flavor = "multi_thread")]
async fn a_name_may_come_as_one_segment() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    for name in ["ann%2Fdeep%2fapp", "ann/deep%2Fapp"] {
        ann.push(name, "v1", &image).await;
        ann.pull(name, "v1", &image).await;
        let location = ann.open_upload(name).await;
        assert!(location.starts_with("/v2/ann/deep/app/blobs/uploads/"));
        let listed = ann.get(&format!("/v2/{name}/tags/list?n=1")).send().await;
        assert_eq!(listed.json()["name"], "ann/deep/app");
        let referrers = format!("/v2/{name}/referrers/{}", image.digest());
        ann.get(&referrers).send().await.expect(200);
        let put = ann.put(&format!("/v2/{name}/manifests/v2"));
        let put = put.header("content-type", IMAGE).body(image.manifest());
        let location = put.send().await.expect(201);
        let plain = format!("/v2/ann/deep/app/manifests/{}", image.digest());
        assert_eq!(location.header("location"), plain);
        let delete = ann.delete(&format!("/v2/{name}/manifests/v2"));
        delete.send().await.expect(202);
    }
    // It is one repository, and the same to whoever asks in plain words.
    ann.pull("ann/deep/app", "v1", &image).await;
    for seen in app.requests.take() {
        assert!(!seen.path.contains('%'), "the log shows {}", seen.path);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_is_one_however_the_name_is_sent() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let bob = app.user("bob").await;
    ann.push("ann/app", "v1", &TestImage::new(1, 0)).await;
    let asked = [
        (Method::GET, "/v2/ann%2Fapp/manifests/v1"),
        (Method::GET, "/v2/ann%2fapp/tags/list"),
        (Method::DELETE, "/v2/ann%2Fapp/manifests/v1"),
        (Method::POST, "/v2/ann%2Fapp/blobs/uploads/"),
    ];
    for (method, path) in asked {
        let plain = path.replace("%2F", "/").replace("%2f", "/");
        let mut answers = Vec::new();
        for path in [path, &plain] {
            let bobs = bob.request(method.clone(), path).send().await;
            let strangers = app.anonymous().request(method.clone(), path).send().await;
            let challenge = strangers.header("www-authenticate").to_owned();
            assert!(challenge.contains("repository:ann/app:"), "{challenge}");
            answers.push((bobs.status, strangers.status, challenge));
        }
        assert_eq!(answers[0], answers[1], "{path}");
    }
    let scope = ann.token_for(&["repository:ann%2Fapp:pull"]).await;
    scope
        .get("/v2/ann%2Fapp/manifests/v1")
        .send()
        .await
        .expect(200);
    app.finish().await;
}
