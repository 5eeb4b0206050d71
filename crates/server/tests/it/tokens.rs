//! The token service, question by question (protocol §13.2, §13.3).

use http::Method;
use seawall_testkit::{Client, Request, TestApp, TestImage, TestResponse};
use seawall_types::permission::{Role, Visibility};
use serde_json::{Value, json};

/// What a token says that it may be used for.
fn access(answer: &TestResponse) -> Value {
    claims(answer)["access"].clone()
}

fn claims(answer: &TestResponse) -> Value {
    use base64::Engine;
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(part)
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn repository(name: &str, actions: &[&str]) -> Value {
    json!({ "type": "repository", "name": name, "actions": actions })
}

async fn asked(client: &Client, query: &str) -> TestResponse {
    let path = format!("/v2/auth?{query}");
    client.get(&path).send().await.expect(200)
}

fn form(client: &Client, fields: &str) -> Request {
    let post = client.post("/v2/auth");
    let kind = "application/x-www-form-urlencoded";
    post.header("content-type", kind).body(fields.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_are_asked_for_in_every_way_that_is_in_use() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let one = json!([repository("ann/a", &["pull", "push"])]);
    for query in [
        "scope=repository:ann/a:pull,push",
        "scope=repository:ann/a:push,pull",
        "scope=repository:ann/a:pull&scope=repository:ann/a:pull,push",
        "scope=repository:ann/a:pull%20repository:ann/a:push",
        "scope=repository:ann/a:pull+repository:ann/a:push",
        "scope=repository%3Aann%2Fa%3Apull%2Cpush&service=registry.test&client_id=x",
        "scope=repository(plugin):ann/a:pull,push",
        "scope=repository:ann/a:pull,push,dance",
        "scope=repository:ann/a:pull,push,metadata_read",
        "scope=repository:ann/a:pull,scanner-pull,push",
        "scope=repository:ann/a:pull,push&scope=gadget:x:turn",
        "scope=repository:ann/a:pull,push&scope=repository:Not.A/Name:pull",
        "scope=repository:ann/a:pull,push&scope=repository:registry.test:5000/ann/b:pull",
        "account=somebody-else&scope=repository:ann/a:pull,push",
    ] {
        assert_eq!(access(&asked(&ann, query).await), one, "{query}");
    }
    let two = json!([
        repository("ann/a", &["pull", "push"]),
        repository("ann/b", &["pull"]),
    ]);
    for query in [
        "scope=repository:ann/a:pull,push%20repository:ann/b:pull",
        "scope=repository:ann/b:pull&scope=repository:ann/a:pull,push",
    ] {
        assert_eq!(access(&asked(&ann, query).await), two, "{query}");
    }
    for query in [
        "",
        "scope=",
        "scope=repository:ann/a:",
        "scope=repository:bob/a:pull",
    ] {
        assert_eq!(access(&asked(&ann, query).await), json!([]), "{query}");
    }
    for query in [
        "scope=repository",
        "scope=:::",
        "scope=repository:ann/a",
        "scope=%ff",
    ] {
        let path = format!("/v2/auth?{query}");
        ann.get(&path).send().await.refused(400, "UNSUPPORTED");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_answered_as_it_stands() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    // Deleting comes last: there is nothing to pull after it.
    for (method, path) in [
        (Method::GET, "/v2/ann/app/manifests/v1"),
        (Method::POST, "/v2/ann/app/blobs/uploads/"),
        (Method::GET, "/v2/_catalog"),
        (Method::DELETE, "/v2/ann/app/manifests/v1"),
    ] {
        let asked = app.anonymous().request(method.clone(), path);
        let answer = asked.send().await.expect(401);
        let challenge = answer.header("www-authenticate").to_owned();
        let scope = challenge.split("scope=\"").nth(1).unwrap();
        let scope = scope.split('"').next().unwrap();
        let token = ann.token_for(&[scope]).await;
        let answer = token.request(method, path).send().await;
        assert!(answer.status.is_success(), "{path}: {answer:?}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_what_is_public_to_pull_and_nothing_else() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    for name in ["ann/open", "ann/closed"] {
        ann.push(name, "v1", &TestImage::new(1, 1)).await;
    }
    app.set_visibility("ann/open", Visibility::Public).await;
    let query = "scope=repository:ann/open:pull,push,delete,*%20repository:ann/closed:pull%20\
                 repository:nobody/none:pull,push&offline_token=true";
    for nobody in [app.anonymous(), app.anonymous().with_password("", "")] {
        let answer = asked(&nobody, query).await;
        assert_eq!(claims(&answer)["sub"], "");
        assert_eq!(access(&answer), json!([repository("ann/open", &["pull"])]));
        assert!(answer.json().get("refresh_token").is_none());
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_what_one_may_do() {
    let app = TestApp::new().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    let all = "scope=repository:ann/app:*";
    assert_eq!(access(&asked(&bob, all).await), json!([]));
    for (role, actions) in [
        (Role::Read, &["pull"][..]),
        (Role::Write, &["delete", "pull", "push"][..]),
    ] {
        app.grant("ann/app", "bob", role).await;
        let mut granted = access(&asked(&bob, all).await);
        let list = granted[0]["actions"].as_array_mut().unwrap();
        list.sort_by_key(ToString::to_string);
        assert_eq!(granted, json!([repository("ann/app", actions)]));
    }
    assert_eq!(
        access(&asked(&ann, all).await),
        json!([repository("ann/app", &["*"])])
    );
    // What could be made may be pulled, so that the answer is that it is not there.
    let token = bob.token_for(&["repository:bob/new:pull"]).await;
    let head = token.head("/v2/bob/new/manifests/v1").send().await;
    head.expect(404);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_must_be_one() {
    let app = TestApp::new().await;
    app.user("ann").await;
    let nobody = app.anonymous();
    let password = "correct+horse+battery+staple";
    let good =
        format!("grant_type=password&service=x&client_id=c&username=ann&password={password}");
    let answer = form(&nobody, &good).send().await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json()["scope"], "");
    for (from, to) in [
        ("username=ann&", ""),
        ("password=c", "password=&x=c"),
        ("grant_type=password", "grant_type=authorization_code"),
        ("username=ann", "username=ann&username=bob"),
        ("username=ann", "username=%ff"),
        ("service=x", "service=x&scope=nonsense"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        form(&nobody, &bad).send().await.refused(400, "UNSUPPORTED");
    }
    for (from, to) in [("service=x&", ""), ("client_id=c&", "")] {
        let short = good.replacen(from, to, 1);
        form(&nobody, &short).send().await.expect(200);
    }
    for kind in ["application/json", "text/plain", ""] {
        let post = nobody.post("/v2/auth").header("content-type", kind);
        let post = post.body(good.clone()).send().await;
        post.refused(400, "UNSUPPORTED");
    }
    let long = format!("{good}&x={}", "y".repeat(64 * 1024));
    form(&nobody, &long)
        .send()
        .await
        .refused(413, "SIZE_INVALID");
    let wrong = good.replace("horse", "server");
    form(&nobody, &wrong)
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    let wrong = "grant_type=refresh_token&service=x&client_id=c&refresh_token=nonsense";
    let answer = form(&nobody, wrong).send().await;
    answer.refused(401, "UNAUTHORIZED");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_no_credential_for_another() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    for token in [
        ann.token_for(&["repository:ann/app:pull,push"]).await,
        app.anonymous().token_for(&[]).await,
    ] {
        let answer = token
            .get("/v2/auth?scope=repository:ann/app:*")
            .send()
            .await;
        answer.refused(401, "UNAUTHORIZED");
    }
    let twice = ann.get("/v2/").header("authorization", "Bearer x");
    twice.send().await.refused(401, "UNAUTHORIZED");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_knows_who_asked_by_form_and_for_what() {
    let app = TestApp::new().await;
    app.user("ann").await;
    let fields = "grant_type=password&service=x&client_id=c&username=ann\
                  &password=correct+horse+battery+staple";
    for scope in [
        "",
        "&scope=repository:ann/app:pull",
        "&scope=repository:ann/app:push",
    ] {
        let fields = format!("{fields}{scope}");
        let nobody = app.anonymous();
        form(&nobody, &fields).send().await.expect(200);
    }
    let wrong = fields.replace("horse", "server");
    let nobody = app.anonymous();
    form(&nobody, &wrong).send().await.expect(401);
    let seen = app.requests.take();
    let lanes: Vec<_> = seen.iter().map(|one| one.lane).collect();
    let actors: Vec<_> = seen.iter().map(|one| one.actor.as_str()).collect();
    assert_eq!(lanes, ["interactive", "pull", "push", "interactive"]);
    assert_eq!(actors, ["ann", "ann", "ann", "anonymous"]);
    assert!(seen.iter().all(|one| one.route == "token.post"));
    app.finish().await;
}
