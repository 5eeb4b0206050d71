//! The token service as clients use it.

use std::time::Duration;

use http::{StatusCode, header};
use seawall_types::lane::Lane;
use seawall_types::permission::Visibility;
use seawall_types::scope::Action;
use seawall_types::{NamespaceName, Reason, RepositoryName};

use super::{Answer, House, basic, pair};
use crate::tokens::grant;

/// Whether the token of `answer` admits `action` on `name`.
async fn admits(house: &House, answer: &Answer, name: &str, action: Action) -> bool {
    let actor = house.bearer(&answer.text("token")).await.unwrap();
    actor
        .ceiling
        .admits(&RepositoryName::parse(name).unwrap(), action)
}

#[tokio::test]
async fn a_login_gets_a_token_for_nothing_but_being_known() {
    let house = House::new().await;
    house.user("ann").await;
    let answer = house
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
    let actor = house.bearer(&answer.text("token")).await.unwrap();
    assert_eq!(actor.name(), "ann");
    assert!(!actor.ceiling.admits_catalog());
}

#[tokio::test]
async fn wrong_credentials_are_unauthorized() {
    let house = House::new().await;
    house.user("ann").await;
    let long = "x".repeat(2000);
    for (user, password) in [
        ("ann", "wrong"),
        ("nobody", "x"),
        ("ann", ""),
        ("ann", &long),
        ("Ann!", "x"),
        ("", "x"),
    ] {
        let answer = house.get("", Some(&pair(user, password))).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{user}");
        assert_eq!(answer.code(), "UNAUTHORIZED");
        assert!(!answer.body.to_string().contains(user) || user.is_empty());
    }
    for other in ["Digest x", "Bearer x", "Basic !"] {
        assert_eq!(
            house.get("", Some(other)).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
}

#[tokio::test]
async fn a_token_is_not_exchanged_for_another() {
    let house = House::new().await;
    house.user("ann").await;
    let token = house.token("ann", "").await;
    let answer = house
        .get(
            "scope=repository:ann/app:push",
            Some(&format!("Bearer {token}")),
        )
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn less_than_asked_is_no_error() {
    let house = House::new().await;
    house.user("ann").await;
    house.user("bob").await;
    house
        .repository("ann", "ann/open", Visibility::Public)
        .await;
    house
        .repository("ann", "ann/closed", Visibility::Private)
        .await;
    let query = "scope=repository:ann/open:pull,push%20repository:ann/closed:pull\
                 &scope=repository:ann/open:delete&scope=other:thing:do";
    for authorization in [None, Some(basic("bob")), Some("Basic Og==".to_owned())] {
        let answer = house.get(query, authorization.as_deref()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(admits(&house, &answer, "ann/open", Action::Pull).await);
        assert!(!admits(&house, &answer, "ann/open", Action::Push).await);
        assert!(!admits(&house, &answer, "ann/closed", Action::Pull).await);
    }
    let answer = house.get(query, Some(&basic("ann"))).await;
    for action in [Action::Pull, Action::Push, Action::Delete] {
        assert!(admits(&house, &answer, "ann/open", action).await);
    }
    assert!(admits(&house, &answer, "ann/closed", Action::Pull).await);
    assert!(!admits(&house, &answer, "ann/closed", Action::Push).await);
}

#[tokio::test]
async fn whoever_may_make_a_repository_may_pull_it_before() {
    let house = House::new().await;
    house.user("ann").await;
    house.user("bob").await;
    let query = "scope=repository:ann/new:pull,push";
    let ann = house.get(query, Some(&basic("ann"))).await;
    assert!(admits(&house, &ann, "ann/new", Action::Pull).await);
    assert!(admits(&house, &ann, "ann/new", Action::Push).await);
    let bob = house.get(query, Some(&basic("bob"))).await;
    assert!(!admits(&house, &bob, "ann/new", Action::Pull).await);
}

#[tokio::test]
async fn the_catalog_is_open_to_all_who_may_read_anything() {
    let house = House::new().await;
    house.user("ann").await;
    for authorization in [None, Some(basic("ann"))] {
        let answer = house
            .get("scope=registry:catalog:*", authorization.as_deref())
            .await;
        let actor = house.bearer(&answer.text("token")).await.unwrap();
        assert!(actor.ceiling.admits_catalog());
    }
    let answer = house
        .get("scope=registry:other:*", Some(&basic("ann")))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn malformed_requests_are_the_clients_fault() {
    let house = House::new().await;
    house.user("ann").await;
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
        let answer = house.get(query, Some(&basic("ann"))).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer.code(), "UNSUPPORTED");
    }
    // What fits into no header is not signed.
    let path = "a".repeat(200);
    let long: Vec<_> = (0..60)
        .map(|n| format!("repository:ann/{path}{n}:pull"))
        .collect();
    let answer = house
        .get(&format!("scope={}", long.join("+")), Some(&basic("ann")))
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_password_is_exchanged_in_a_form() {
    let house = House::new().await;
    house.user("ann").await;
    let form = "grant_type=password&service=x&client_id=containerd-client\
                &scope=repository:ann/app:push,pull&username=ann&password=ann%27s+password";
    let answer = house.post(form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.text("scope"), "repository:ann/app:pull,push");
    assert!(answer.body.get("refresh_token").is_none());
    assert!(admits(&house, &answer, "ann/app", Action::Push).await);

    for (broken, status) in [
        (
            "grant_type=password&service=x&client_id=y&username=ann&password=wrong",
            401,
        ),
        (
            "grant_type=password&service=x&client_id=y&username=ann",
            400,
        ),
        ("grant_type=password&service=x&username=ann&password=p", 400),
        (
            "grant_type=password&client_id=y&username=ann&password=p",
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
        assert_eq!(house.post(broken).await.status.as_u16(), status, "{broken}");
    }
    let huge = format!("{form}&x={}", "x".repeat(64 * 1024));
    assert_eq!(
        house.post(&huge).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn a_refresh_token_lasts_until_the_password_changes() {
    let house = House::new().await;
    house.user("ann").await;
    let answer = house
        .get("offline_token=true&client_id=docker", Some(&basic("ann")))
        .await;
    let refresh = answer.text("refresh_token");
    let form = format!(
        "grant_type=refresh_token&service=x&client_id=docker&access_type=offline\
         &scope=repository:ann/app:pull&refresh_token={refresh}"
    );
    house.pass(Duration::from_hours(24 * 300));
    let answer = house.post(&form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(admits(&house, &answer, "ann/app", Action::Pull).await);
    assert!(answer.body.get("refresh_token").is_none());

    // It is good for nothing else.
    assert_eq!(
        house.bearer(&refresh).await.unwrap_err().reason,
        Reason::InvalidToken
    );
    assert_eq!(
        house.get("", Some(&pair("ann", &refresh))).await.status,
        StatusCode::UNAUTHORIZED
    );

    let ann = NamespaceName::parse("ann").unwrap();
    house
        .directory
        .set_password(&house.operator(), &ann, None)
        .await
        .unwrap();
    assert_eq!(house.post(&form).await.status, StatusCode::UNAUTHORIZED);
    assert!(
        house.bearer(&answer.text("token")).await.is_err(),
        "what it gave ends with it"
    );
}

#[tokio::test]
async fn a_refresh_token_ends_with_its_time_and_its_user() {
    let house = House::new().await;
    house.user("ann").await;
    let ann = NamespaceName::parse("ann").unwrap();
    let form = "grant_type=password&service=x&client_id=y&access_type=offline\
                &username=ann&password=ann%27s+password";
    let use_it = |refresh: String| async {
        let refresh = refresh;
        let form =
            format!("grant_type=refresh_token&service=x&client_id=y&refresh_token={refresh}");
        house.post(&form).await.status
    };
    let first = house.post(form).await.text("refresh_token");
    assert_eq!(use_it(first.clone()).await, StatusCode::OK);
    let operator = house.operator();
    house
        .directory
        .set_enabled(&operator, &ann, false)
        .await
        .unwrap();
    house
        .directory
        .set_enabled(&operator, &ann, true)
        .await
        .unwrap();
    assert_eq!(use_it(first).await, StatusCode::UNAUTHORIZED);

    let second = house.post(form).await.text("refresh_token");
    house.pass(Duration::from_hours(24 * 366));
    assert_eq!(use_it(second).await, StatusCode::UNAUTHORIZED);

    let third = house.post(form).await.text("refresh_token");
    house.directory.delete_user(&operator, &ann).await.unwrap();
    assert_eq!(use_it(third).await, StatusCode::UNAUTHORIZED);
    // A new user of that name is somebody else.
    house.user("ann").await;
    assert_eq!(house.post(form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn nobody_gets_no_refresh_token() {
    let house = House::new().await;
    let answer = house.get("offline_token=true", None).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.get("refresh_token").is_none());
}

#[tokio::test]
async fn a_token_costs_one_read_for_each_repository() {
    let house = House::new().await;
    house.user("ann").await;
    let op = house.op();
    let actor = house.verify(&op, &basic("ann")).await.unwrap();
    assert_eq!(op.cost().snapshot().reads, 1);
    let op = op.acting_as(actor);
    let asked =
        grant::parse(["repository:hello:pull repository:library/hello:push repository:ann/b:*"]);
    let granted = grant::intersect(&op, &asked.unwrap()).await.unwrap();
    assert_eq!(op.cost().snapshot().reads, 3);
    assert_eq!(op.cost().snapshot().writes, 0);
    assert_eq!(granted.to_string(), "repository:ann/b:*");
    assert_eq!(op.lane(), Lane::Pull);
}
