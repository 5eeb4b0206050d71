//! What answers give away to those who may not know: that a repository is there, that a blob is,
//! that an upload is (protocol §8.5, §14.6–14.8).

use std::collections::BTreeMap;

use http::{HeaderMap, Method};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use seawall_testkit::{Client, TestApp, TestImage, TestResponse};
use seawall_types::digest::{Algorithm, Digest};
use seawall_types::permission::Role;

/// Every method that a server might know something about.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// All that an answer says, but for what differs by itself: when it was given, and its number.
/// `name` is how the question called the repository; it stands for any other.
fn said(answer: &TestResponse, name: &str) -> (u16, Vec<(String, String)>, String) {
    let plain = |text: &str| text.replace(name, "NAME");
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"))
        .map(|(name, value)| (name.to_string(), plain(value.to_str().unwrap())))
        // A name of another length has a challenge and an error of another length.
        .filter(|(name, _)| name != "content-length")
        .collect();
    headers.sort();
    let body = plain(&String::from_utf8_lossy(&answer.body));
    (answer.status.as_u16(), headers, body)
}

/// The headers without those that only say which upload it is.
fn without_upload(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in ["location", "docker-upload-uuid", "date", "x-request-id"] {
        headers.remove(name);
    }
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_answers_as_what_is_missing_by_every_method() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let layer = Digest::of(Algorithm::Sha256, &image.layers[0]);
    let upload = ann.open_upload("ann/app").await;
    let upload = upload.rsplit('/').next().unwrap().to_owned();
    let stranger = app.user("stranger").await;
    let token = stranger.token_for(&["repository:ann/app:pull,push"]).await;
    let (digest, nobody) = (image.digest(), app.anonymous());
    let paths = [
        "tags/list".to_owned(),
        "tags/list?n=1&last=a".to_owned(),
        "manifests/v1".to_owned(),
        "manifests/none".to_owned(),
        format!("manifests/{digest}"),
        format!("blobs/{layer}"),
        format!("referrers/{digest}"),
        format!("referrers/{digest}?artifactType=a/b"),
        "blobs/uploads/".to_owned(),
        format!("blobs/uploads/?mount={layer}&from=ann/app"),
        format!("blobs/uploads/?digest={layer}"),
        format!("blobs/uploads/{upload}"),
        format!("blobs/uploads/{upload}?digest={layer}"),
    ];
    for client in [&stranger, &token, &nobody] {
        for path in &paths {
            for method in METHODS {
                let ask = async |name: &str| {
                    let request = client.request(method.clone(), &format!("/v2/{name}/{path}"));
                    let request = request.header("content-type", image.media_type());
                    said(&request.body(image.manifest()).send().await, name)
                };
                let hidden = ask("ann/app").await;
                assert!(
                    (400..500).contains(&hidden.0),
                    "{method} {path}: {hidden:?}"
                );
                // One of the same length, so that lengths could be compared as well; one in a
                // namespace that is there; one in none.
                for missing in ["ann/apq", "ann/not-here", "nobody/at-all"] {
                    assert_eq!(ask(missing).await, hidden, "{method} {missing}/{path}");
                }
            }
        }
    }
    let names =
        ["ann/app", "ann/apq"].map(|name| stranger.get(&format!("/v2/{name}/tags/list")).send());
    let [hidden, missing] = futures::future::join_all(names).await.try_into().unwrap();
    assert_eq!(hidden.body, missing.body);
    assert_eq!(hidden.headers, missing.headers);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_tells_nothing_of_what_one_may_not_read() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let secret = ann.push_blob("ann/private", b"secret layer").await;
    bob.push_blob("bob/app", b"mine").await;
    let missing = Digest::of(Algorithm::Sha256, b"nowhere");
    let mount = async |digest: &Digest, from: &str| {
        let path = format!("/v2/bob/app/blobs/uploads/?mount={digest}{from}");
        let answer = bob.post(&path).send().await.expect(202);
        (without_upload(&answer.headers), answer.body)
    };
    let expected = mount(&missing, "&from=nobody/at-all").await;
    for digest in [&secret, &missing] {
        for from in [
            "&from=ann/private",
            "&from=ann/none",
            "&from=bob/app",
            "&from=bob/none",
            "",
        ] {
            assert_eq!(mount(digest, from).await, expected, "{digest}{from}");
        }
    }
    // Naming the digest is no way to the bytes: they must be sent, all of them, and be the right
    // ones.
    let location = bob.open_upload("bob/app").await;
    let put = bob.put(&format!("{location}?digest={secret}"));
    put.send().await.refused(400, "DIGEST_INVALID");
    let post = bob.post(&format!("/v2/bob/app/blobs/uploads/?digest={secret}"));
    let part = post.body("secret laye").send().await;
    part.refused(400, "DIGEST_INVALID");
    let post = bob.post(&format!("/v2/bob/app/blobs/uploads/?digest={secret}"));
    post.body("").send().await.expect(202);
    for method in [Method::GET, Method::HEAD] {
        let blob = bob.request(method, &format!("/v2/bob/app/blobs/{secret}"));
        blob.send().await.refused(404, "BLOB_UNKNOWN");
    }
    let manifest = TestImage::new(3, 0).saying("layers", serde_json::json!([{
        "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": secret.to_string(), "size": 12
    }]));
    bob.push_blob("bob/app", &manifest.config).await;
    let put = bob.put("/v2/bob/app/manifests/v1");
    let put = put.header("content-type", manifest.media_type());
    let put = put.body(manifest.manifest()).send().await;
    put.refused(400, "MANIFEST_BLOB_UNKNOWN");
    app.finish().await;
}

