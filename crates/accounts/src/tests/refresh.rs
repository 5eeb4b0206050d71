//! Refresh tokens: who gets one, how many there are, when they end.

use std::time::Duration;

use http::StatusCode;
use seawall_meta::args;
use seawall_types::scope::Action;
use seawall_types::{NamespaceName, Reason, Secret};

use super::service::admits;
use super::{Fixture, basic, pair};
use crate::credentials::store;
use crate::tokens::refresh::MOST;

const DAY: Duration = Duration::from_hours(24);

/// What docker asks when somebody logs in with it.
const LOGIN: &str = "account=ann&client_id=docker&offline_token=true&service=x";

impl Fixture {
    /// Logs in as docker does; the refresh token.
    async fn docker_login(&self) -> String {
        let answer = self.get(LOGIN, Some(&basic("ann"))).await;
        answer.text("refresh_token")
    }

    /// Asks for a token with a refresh token.
    async fn redeem(&self, refresh: &str) -> super::Answer {
        self.post(&format!(
            "grant_type=refresh_token&service=x&client_id=docker&refresh_token={refresh}"
        ))
        .await
    }
}

fn user(name: &str) -> NamespaceName {
    NamespaceName::parse(name).unwrap()
}

#[tokio::test]
async fn a_login_keeps_its_password_unless_refresh_tokens_are_switched_on() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let form = "grant_type=password&access_type=offline&username=ann&password=ann%27s+password";
    for answer in [
        fixture.get(LOGIN, Some(&basic("ann"))).await,
        fixture.post(form).await,
    ] {
        assert_eq!(answer.status, StatusCode::OK);
        assert!(
            answer.body.get("refresh_token").is_none(),
            "{}",
            answer.body
        );
    }
    // Those that were given out before stay good.
    let before = Fixture::with_refresh_tokens().await;
    before.user("ann").await;
    let refresh = before.docker_login().await;
    let after = Fixture::over(
        std::sync::Arc::clone(&before.database),
        crate::Config::default(),
    );
    assert_eq!(after.await.redeem(&refresh).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_login_over_and_over_keeps_the_newest_refresh_tokens_only() {
    let fixture = Fixture::with_refresh_tokens().await;
    fixture.user("ann").await;
    let most = usize::try_from(MOST).unwrap();
    let first = fixture.docker_login().await;
    let token = fixture.redeem(&first).await.text("token");
    let mut later = Vec::new();
    for _ in 0..most - 1 {
        later.push(fixture.docker_login().await);
    }
    assert_eq!(fixture.redeem(&first).await.status, StatusCode::OK);
    assert!(fixture.bearer(&token).await.is_ok());
    let (_, hashed) = fixture.directory.passwords().load();

    later.push(fixture.docker_login().await);
    assert_eq!(
        fixture.redeem(&first).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert!(
        fixture.bearer(&token).await.is_err(),
        "what it gave ends with it"
    );
    for kept in [later.first(), later.last()] {
        let answer = fixture.redeem(kept.unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    let kept = fixture.rows().await;
    assert_eq!(kept, most, "nothing is left of the one that went");
    // The password is not looked at anew for it.
    fixture.docker_login().await;
    assert_eq!(fixture.directory.passwords().load().1, hashed);
}

impl Fixture {
    /// How many rows of refresh tokens Ann has, good or not.
    async fn rows(&self) -> usize {
        let operator = self.operator();
        let users = self
            .directory
            .list_users(&operator, &operator.installation().unwrap())
            .await
            .unwrap();
        let mut count = 0;
        loop {
            let arguments = args![users[0].id, store::REFRESH, count];
            let sql = operator.sql();
            let row = sql.optional(&store::NTH_NEWEST, arguments).await;
            if row.unwrap().is_none() {
                return usize::try_from(count).unwrap();
            }
            count += 1;
        }
    }
}

#[tokio::test]
async fn the_bysees_refresh_tokens_and_ends_one_or_all() {
    let fixture = Fixture::with_refresh_tokens().await;
    fixture.user("ann").await;
    fixture.user("bob").await;
    let (one, two) = (fixture.docker_login().await, fixture.docker_login().await);
    let operator = fixture.operator();
    let list = || async {
        fixture
            .directory
            .list_refresh_tokens(&operator, &operator.user(&user("ann")).await.unwrap())
            .await
            .unwrap()
    };
    let token = fixture.redeem(&one).await.text("token");
    let listed = list().await;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].client.as_deref(), Some("docker"));
    assert!(listed[0].expires_at > listed[0].created_at);
    assert!(listed[0].last_used_at.is_some());
    assert_eq!(listed[1].last_used_at, None);

    // Not with another's name, and not twice.
    let id = Some(listed[0].id);
    let (ann, bob) = (user("ann"), user("bob"));
    let (here, by) = (&fixture, &operator);
    let revoke = |name, id| async move {
        let user = by.user(name).await?;
        here.directory.revoke_refresh_tokens(by, &user, id).await
    };
    assert_eq!(revoke(&bob, id).await.unwrap_err().reason, Reason::NotFound);
    assert_eq!(fixture.redeem(&one).await.status, StatusCode::OK);
    revoke(&ann, id).await.unwrap();
    assert_eq!(revoke(&ann, id).await.unwrap_err().reason, Reason::NotFound);
    assert_eq!(fixture.redeem(&one).await.status, StatusCode::UNAUTHORIZED);
    assert!(fixture.bearer(&token).await.is_err());
    assert_eq!(fixture.redeem(&two).await.status, StatusCode::OK);
    assert_eq!(list().await.len(), 1);

    revoke(&ann, None).await.unwrap();
    assert_eq!(fixture.redeem(&two).await.status, StatusCode::UNAUTHORIZED);
    assert!(list().await.is_empty());
    // The password is no refresh token.
    assert!(fixture.verify(&fixture.op(), &basic("ann")).await.is_ok());
    let nobody = user("nobody");
    assert_eq!(
        revoke(&nobody, None).await.unwrap_err().reason,
        Reason::NotFound
    );
}

#[tokio::test]
async fn the_last_use_of_a_refresh_token_is_written_once_a_day() {
    let fixture = Fixture::with_refresh_tokens().await;
    fixture.user("ann").await;
    let refresh = Secret::new(fixture.docker_login().await);
    let spent = || async {
        let op = fixture.op();
        crate::tokens::refresh::redeem(&op, &refresh).await.unwrap();
        op.cost().snapshot().writes
    };
    assert_ne!(spent().await, 0);
    assert_eq!(spent().await, 0);
    fixture.pass(DAY / 2);
    assert_eq!(spent().await, 0);
    fixture.pass(DAY);
    assert_ne!(spent().await, 0);
    assert_eq!(spent().await, 0);
}

#[tokio::test]
async fn a_refresh_token_lasts_until_the_password_changes() {
    let fixture = Fixture::with_refresh_tokens().await;
    fixture.user("ann").await;
    let answer = fixture
        .get("offline_token=true&client_id=docker", Some(&basic("ann")))
        .await;
    let refresh = answer.text("refresh_token");
    let form = format!(
        "grant_type=refresh_token&service=x&client_id=docker&access_type=offline\
         &scope=repository:ann/app:pull&refresh_token={refresh}"
    );
    fixture.pass(DAY * 89);
    let answer = fixture.post(&form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(admits(&fixture, &answer, "ann/app", Action::Pull).await);
    assert!(answer.body.get("refresh_token").is_none());

    // It is good for nothing else.
    assert_eq!(
        fixture.bearer(&refresh).await.unwrap_err().reason,
        Reason::InvalidToken
    );
    assert_eq!(
        fixture.get("", Some(&pair("ann", &refresh))).await.status,
        StatusCode::UNAUTHORIZED
    );

    let ann = NamespaceName::parse("ann").unwrap();
    fixture
        .directory
        .set_password(
            &fixture.operator(),
            &fixture.operator().user(&ann).await.unwrap(),
            None,
        )
        .await
        .unwrap();
    assert_eq!(fixture.post(&form).await.status, StatusCode::UNAUTHORIZED);
    assert!(
        fixture.bearer(&answer.text("token")).await.is_err(),
        "what it gave ends with it"
    );
}

#[tokio::test]
async fn a_refresh_token_ends_with_its_time_and_its_user() {
    let fixture = Fixture::with_refresh_tokens().await;
    fixture.user("ann").await;
    let ann = NamespaceName::parse("ann").unwrap();
    let form = "grant_type=password&service=x&client_id=y&access_type=offline\
                &username=ann&password=ann%27s+password";
    let use_it = |refresh: String| async {
        let refresh = refresh;
        let form =
            format!("grant_type=refresh_token&service=x&client_id=y&refresh_token={refresh}");
        fixture.post(&form).await.status
    };
    let first = fixture.post(form).await.text("refresh_token");
    assert_eq!(use_it(first.clone()).await, StatusCode::OK);
    let operator = fixture.operator();
    fixture
        .directory
        .set_enabled(&operator, &operator.user(&ann).await.unwrap(), false)
        .await
        .unwrap();
    fixture
        .directory
        .set_enabled(&operator, &operator.user(&ann).await.unwrap(), true)
        .await
        .unwrap();
    assert_eq!(use_it(first).await, StatusCode::UNAUTHORIZED);

    let second = fixture.post(form).await.text("refresh_token");
    fixture.pass(DAY * 91);
    assert_eq!(use_it(second).await, StatusCode::UNAUTHORIZED);

    let third = fixture.post(form).await.text("refresh_token");
    fixture
        .directory
        .delete_user(&operator, &operator.user(&ann).await.unwrap())
        .await
        .unwrap();
    assert_eq!(use_it(third).await, StatusCode::UNAUTHORIZED);
    // A new user of that name is somebody else.
    fixture.user("ann").await;
    assert_eq!(fixture.post(form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn nobody_gets_no_refresh_token() {
    let fixture = Fixture::with_refresh_tokens().await;
    let answer = fixture.get("offline_token=true", None).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.get("refresh_token").is_none());
}
