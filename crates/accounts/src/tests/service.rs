//! The token service as clients use it.

use http::{StatusCode, header};
use seawall_types::lane::Lane;
use seawall_types::permission::Visibility;
use seawall_types::scope::Action;
use seawall_types::{Reason, RepositoryName};

use super::{Answer, Fixture, basic, pair};
use crate::tokens::grant;

/// Whether the token of `answer` admits `action` on `name`.
pub(super) async fn admits(fixture: &Fixture, answer: &Answer, name: &str, action: Action) -> bool {
    let actor = fixture.bearer(&answer.text("token")).await.unwrap();
    actor
        .ceiling
        .admits(&RepositoryName::parse(name).unwrap(), action)
}

#[tokio::test]
async fn a_login_gets_a_token_for_nothing_but_being_known() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let answer = fixture
        .get(
            "service=x&account=somebody&client_id=docker",
            Some(&basic("ann")),
        )
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(answer.text("token"), answer.text("access_token"));
    assert_eq!(answer.body["expires_in"], 300);
    assert!(answer.text("issued_at").ends_with('Z'));
    assert!(answer.body.get("refresh_token").is_none());
    let actor = fixture.bearer(&answer.text("token")).await.unwrap();
    assert_eq!(actor.name(), "ann");
    assert!(!actor.ceiling.admits_catalog());
}

#[tokio::test]
async fn wrong_credentials_are_unauthorized() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let long = "x".repeat(2000);
    for (user, password) in [
        ("ann", "wrong"),
        ("nobody", "x"),
        ("ann", ""),
        ("ann", &long),
        ("Ann!", "x"),
        ("", "x"),
    ] {
        let answer = fixture.get("", Some(&pair(user, password))).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{user}");
        assert_eq!(answer.reason(), "unauthenticated");
        assert!(!answer.body.to_string().contains(user) || user.is_empty());
    }
    for other in ["Digest x", "Bearer x.y.z", "Basic !"] {
        assert_eq!(
            fixture.get("", Some(other)).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
}

#[tokio::test]
async fn a_token_is_not_exchanged_for_another() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let token = fixture.token("ann", "").await;
    let answer = fixture
        .get(
            "scope=repository:ann/app:push",
            Some(&format!("Bearer {token}")),
        )
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn less_than_asked_is_no_error() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    fixture.user("bob").await;
    fixture
        .repository("ann", "ann/open", Visibility::Public)
        .await;
    fixture
        .repository("ann", "ann/closed", Visibility::Private)
        .await;
    let query = "scope=repository:ann/open:pull,push%20repository:ann/closed:pull\
                 &scope=repository:ann/open:delete&scope=other:thing:do";
    for authorization in [None, Some(basic("bob")), Some("Basic Og==".to_owned())] {
        let answer = fixture.get(query, authorization.as_deref()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(admits(&fixture, &answer, "ann/open", Action::Pull).await);
        assert!(!admits(&fixture, &answer, "ann/open", Action::Push).await);
        assert!(!admits(&fixture, &answer, "ann/closed", Action::Pull).await);
    }
    let answer = fixture.get(query, Some(&basic("ann"))).await;
    for action in [Action::Pull, Action::Push, Action::Delete] {
        assert!(admits(&fixture, &answer, "ann/open", action).await);
    }
    assert!(admits(&fixture, &answer, "ann/closed", Action::Pull).await);
    assert!(!admits(&fixture, &answer, "ann/closed", Action::Push).await);
}

#[tokio::test]
async fn whoever_may_make_a_repository_may_pull_it_before() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    fixture.user("bob").await;
    let query = "scope=repository:ann/new:pull,push";
    let ann = fixture.get(query, Some(&basic("ann"))).await;
    assert!(admits(&fixture, &ann, "ann/new", Action::Pull).await);
    assert!(admits(&fixture, &ann, "ann/new", Action::Push).await);
    let bob = fixture.get(query, Some(&basic("bob"))).await;
    assert!(!admits(&fixture, &bob, "ann/new", Action::Pull).await);
}

