//! Many logins at once: what they may cost together, and what they cost others.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;
use http::{StatusCode, header};
use seawall_types::Reason;

use super::{Answer, Fixture, pair};

/// As many seats as half the cores, at least one.
fn seats() -> usize {
    (std::thread::available_parallelism().unwrap().get() / 2).max(1)
}

impl Fixture {
    /// Logs in so many times at once, each in a task of its own.
    async fn logins(self: &Arc<Self>, headers: Vec<String>) -> Vec<Answer> {
        let mut running = tokio::task::JoinSet::new();
        for authorization in headers {
            let fixture = Arc::clone(self);
            running.spawn(async move { fixture.get("", Some(&authorization)).await });
        }
        running.join_all().await
    }

    fn load(&self) -> (usize, usize) {
        self.directory.passwords().load()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wrong_logins_never_hold_more_than_their_share() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.user("ann").await;
    let token = fixture.token("ann", "").await;
    let wrong = (0..400).map(|i| pair("ann", &format!("wrong {i}")));
    let flood = fixture.logins(wrong.collect());
    let neighbour = async {
        for _ in 0..50 {
            let beside = fixture.bearer(&token).await;
            assert!(beside.is_ok(), "who has a token needs no seat");
        }
    };
    let (answers, ()) = futures::join!(flood, neighbour);
    let (most, _) = fixture.load();
    assert!((1..=seats()).contains(&most), "{most} at once");
    let mut refused = 0;
    for answer in &answers {
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let seconds = answer.headers[header::RETRY_AFTER].to_str().unwrap();
            assert!(seconds.parse::<u32>().unwrap() > 0);
            refused += 1;
        } else {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        }
    }
    // 256 wait and the seats are taken; whoever comes then hears so.
    assert!(refused >= 400 - 256 - seats(), "{refused}");
    assert!(refused < 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_login_many_times_is_one() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.user("ann").await;
    for (login, status) in [
        (pair("ann", "wrong"), StatusCode::UNAUTHORIZED),
        (pair("nobody", "wrong"), StatusCode::UNAUTHORIZED),
        (super::basic("ann"), StatusCode::OK),
    ] {
        let (_, before) = fixture.load();
        let put_off = |answer: &Answer| answer.status == StatusCode::TOO_MANY_REQUESTS;
        let mut answers = fixture.logins(vec![login.clone(); 200]).await;
        // On a busy machine the one may take longer than the others wait; they come again, as they
        // were told.
        while answers.iter().any(put_off) {
            answers = fixture.logins(vec![login.clone(); 200]).await;
        }
        assert!(answers.iter().all(|answer| answer.status == status));
        let answer = fixture.get("", Some(&login)).await;
        assert_eq!(answer.status, status);
        assert_eq!(fixture.load().1 - before, 1, "{login}");
    }
    // What one name has learnt, no other has: else the time would tell which is somebody's.
    let (_, before) = fixture.load();
    let others = ["nobody-else", "ann2", "Not A Name"].map(|name| pair(name, "wrong"));
    for answer in join_all(others.iter().map(|login| fixture.get("", Some(login)))).await {
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(fixture.load().1 - before, 3);
}

/// A token with another last byte in its signature.
fn forged(token: &str, number: u32) -> String {
    let (signed, _) = token.rsplit_once('.').unwrap();
    let mut signature = [1; 64];
    signature[..4].copy_from_slice(&number.to_be_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn forged_tokens_never_hold_more_than_their_share() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.user("ann").await;
    let token = fixture.token("ann", "").await;
    let mut flood = tokio::task::JoinSet::new();
    for number in 0..2000 {
        let (fixture, forged) = (Arc::clone(&fixture), forged(&token, number));
        flood.spawn(async move { fixture.bearer(&forged).await.unwrap_err().reason });
    }
    for _ in 0..50 {
        let beside = fixture.bearer(&token).await;
        assert!(beside.is_ok(), "who has a good token needs no seat");
    }
    let reasons = flood.join_all().await;
    let (most, checked) = fixture.directory.tokens().load();
    assert!((1..=seats()).contains(&most), "{most} at once");
    let put_off = reasons.iter().filter(|reason| **reason == Reason::TooMany);
    let put_off = put_off.count();
    assert_eq!(put_off + checked, 2000);
    let refused = reasons
        .iter()
        .filter(|reason| **reason == Reason::InvalidToken);
    assert_eq!(refused.count(), checked);
}

#[tokio::test]
async fn what_was_signed_here_is_not_checked_here_and_the_same_token_is_checked_once() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let token = fixture.token("ann", "").await;
    fixture.bearer(&token).await.unwrap();
    assert_eq!(fixture.directory.tokens().load(), (0, 0));
    // As if it came from another replica.
    fixture.directory.tokens().expire();
    for _ in 0..3 {
        fixture.bearer(&token).await.unwrap();
    }
    assert_eq!(fixture.directory.tokens().load(), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_hashed_in_a_seat_as_well() {
    let fixture = Fixture::new().await;
    let (_, before) = fixture.load();
    fixture.user("ann").await;
    assert_eq!(fixture.load().1 - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_not_refused_for_having_been_wrong() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let ann = seawall_types::NamespaceName::parse("ann").unwrap();
    let login = pair("ann", "a new password");
    let answer = fixture.get("", Some(&login)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let password = Some(seawall_types::Secret::new("a new password"));
    let operator = fixture.operator();
    let user = operator.user(&ann).await.unwrap();
    let set = fixture.directory.set_password(&operator, &user, password);
    set.await.unwrap();
    let answer = fixture.get("", Some(&login)).await;
    assert_eq!(answer.status, StatusCode::OK);
}
