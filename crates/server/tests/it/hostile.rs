//! What the sender of a request might hope for: paths that leave the store, lines that become
//! headers, numbers that become memory, pages that become scripts (protocol §14).

use http::{HeaderMap, Method};
use seawall_kernel::http::Pattern;
use seawall_testkit::{Client, TestApp, TestImage, TestResponse, blob_of};
use seawall_types::digest::{Algorithm, Digest};
use seawall_types::permission::Visibility;
use serde_json::Value;

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// What would be another place, if a path were made of it.
const ELSEWHERE: &[&str] = &[
    "..",
    ".",
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%2e%2e",
    "%2E%2E/%2E%2E",
    "%252e%252e%252f",
    "..%5c..%5cetc",
    "..;/..;/etc",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "..%c0%af..%c0%afetc",
    "%ef%bc%8e%ef%bc%8e",
    "a%00/../../etc",
    "%00",
    "sha256:../../../../../../../../../../../../../../../../etc/passwd",
    "sha256:..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f",
    "sha256%3a%2e%2e%2f%2e%2e%2f",
    "..00000000-0000-4000-8000-000000000000",
    "00000000-0000-4000-8000-000000000000%2f..%2f..",
    "{00000000-0000-4000-8000-000000000000}",
];

/// All that is in the directory of the data, and beside it.
fn everything(app: &TestApp) -> Vec<String> {
    fn walk(directory: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            // A database has files that come and go.
            if path.is_dir() {
                walk(&path, found);
            } else if !path.to_string_lossy().contains(".db") {
                found.push(path.display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(app.data().parent().unwrap(), &mut found);
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_parameter_of_any_route_is_a_path() {
    let app = TestApp::new().await;
    let admin = app.admin();
    let image = TestImage::new(1, 1);
    admin.push("ann/app", "v1", &image).await;
    let before = everything(&app);
    let known = |param: &str| match param {
        "name" => Some("ann/app".to_owned()),
        "reference" => Some("v1".to_owned()),
        "digest" => Some(image.digest().to_string()),
        _ => None,
    };
    let routes: Vec<_> = app.dispatcher().table().iter().cloned().collect();
    let mut asked = 0;
    for route in routes {
        let pattern = Pattern::new(route.path).unwrap();
        for (attacked, elsewhere) in pattern
            .params()
            .flat_map(|attacked| ELSEWHERE.iter().map(move |elsewhere| (attacked, elsewhere)))
        {
            let path = route.example_path(|param| {
                let elsewhere = (param == attacked).then(|| (*elsewhere).to_owned());
                elsewhere.or_else(|| known(param))
            });
            let request = admin.request(route.method.clone(), &path);
            let request = request.header("content-type", IMAGE).body("{}");
            let answer = request.send().await;
            let status = answer.status.as_u16();
            assert!((400..500).contains(&status), "{}: {status}", answer.asked);
            let told = String::from_utf8_lossy(&answer.body);
            assert!(!told.contains("root:"), "{}: {told}", answer.asked);
            assert!(!answer.has("location"), "{answer:?}");
            asked += 1;
        }
    }
    assert!(asked > 20 * ELSEWHERE.len(), "{asked}");
    assert_eq!(everything(&app), before);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_parameter_of_a_query_is_a_path() {
    let app = TestApp::new().await;
    let admin = app.admin();
    admin.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    let before = everything(&app);
    let digest = Digest::of(Algorithm::Sha256, b"x");
    for elsewhere in ELSEWHERE {
        for path in [
            format!("/v2/ann/app/blobs/uploads/?digest={elsewhere}"),
            format!("/v2/ann/app/blobs/uploads/?mount={elsewhere}&from=ann/app"),
            format!("/v2/ann/app/blobs/uploads/?digest-algorithm={elsewhere}"),
        ] {
            let answer = admin.post(&path).body("x").send().await;
            assert_eq!(answer.status, 400, "{}", answer.asked);
        }
        let from = format!("/v2/ann/app/blobs/uploads/?mount={digest}&from={elsewhere}");
        let answer = admin.post(&from).send().await;
        assert!(matches!(answer.status.as_u16(), 202 | 400), "{answer:?}");
        let location = admin.open_upload("ann/app").await;
        let put = admin.put(&format!("{location}?digest={elsewhere}"));
        assert_eq!(put.body("x").send().await.status, 400, "{elsewhere}");
        let put = admin.put(&format!("/v2/ann/app/manifests/v1?tag={elsewhere}"));
        let put = put.header("content-type", IMAGE).body("{}");
        assert_eq!(put.send().await.status, 400, "{elsewhere}");
    }
    // Of the uploads that were opened, none has a file.
    assert_eq!(everything(&app), before);
    app.finish().await;
}

/// Lines that a careless server writes into its answer.
const LINES: &[&str] = &[
    "a%0d%0aset-cookie:%20evil=1",
    "a%0aset-cookie:%20evil=1",
    "a%0dset-cookie:%20evil=1",
    "a%00set-cookie:%20evil=1",
    "a%e5%98%8a%e5%98%8dset-cookie:%20evil=1",
    "a%22%3e;%20rel=%22next",
    "%3e;rel=evil,%3chttps://evil.example",
    "a%09b",
    "a%7fb",
];

/// Fails the test if anything of [`LINES`] became a header, or could be read as one.
fn untouched(answer: &TestResponse) {
    assert!(answer.status.as_u16() < 500, "{answer:?}");
    assert!(!answer.has("set-cookie"), "{answer:?}");
    for (name, value) in &answer.headers {
        let bytes = value.as_bytes();
        let visible = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
        assert!(visible, "{name}: {value:?}");
        let text = value.to_str().unwrap();
        assert!(!text.contains("set-cookie: evil"), "{name}: {text}");
        assert!(!text.contains("rel=evil"), "{name}: {text}");
    }
    let links = answer.headers.get_all("link").iter();
    for link in links.map(|link| link.to_str().unwrap()) {
        assert_eq!(link.matches('<').count(), 1, "{link}");
        assert!(link.ends_with(">; rel=\"next\""), "{link}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_sent_becomes_a_header() {
    let app = TestApp::new().await;
    let admin = app.admin();
    let image = TestImage::new(1, 1);
    let digest = admin.push("ann/app", "v1", &image).await;
    admin.push("ann/app", "v2", &image).await;
    let quick = |method: Method, path: String| {
        let request = admin.request(method, &path);
        async move { request.send().await }
    };
    for line in LINES {
        let paths = [
            format!("/v2/{line}/app/tags/list"),
            format!("/v2/ann/app/manifests/{line}"),
            format!("/v2/ann/app/blobs/{line}"),
            format!("/v2/ann/app/blobs/uploads/{line}"),
            format!("/v2/ann/app/tags/list?n=1&last={line}"),
            format!("/v2/ann/app/tags/list?n={line}"),
            format!("/v2/_catalog?n=1&last={line}"),
            format!("/v2/ann/app/referrers/{digest}?artifactType={line}"),
            format!("/v2/auth?service={line}&scope=repository:{line}:pull"),
        ];
        for path in paths {
            for method in [Method::GET, Method::HEAD] {
                untouched(&quick(method, path.clone()).await);
            }
        }
        for path in [
            format!("/v2/ann/app/blobs/uploads/?mount={digest}&from={line}"),
            format!("/v2/ann/app/blobs/uploads/?digest={line}"),
            format!("/v2/{line}/blobs/uploads/"),
        ] {
            untouched(&quick(Method::POST, path).await);
        }
        for query in [format!("tag={line}"), format!("x={line}")] {
            let put = admin.put(&format!("/v2/ann/app/manifests/{digest}?{query}"));
            let put = put.header("content-type", IMAGE).body(image.manifest());
            untouched(&put.send().await);
        }
        untouched(&quick(Method::DELETE, format!("/v2/ann/app/manifests/{line}")).await);
    }
    // The challenge repeats the name, and the host.
    let nobody = app.anonymous();
    for line in LINES {
        untouched(&nobody.get(&format!("/v2/{line}/tags/list")).send().await);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_pages_buy_nothing() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    let digest = ann.push("ann/app", "v1", &image).await;
    let lists = [
        "/v2/ann/app/tags/list".to_owned(),
        "/v2/_catalog".to_owned(),
        format!("/v2/ann/app/referrers/{digest}"),
    ];
    for list in &lists {
        let whole = ann.get(list).send().await.expect(200);
        for n in [
            "1000000000",
            "18446744073709551615",
            "18446744073709551616",
            "99999999999999999999999999999999999999999999",
            "-1",
            "-9223372036854775808",
            "1e9",
            "0x7fffffff",
            "1;2",
            "%31%30%30%30%30%30",
        ] {
            let answer = ann.get(&format!("{list}?n={n}")).send().await;
            match answer.status.as_u16() {
                200 => assert_eq!(answer.body, whole.body, "{list} {n}"),
                400 => {}
                other => panic!("{list}?n={n}: {other}"),
            }
        }
        // Neither many parameters nor a long one is worked through.
        for query in ["n=1&".repeat(5_000), format!("last={}", "a".repeat(60_000))] {
            let answer = ann.get(&format!("{list}?{query}")).send().await;
            assert!(
                matches!(answer.status.as_u16(), 400 | 414),
                "{list}: {}",
                answer.status
            );
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_digest_has_one_type() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    let digest = ann.push("ann/app", "v1", &image).await;
    let push = |kind: &'static str, bytes: Vec<u8>| {
        let put = ann.put("/v2/ann/app/manifests/v1");
        async move { put.header("content-type", kind).body(bytes).send().await }
    };
    // The same bytes under another type, and under what a browser would run.
    for kind in [
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "text/html",
        "image/svg+xml",
    ] {
        let answer = push(kind, image.manifest()).await;
        assert_eq!(answer.status, 400, "{kind}");
    }
    // A document that says nothing of its type is what its head says, once.
    let mut silent: Value = serde_json::from_slice(&image.manifest()).unwrap();
    silent.as_object_mut().unwrap().remove("mediaType");
    let silent = silent.to_string().into_bytes();
    push(IMAGE, silent.clone()).await.expect(201);
    let other = "application/vnd.docker.distribution.manifest.v2+json";
    let answer = push(other, silent.clone()).await;
    let held = Digest::of(Algorithm::Sha256, &silent);
    let got = ann.get(&format!("/v2/ann/app/manifests/{held}"));
    let got = got.header("accept", "text/html").send().await.expect(200);
    assert_eq!(got.header("content-type"), IMAGE, "{answer:?}");
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    let got = ann.get(&format!("/v2/ann/app/manifests/{digest}"));
    assert_eq!(got.send().await.expect(200).header("content-type"), IMAGE);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_page_is_never_a_page() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let page = b"<!doctype html><script>alert(document.domain)</script>";
    let location = ann.open_upload("ann/app").await;
    let digest = Digest::of(Algorithm::Sha256, page);
    let put = ann.put(&format!("{location}?digest={digest}"));
    let put = put.header("content-type", "text/html").body(page.to_vec());
    put.send().await.expect(201);
    let path = format!("/v2/ann/app/blobs/{digest}");
    for request in [
        ann.get(&path),
        ann.head(&path),
        ann.get(&path).header("accept", "text/html"),
        ann.get(&path).header("range", "bytes=0-20"),
        ann.get(&path).header("sec-fetch-dest", "document"),
    ] {
        let answer = request.send().await;
        assert!(answer.status.is_success(), "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(answer.header("content-security-policy").contains("sandbox"));
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_origins_are_told_nothing() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    app.set_visibility("ann/app", Visibility::Public).await;
    let allows = |headers: &HeaderMap| {
        let mut names = headers.keys().map(http::HeaderName::as_str);
        names.any(|name| name.starts_with("access-control-"))
    };
    let paths = [
        "/v2/",
        "/v2/auth",
        "/v2/ann/app/manifests/v1",
        "/v2/ann/app/tags/list",
    ];
    for path in paths {
        for client in [&ann, &app.anonymous()] {
            let ask = |method: Method| {
                let request = client.request(method, path);
                let request = request.header("origin", "https://evil.example");
                request
                    .header("access-control-request-method", "PUT")
                    .send()
            };
            assert!(!allows(&ask(Method::GET).await.headers), "{path}");
            let preflight = ask(Method::OPTIONS).await;
            assert_eq!(preflight.status, 405, "{path}");
            assert!(!allows(&preflight.headers), "{path}");
        }
    }
    app.finish().await;
}

/// Pushes under what a client claims; says the digest that is told in return.
async fn claiming(client: &Client, image: &TestImage, claim: &Digest) -> Digest {
    let put = client.put("/v2/ann/app/manifests/v1");
    let put = put.header("content-type", IMAGE);
    let put = put.header("docker-content-digest", &claim.to_string());
    put.body(image.manifest()).send().await.expect(201).digest()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_computes_every_digest_that_it_names() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v0", &image).await;
    let claim = Digest::of(Algorithm::Sha256, b"something else");
    assert_eq!(claiming(&ann, &image, &claim).await, image.digest());
    let layer = blob_of(9, 100);
    let digest = Digest::of(Algorithm::Sha256, &layer);
    let location = ann.open_upload("ann/app").await;
    let put = ann.put(&format!("{location}?digest={digest}"));
    let put = put.header("docker-content-digest", &claim.to_string());
    assert_eq!(put.body(layer).send().await.expect(201).digest(), digest);
    let get = ann.get("/v2/ann/app/manifests/v1");
    let get = get.header("docker-content-digest", &claim.to_string());
    assert_eq!(get.send().await.expect(200).digest(), image.digest());
    app.finish().await;
}