#[tokio::test]
async fn the_catalog_is_open_to_all_who_may_read_anything() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    for authorization in [None, Some(basic("ann"))] {
        let answer = fixture
            .get("scope=registry:catalog:*", authorization.as_deref())
            .await;
        let actor = fixture.bearer(&answer.text("token")).await.unwrap();
        assert!(actor.ceiling.admits_catalog());
    }
    let answer = fixture
        .get("scope=registry:other:*", Some(&basic("ann")))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn malformed_requests_are_the_clients_fault() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let many: Vec<_> = (0..65)
        .map(|n| format!("repository:ann/a{n}:pull"))
        .collect();
    let many = format!("scope={}", many.join("+"));
    for query in [
        "scope=repository",
        "scope=repository:x",
        "scope=:x:pull",
        "scope=%",
        &many,
    ] {
        let answer = fixture.get(query, Some(&basic("ann"))).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.reason(), "bad_request");
    }
    // What fits into no header is not signed.
    let path = "a".repeat(200);
    let long: Vec<_> = (0..60)
        .map(|n| format!("repository:ann/{path}{n}:pull"))
        .collect();
    let answer = fixture
        .get(&format!("scope={}", long.join("+")), Some(&basic("ann")))
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_password_is_exchanged_in_a_form() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let form = "grant_type=password&service=x&client_id=containerd-client\
                &scope=repository:ann/app:push,pull&username=ann&password=ann%27s+password";
    let answer = fixture.post(form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.text("scope"), "repository:ann/app:pull,push");
    assert!(answer.body.get("refresh_token").is_none());
    assert!(admits(&fixture, &answer, "ann/app", Action::Push).await);

    for (broken, status) in [
        (
            "grant_type=password&service=x&client_id=y&username=ann&password=wrong",
            401,
        ),
        (
            "grant_type=password&service=x&client_id=y&username=ann",
            400,
        ),
        ("grant_type=magic&service=x&client_id=y", 400),
        ("service=x&client_id=y&username=ann&password=p", 400),
        (
            "grant_type=refresh_token&service=x&client_id=y&refresh_token=abc",
            401,
        ),
        ("", 400),
    ] {
        assert_eq!(
            fixture.post(broken).await.status.as_u16(),
            status,
            "{broken}"
        );
    }
    let huge = format!("{form}&x={}", "x".repeat(64 * 1024));
    assert_eq!(
        fixture.post(&huge).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn a_form_without_a_service_or_a_client_is_answered() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let form = "grant_type=password&username=ann&password=ann%27s+password";
    for beside in ["", "&service=x", "&client_id=y", "&service=&client_id="] {
        let answer = fixture.post(&format!("{form}{beside}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{beside}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_token_counts_as_none_where_it_only_reads() {
    let fixture = Fixture::new().await;
    for odd in ["Bearer QQ==", "Bearer", "Bearer x", "Bearer a b"] {
        let answer = fixture.get("", Some(odd)).await;
        assert_eq!(answer.status, StatusCode::OK, "{odd}");
        let actor = fixture.bearer(&answer.text("token")).await.unwrap();
        assert!(actor.is_anonymous());
        let refused = fixture.verify(&fixture.op(), odd).await.unwrap_err();
        assert_eq!(refused.reason, Reason::InvalidToken, "{odd}");
    }
}

#[tokio::test]
async fn a_token_costs_one_read_for_all_repositories() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let op = fixture.op();
    let actor = fixture.verify(&op, &basic("ann")).await.unwrap();
    assert_eq!(op.cost().snapshot().reads, 1);
    let op = op.acting_as(actor);
    let asked =
        grant::parse(["repository:hello:pull repository:library/hello:push repository:ann/b:*"]);
    let granted = grant::intersect(&op, &asked.unwrap()).await.unwrap();
    assert_eq!(op.cost().snapshot().reads, 2);
    assert_eq!(op.cost().snapshot().writes, 0);
    assert_eq!(granted.to_string(), "repository:ann/b:*");
    assert_eq!(op.lane(), Lane::Pull);
}

#[tokio::test]
async fn as_many_scopes_as_a_token_holds_are_one_read_and_each_gets_its_own() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    fixture.user("bob").await;
    for number in 0..3 {
        let name = format!("ann/open{number}");
        fixture.repository("ann", &name, Visibility::Public).await;
    }
    fixture
        .repository("ann", "ann/shut", Visibility::Private)
        .await;
    let names = (0..57).map(|number| format!("none{number}/x"));
    let names = names.chain((0..3).map(|number| format!("ann/open{number}")));
    let named = ["ann/shut", "ann/none", "bob/new", "hello"].map(str::to_owned);
    let names: Vec<_> = names.chain(named).collect();
    assert_eq!(names.len(), 64);
    let scopes: Vec<_> = names
        .iter()
        .map(|name| format!("repository:{name}:pull"))
        .collect();
    let asked = grant::parse(scopes.iter().map(String::as_str)).unwrap();
    let actor = fixture.verify(&fixture.op(), &basic("bob")).await.unwrap();
    let op = fixture.op().acting_as(actor);
    let before = op.cost().snapshot().reads;
    let granted = grant::intersect(&op, &asked).await.unwrap();
    assert_eq!(op.cost().snapshot().reads - before, 1);
    assert_eq!(
        granted.to_string(),
        "repository:ann/open0:pull repository:ann/open1:pull repository:ann/open2:pull \
         repository:bob/new:pull"
    );
}

#[tokio::test]
async fn a_stranger_asks_for_a_few_at_once() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let many = |count: usize| {
        let scopes: Vec<_> = (0..count)
            .map(|n| format!("repository:ann/a{n}:pull"))
            .collect();
        format!("scope={}", scopes.join("+"))
    };
    assert_eq!(fixture.get(&many(8), None).await.status, StatusCode::OK);
    for stranger in [None, Some("Basic Og==")] {
        let answer = fixture.get(&many(9), stranger).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.reason(), "bad_request");
    }
    let known = fixture.get(&many(64), Some(&basic("ann"))).await;
    assert_eq!(known.status, StatusCode::OK);
}
