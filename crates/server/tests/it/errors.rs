//! Bad input gets the specification's error, quickly, and leaves no trace (protocol §2, §3).

use http::Method;
use seawall_testkit::{TestApp, TestImage, blob_of};

/// What is asked, and what it is refused with.
const REFUSED: &[(Method, &str, u16, &str)] = &[
    (Method::GET, "/v2/nothing", 404, "UNSUPPORTED"),
    (Method::GET, "/v2/ann/app", 404, "UNSUPPORTED"),
    (Method::GET, "/v2/ann/app/", 404, "UNSUPPORTED"),
    (Method::GET, "/v2//manifests/v1", 404, "UNSUPPORTED"),
    (Method::POST, "/v2/ann/app/manifests/v1", 405, "UNSUPPORTED"),
    (Method::PATCH, "/v2/ann/app/tags/list", 405, "UNSUPPORTED"),
    (Method::PUT, "/v2/", 405, "UNSUPPORTED"),
    (Method::OPTIONS, "/v2/_catalog", 405, "UNSUPPORTED"),
    (Method::GET, "/v2/Ann/app/manifests/v1", 400, "NAME_INVALID"),
    (
        Method::GET,
        "/v2/ann/../app/manifests/v1",
        400,
        "NAME_INVALID",
    ),
    (
        Method::GET,
        "/v2/ann/%2e%2e/app/manifests/v1",
        400,
        "NAME_INVALID",
    ),
    (
        Method::GET,
        "/v2/ann%252fapp/manifests/v1",
        400,
        "NAME_INVALID",
    ),
    (
        Method::GET,
        "/v2/ann/app%00/manifests/v1",
        400,
        "NAME_INVALID",
    ),
    (Method::GET, "/v2/ann//app/tags/list", 400, "NAME_INVALID"),
    (
        Method::POST,
        "/v2/_x/app/blobs/uploads/",
        400,
        "NAME_INVALID",
    ),
    (
        Method::GET,
        "/v2/ann/app/manifests/sha256:abc",
        400,
        "DIGEST_INVALID",
    ),
    (
        Method::GET,
        "/v2/ann/app/blobs/sha256:xyz",
        400,
        "DIGEST_INVALID",
    ),
    (Method::GET, "/v2/ann/app/blobs/v1", 400, "DIGEST_INVALID"),
    (
        Method::GET,
        "/v2/ann/app/referrers/sha256:1",
        400,
        "DIGEST_INVALID",
    ),
    (
        Method::GET,
        "/v2/ann/app/tags/list?n=-1",
        400,
        "UNSUPPORTED",
    ),
    (Method::GET, "/v2/ann/app/tags/list?n=x", 400, "UNSUPPORTED"),
    (
        Method::GET,
        "/v2/ann/app/tags/list?n=%zz",
        400,
        "UNSUPPORTED",
    ),
    (Method::GET, "/v2/_catalog?n=1.5", 400, "UNSUPPORTED"),
    (
        Method::GET,
        "/v2/ann/app/manifests/none",
        404,
        "MANIFEST_UNKNOWN",
    ),
    (Method::GET, "/v2/ann/none/tags/list", 404, "NAME_UNKNOWN"),
    (
        Method::POST,
        "/v2/ann/app/blobs/uploads/?digest=sha256:1",
        400,
        "DIGEST_INVALID",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_error_under_v2_speaks_the_specification() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    for (method, path, status, code) in REFUSED {
        let answer = ann
            .request(method.clone(), path)
            .send()
            .await
            .refused(*status, code);
        assert_eq!(
            answer.header("docker-distribution-api-version"),
            "registry/2.0"
        );
        assert!(!answer.has("location"), "{path} is no redirect");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_says_which_are_right() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let answer = ann.post("/v2/ann/app/tags/list").send().await.expect(405);
    assert!(answer.header("allow").contains("GET"), "{answer:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_for_names_tags_and_queries() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let long = "a".repeat(300);
    let get = ann.get(&format!("/v2/ann/{long}/tags/list")).send().await;
    get.refused(400, "NAME_INVALID");
    let image = TestImage::new(1, 0);
    ann.push("ann/app", &"t".repeat(128), &image).await;
    for tag in [
        &"t".repeat(129),
        ".dot",
        "-dash",
        "white%20space",
        "sla%2fsh",
        "%ff",
    ] {
        let put = ann.put(&format!("/v2/ann/app/manifests/{tag}"));
        let put = put
            .header("content-type", image.media_type())
            .body(image.manifest());
        let answer = put.send().await.expect(400);
        assert!(
            matches!(answer.code().as_str(), "NAME_INVALID" | "UNSUPPORTED"),
            "{tag}"
        );
    }
    let many = "n=1&".repeat(1000);
    ann.get(&format!("/v2/ann/app/tags/list?{many}"))
        .send()
        .await
        .expect(400);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_beyond_the_limit_is_refused_with_or_without_a_length() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let big = blob_of(1, 4 * 1024 * 1024 + 1);
    let put = || {
        let put = ann.put("/v2/ann/app/manifests/v1");
        put.header("content-type", "application/vnd.oci.image.manifest.v1+json")
    };
    put()
        .body(big.clone())
        .send()
        .await
        .refused(413, "SIZE_INVALID");
    put()
        .streamed(big, 65_536)
        .send()
        .await
        .refused(413, "SIZE_INVALID");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_push_leaves_no_repository_and_no_file() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.post("/v2/ann/ghost/blobs/uploads/?digest=sha256:1")
        .body("x")
        .send()
        .await
        .expect(400);
    ann.post("/v2/ann/ghost/blobs/uploads/?digest-algorithm=md5")
        .send()
        .await
        .expect(400);
    let put = ann.put("/v2/ann/ghost/manifests/v1");
    put.header("content-type", "text/plain")
        .body("not json")
        .send()
        .await
        .expect(400);
    let put = ann.put("/v2/ann/ghost/manifests/bad:digest");
    put.body("{}").send().await.expect(400);
    let repositories = seawall_kernel::catalog::repositories::list(
        &app.operator(),
        &app.operator().installation().unwrap(),
    )
    .await
    .unwrap();
    assert!(repositories.is_empty(), "{repositories:?}");
    let report = app.verify().await;
    assert!(report.orphans.is_empty() && report.blobs == 0, "{report:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_to_head_have_no_body() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    for path in [
        "/v2/ann/none/manifests/v1",
        "/v2/Bad/manifests/v1",
        "/v2/none",
    ] {
        let answer = ann.head(path).send().await;
        assert!(
            answer.status.is_client_error() && answer.body.is_empty(),
            "{answer:?}"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_front_page_is_for_people() {
    let app = TestApp::new().await;
    let page = app
        .anonymous()
        .get("/")
        .header("accept", "text/html")
        .send()
        .await
        .expect(200);
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert!(text.contains("docker login registry.test"), "{text}");
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
    let plain = app.anonymous().get("/").send().await.expect(200);
    assert!(plain.header("content-type").starts_with("text/plain"));
    app.anonymous().get("/nothing").send().await.expect(404);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_of_the_grammar_is_a_repository() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    let long = "a".repeat(251);
    for name in [
        "a",
        "a.b",
        "a_b",
        "a__b",
        "a-b",
        "a---b",
        "a/b/c/d",
        "0",
        long.as_str(),
        // The words of paths are no less names; the last verb of a path counts.
        "blobs",
        "manifests/v1",
        "tags/list",
        "blobs/uploads",
        "a/blobs/uploads/b",
        "referrers",
        "v2",
        "auth",
    ] {
        let name = format!("ann/{name}");
        ann.push(&name, "v1", &image).await;
        ann.pull(&name, "v1", &image).await;
        let listed = ann.get(&format!("/v2/{name}/tags/list")).send().await;
        assert_eq!(listed.expect(200).json()["name"], name.as_str());
        let referrers = format!("/v2/{name}/referrers/{}", image.digest());
        ann.get(&referrers).send().await.expect(200);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_name_and_what_is_no_path_are_told_apart() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let too_long = "a".repeat(252);
    for name in [
        "A",
        "a..b",
        "a___b",
        "a_.b",
        "-a",
        "a-",
        ".a",
        "a.",
        "_a",
        "a_",
        "a//b",
        "a/",
        "/a",
        "a/../b",
        "a/.",
        "ä",
        "a%62",
        "a%252Fb",
        "a%2F%2Fb",
        "..%2Fb",
        "a%00",
        "a:b",
        "a@b",
        "a+b",
        "a~b",
        "%5c",
        too_long.as_str(),
    ] {
        let name = name.replace('ä', "%C3%A4");
        for request in [
            ann.get(&format!("/v2/ann/{name}/manifests/v1")),
            ann.get(&format!("/v2/ann/{name}/tags/list")),
            ann.post(&format!("/v2/ann/{name}/blobs/uploads/")),
        ] {
            request.send().await.refused(400, "NAME_INVALID");
        }
    }
    for path in [
        "/v2/ann/app/tags/list/",
        "/v2/ann/app/manifests/v1/",
        "/v2/_catalog/",
        "/v2//",
        "/v2/ann/app/manifests/",
        "/v2/ann/app/blobs/",
        "/v2/ann/app/tags",
        "/v2/ann/app/tags/",
        "/v2/manifests/v1",
        "/v2/blobs/uploads/",
        "/v2/_oci/ext/discover",
    ] {
        ann.get(path).send().await.refused(404, "UNSUPPORTED");
    }
    app.finish().await;
}
