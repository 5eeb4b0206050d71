//! Logging in: challenges, tokens, refresh tokens (protocol §13).

use std::time::Duration;

use seawall_testkit::{Client, TestApp, TestImage, TestResponse};
use serde_json::Value;

fn challenge(answer: &TestResponse) -> &str {
    answer.header("www-authenticate")
}

/// The claims of a token, unverified.
fn claims(token: &str) -> Value {
    use base64::Engine;
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(part)
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn form(client: &Client, fields: &str) -> seawall_testkit::Request {
    client
        .post("/v2/auth")
        .header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )
        .body(fields.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_names_the_token_service() {
    let app = TestApp::new().await;
    let answer = app
        .anonymous()
        .get("/v2/")
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    let installation = app.server.kernel.installation();
    assert_eq!(
        challenge(&answer),
        format!("Bearer realm=\"http://registry.test/v2/auth\",service=\"{installation}\"")
    );
    assert_eq!(
        answer.header("docker-distribution-api-version"),
        "registry/2.0"
    );
    let answer = app.anonymous().get("/v2").send().await;
    answer.refused(401, "UNAUTHORIZED");
    let ann = app.user("ann").await;
    ann.get("/v2/").send().await.expect(200);
    ann.get("/v2").send().await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_challenge_names_what_the_route_needs() {
    let app = TestApp::new().await;
    let nobody = app.anonymous();
    let digest = TestImage::new(1, 1).digest();
    let upload = "/v2/ann/app/blobs/uploads/00000000-0000-4000-8000-000000000000";
    for (request, scope) in [
        (
            nobody.get("/v2/ann/app/manifests/v1"),
            "repository:ann/app:pull",
        ),
        (
            nobody.head("/v2/ann/app/manifests/v1"),
            "repository:ann/app:pull",
        ),
        (
            nobody.put("/v2/ann/app/manifests/v1"),
            "repository:ann/app:pull,push",
        ),
        (
            nobody.delete("/v2/ann/app/manifests/v1"),
            "repository:ann/app:delete",
        ),
        (
            nobody.post("/v2/ann/app/blobs/uploads/"),
            "repository:ann/app:pull,push",
        ),
        (nobody.get(upload), "repository:ann/app:pull,push"),
        (nobody.patch(upload), "repository:ann/app:pull,push"),
        (nobody.put(upload), "repository:ann/app:pull,push"),
        (nobody.delete(upload), "repository:ann/app:pull,push"),
        (
            nobody.get("/v2/ann/app/tags/list"),
            "repository:ann/app:pull",
        ),
        (
            nobody.get(&format!("/v2/ann/app/referrers/{digest}")),
            "repository:ann/app:pull",
        ),
        (nobody.get("/v2/hello/tags/list"), "repository:hello:pull"),
        (nobody.get("/v2/_catalog"), "registry:catalog:*"),
    ] {
        let answer = request.send().await.expect(401);
        assert!(
            challenge(&answer).ends_with(&format!(",scope=\"{scope}\"")),
            "{answer:?}"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_address_is_the_realm() {
    let app = TestApp::with(|config| {
        config.public_url = Some("https://registry.example.com".parse().unwrap());
    })
    .await;
    let answer = app.anonymous().get("/v2/").send().await.expect(401);
    assert!(challenge(&answer).contains("realm=\"https://registry.example.com/v2/auth\""));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_through_what_it_names_and_no_more() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    ann.push("ann/other", "v1", &image).await;
    let pull = ann.token_for(&["repository:ann/app:pull"]).await;
    pull.pull("ann/app", "v1", &image).await;
    let narrow = pull
        .post("/v2/ann/app/blobs/uploads/")
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    assert!(challenge(&narrow).ends_with("error=\"insufficient_scope\""));
    let other = pull
        .get("/v2/ann/other/manifests/v1")
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    assert!(challenge(&other).ends_with("error=\"insufficient_scope\""));
    pull.get("/v2/").send().await.expect(200);
    let both = ann
        .token_for(&[
            "repository:ann/app:pull",
            "repository:ann/app:pull,push%20repository:ann/other:pull",
        ])
        .await;
    both.push("ann/app", "v2", &TestImage::new(2, 1)).await;
    both.pull("ann/other", "v1", &image).await;
    both.delete("/v2/ann/app/manifests/v2")
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    let all = ann.token_for(&["repository:ann/app:*"]).await;
    all.delete("/v2/ann/app/manifests/v2")
        .send()
        .await
        .expect(202);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn less_than_was_asked_for_is_no_error() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    app.set_visibility("ann/app", seawall_types::permission::Visibility::Public)
        .await;
    let bob = app.user("bob").await;
    let path = "/v2/auth?scope=repository:ann/app:pull,push&service=x&account=ann&foo=bar";
    let answer = bob.get(path).send().await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!(body["token"], body["access_token"]);
    assert_eq!(body["expires_in"], 300);
    assert!(body["issued_at"].as_str().unwrap().ends_with('Z'));
    assert!(body.get("refresh_token").is_none());
    let claims = claims(body["token"].as_str().unwrap());
    assert_eq!(claims["sub"], "bob");
    assert_eq!(claims["access"][0]["actions"], serde_json::json!(["pull"]));
    assert_eq!(claims["aud"], app.server.kernel.installation().to_string());
    // What Bob could make, he may pull: the answer is 404 and not 401.
    let own = bob.token_for(&["repository:bob/new:pull,push"]).await;
    own.head("/v2/bob/new/manifests/v1")
        .send()
        .await
        .expect(404);
    // Unknown kinds are dropped, malformed ones are refused.
    bob.get("/v2/auth?scope=gadget:x:pull")
        .send()
        .await
        .expect(200);
    bob.get("/v2/auth?scope=repository")
        .send()
        .await
        .expect(400);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_refused_everywhere() {
    let app = TestApp::new().await;
    app.user("ann").await;
    for client in [
        app.anonymous().with_password("ann", "wrong"),
        app.anonymous().with_password("nobody", "wrong"),
        app.anonymous().with_password("ann", ""),
    ] {
        client.get("/v2/").send().await.refused(401, "UNAUTHORIZED");
        client
            .get("/v2/auth")
            .send()
            .await
            .refused(401, "UNAUTHORIZED");
        client
            .get("/v2/auth?scope=repository:x/y:pull")
            .send()
            .await
            .refused(401, "UNAUTHORIZED");
        client
            .get("/v2/_catalog")
            .send()
            .await
            .refused(401, "UNAUTHORIZED");
    }
    let fields = "grant_type=password&service=x&client_id=test&username=ann&password=wrong";
    let answer = form(&app.anonymous(), fields).send().await;
    assert!(matches!(answer.status.as_u16(), 400 | 401), "{answer:?}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_in_particular_gets_a_token_for_what_is_public() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/open", "v1", &image).await;
    ann.push("ann/closed", "v1", &image).await;
    app.set_visibility("ann/open", seawall_types::permission::Visibility::Public)
        .await;
    for nobody in [app.anonymous(), app.anonymous().with_password("", "")] {
        let token = nobody
            .token_for(&[
                "repository:ann/open:pull,push",
                "repository:ann/closed:pull",
            ])
            .await;
        token.pull("ann/open", "v1", &image).await;
        token.get("/v2/").send().await.expect(200);
        token
            .get("/v2/ann/closed/manifests/v1")
            .send()
            .await
            .refused(401, "UNAUTHORIZED");
        token
            .post("/v2/ann/open/blobs/uploads/")
            .send()
            .await
            .refused(401, "UNAUTHORIZED");
    }
    // Without any token, what is public is served as well.
    app.anonymous().pull("ann/open", "v1", &image).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_access_can_be_switched_off() {
    let app = TestApp::with(|config| config.access.anonymous_pull = false).await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/open", "v1", &image).await;
    app.set_visibility("ann/open", seawall_types::permission::Visibility::Public)
        .await;
    app.anonymous()
        .get("/v2/ann/open/manifests/v1")
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    let bob = app.user("bob").await;
    bob.pull("ann/open", "v1", &image).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_exchanged_by_form() {
    let app = TestApp::with(|config| config.tokens.refresh_tokens = true).await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    let nobody = app.anonymous();
    let fields = "grant_type=password&service=x&client_id=test&access_type=offline&username=ann\
                  &password=correct+horse%20battery+staple&scope=repository%3Aann%2Fapp%3Apull";
    let body = form(&nobody, fields).send().await.expect(200).json();
    assert_eq!(body["scope"], "repository:ann/app:pull");
    nobody
        .with_token(body["access_token"].as_str().unwrap())
        .pull("ann/app", "v1", &image)
        .await;

    let refresh = body["refresh_token"].as_str().unwrap();
    let fields = format!(
        "grant_type=refresh_token&service=x&client_id=test&refresh_token={refresh}\
         &scope=repository:ann/app:pull,push"
    );
    let body = form(&nobody, &fields).send().await.expect(200).json();
    let token = nobody.with_token(body["access_token"].as_str().unwrap());
    token.push("ann/app", "v2", &TestImage::new(2, 1)).await;
    // A refresh token is no token.
    nobody
        .with_token(refresh)
        .get("/v2/")
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    for fields in [
        "",
        "grant_type=magic&service=x&client_id=y",
        "grant_type=password&username=ann",
    ] {
        let answer = form(&nobody, fields).send().await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 401),
            "{fields}: {answer:?}"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_leaves_a_refresh_token_only_where_they_are_switched_on() {
    let path = "/v2/auth?account=ann&client_id=docker&offline_token=true&service=x";
    let app = TestApp::new().await;
    let body = app.user("ann").await.get(path).send().await;
    // Docker keeps name and password then, which every tool that reads its file understands.
    assert!(body.expect(200).json().get("refresh_token").is_none());
    app.finish().await;
    let app = TestApp::with(|config| config.tokens.refresh_tokens = true).await;
    let ann = app.user("ann").await;
    let body = ann.get(path).send().await.expect(200).json();
    assert!(body["refresh_token"].as_str().unwrap().len() >= 32);
    let token = app.anonymous().with_token(body["token"].as_str().unwrap());
    token.get("/v2/").send().await.expect(200);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_user_is_out_at_once_and_a_new_password_ends_the_old() {
    let app = TestApp::with(|config| config.tokens.refresh_tokens = true).await;
    let ann = app.user("ann").await;
    ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    let token = ann.token_for(&["repository:ann/app:pull"]).await;
    let login = "/v2/auth?offline_token=true&service=x&client_id=docker";
    let refresh = ann.get(login).send().await.expect(200).json();
    let refresh = refresh["refresh_token"].as_str().unwrap().to_owned();
    let fields = format!("grant_type=refresh_token&service=x&client_id=c&refresh_token={refresh}");
    let name = seawall_types::name::NamespaceName::parse("ann").unwrap();
    let operator = app.operator();

    app.server
        .directory
        .set_enabled(&operator, &operator.user(&name).await.unwrap(), false)
        .await
        .unwrap();
    token
        .get("/v2/ann/app/manifests/v1")
        .send()
        .await
        .refused(401, "UNAUTHORIZED");
    app.eventually("the password is refused", || async {
        ann.get("/v2/").send().await.status == 401
    })
    .await;
    assert!(
        form(&app.anonymous(), &fields)
            .send()
            .await
            .status
            .is_client_error()
    );
    app.server
        .directory
        .set_enabled(&operator, &operator.user(&name).await.unwrap(), true)
        .await
        .unwrap();
    app.eventually("the password counts again", || async {
        ann.get("/v2/").send().await.status == 200
    })
    .await;

    let new = Some(seawall_types::Secret::new("another password".to_owned()));
    app.server
        .directory
        .set_password(&operator, &operator.user(&name).await.unwrap(), new)
        .await
        .unwrap();
    app.eventually("the old password is refused", || async {
        ann.get("/v2/").send().await.status == 401
    })
    .await;
    app.anonymous()
        .with_password("ann", "another password")
        .get("/v2/")
        .send()
        .await
        .expect(200);
    assert!(
        form(&app.anonymous(), &fields)
            .send()
            .await
            .status
            .is_client_error()
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_with_its_time() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let token = ann.token_for(&[]).await;
    token.get("/v2/").send().await.expect(200);
    app.advance(Duration::from_secs(400)).await;
    let answer = token.get("/v2/").send().await.refused(401, "UNAUTHORIZED");
    assert!(challenge(&answer).contains("error=\"invalid_token\""));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_credential_is_refused() {
    let app = TestApp::new().await;
    app.user("ann").await;
    for authorization in [
        "Bearer x",
        "Bearer ",
        "Bearer a.b.c",
        "Basic !!!",
        "Basic",
        "Digest x",
        "x",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.",
    ] {
        let mut client = app.anonymous();
        client.authorization = Some(authorization.to_owned());
        let answer = client.get("/v2/").send().await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 401),
            "{authorization}: {answer:?}"
        );
        let answer = client.get("/v2/ann/app/tags/list").send().await;
        assert!(
            matches!(answer.status.as_u16(), 400 | 401),
            "{authorization}: {answer:?}"
        );
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_token_reads_what_is_public_and_does_nothing_else() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/open", "v1", &image).await;
    ann.push("ann/closed", "v1", &image).await;
    let public = seawall_types::permission::Visibility::Public;
    app.set_visibility("ann/open", public).await;
    for authorization in ["Bearer QQ==", "Bearer", "Bearer x", "Bearer a.b"] {
        let mut client = app.anonymous();
        client.authorization = Some(authorization.to_owned());
        client.pull("ann/open", "v1", &image).await;
        let hidden = client.get("/v2/ann/closed/manifests/v1").send().await;
        hidden.refused(401, "UNAUTHORIZED");
        let push = client.post("/v2/ann/open/blobs/uploads/").send().await;
        let answer = push.refused(401, "UNAUTHORIZED");
        assert!(challenge(&answer).contains("invalid_token"), "{answer:?}");
    }
    // One that may have been ours once is refused, so that its client asks for another.
    let old = app.anonymous().with_token("a.b.c");
    let answer = old.get("/v2/ann/open/manifests/v1").send().await;
    answer.refused(401, "UNAUTHORIZED");
    app.finish().await;
}