/// Everything that can be tried on an upload.
async fn tried(client: &Client, location: &str) -> Vec<TestResponse> {
    let digest = Digest::of(Algorithm::Sha256, b"abc");
    vec![
        client.get(location).send().await,
        client.patch(location).body("evil").send().await,
        client
            .put(&format!("{location}?digest={digest}"))
            .send()
            .await,
        client.delete(location).send().await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_its_makers_alone() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    ann.push_blob("ann/other", b"x").await;
    let location = ann.open_upload("ann/app").await;
    ann.patch(&location).body("abc").send().await.expect(202);
    app.grant("ann/app", "bob", Role::Admin).await;
    app.grant("ann/other", "bob", Role::Admin).await;
    let elsewhere = location.replace("ann/app", "ann/other");
    let uuid = location.rsplit('/').next().unwrap();
    let guessed = location.replace(uuid, "00000000-0000-4000-8000-000000000000");
    let bobs = bob
        .token_for(&["repository:ann/app:pull,push,delete"])
        .await;
    // Whoever is not its maker, and its maker elsewhere, hear what they would of one that is not
    // there.
    for (client, location) in [
        (&bob, &location),
        (&bobs, &location),
        (&app.admin(), &location),
        (&ann, &elsewhere),
        (&bob, &elsewhere),
    ] {
        let nothing = tried(client, &guessed).await;
        for (answer, nothing) in tried(client, location).await.into_iter().zip(nothing) {
            let (told, expected) = (said(&answer, "ann/other"), said(&nothing, "ann/other"));
            assert_eq!(told, expected, "{}", answer.asked);
            answer.refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
    // A token that may only pull does not get as far as asking.
    let pull = ann.token_for(&["repository:ann/app:pull"]).await;
    for answer in tried(&pull, &location).await {
        answer.refused(401, "UNAUTHORIZED");
    }
    // Its maker goes on as if nothing had been.
    let status = ann.get(&location).send().await.expect(204);
    assert_eq!(status.header("range"), "0-2");
    let digest = Digest::of(Algorithm::Sha256, b"abc");
    let put = ann.put(&format!("{location}?digest={digest}"));
    put.send().await.expect(201);
    app.finish().await;
}

/// What has been counted of logins and what is remembered of them.
fn counted(handle: &PrometheusHandle) -> BTreeMap<String, u64> {
    let text = handle.render();
    let lines = text.lines().filter(|line| {
        line.starts_with("seawall_password_checks_total")
            || line.starts_with("seawall_cache_lookups_total{cache=\"logins\"")
    });
    let pairs = lines.filter_map(|line| line.rsplit_once(' '));
    pairs
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

// On one thread, whose counters are its own.
#[tokio::test]
async fn neither_answers_nor_costs_nor_counters_tell_which_users_there_are() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _counting = metrics::set_default_local_recorder(&recorder);
    let app = TestApp::new().await;
    app.user("ann").await;
    let attempt = async |user: &str, password: &str| {
        app.requests.take();
        let before = counted(&handle);
        let client = app.anonymous().with_password(user, password);
        let answer = client.get("/v2/").send().await;
        let mut after = counted(&handle);
        for (name, value) in &mut after {
            *value -= before.get(name).unwrap_or(&0);
        }
        after.retain(|_, value| *value > 0);
        let seen = app.requests.take();
        (said(&answer, user), after, seen[0].reads)
    };
    let long = "x".repeat(2000);
    for password in ["wrong", "wrong", "", &long, "", "another", "another"] {
        // Whether what is remembered is fresh at this moment is the machine's doing.
        let alike =
            || async { attempt("ann", password).await == attempt("nobody", password).await };
        let what = format!("{} letters tell nothing", password.len());
        app.eventually(&what, alike).await;
    }
    let (_, counters, _) = attempt("ann", "one more").await;
    assert!(!counters.is_empty(), "nothing was counted at all");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_asked_for_before_logs_in_as_soon_as_it_is_somebodys() {
    let app = TestApp::new().await;
    let ann = app.known("ann");
    for _ in 0..3 {
        ann.get("/v2/").send().await.expect(401);
    }
    app.user("ann").await;
    ann.get("/v2/").send().await.expect(200);
    app.finish().await;
}
