//! Many logins at once: what they may cost together, and what they cost others.

use std::sync::Arc;

use futures::future::join_all;
use http::{StatusCode, header};

use super::{Answer, House, pair};

/// As many seats as half the cores, at least one.
fn seats() -> usize {
    (std::thread::available_parallelism().unwrap().get() / 2).max(1)
}

impl House {
    /// Logs in so many times at once, each in a task of its own.
    async fn logins(self: &Arc<Self>, headers: Vec<String>) -> Vec<Answer> {
        let mut running = tokio::task::JoinSet::new();
        for authorization in headers {
            let house = Arc::clone(self);
            running.spawn(async move { house.get("", Some(&authorization)).await });
        }
        running.join_all().await
    }

    fn load(&self) -> (usize, usize) {
        self.directory.passwords().load()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wrong_logins_never_hold_more_than_their_share() {
    let house = Arc::new(House::new().await);
    house.user("ann").await;
    let token = house.token("ann", "").await;
    let wrong = (0..400).map(|i| pair("ann", &format!("wrong {i}")));
    let flood = house.logins(wrong.collect());
    let neighbour = async {
        for _ in 0..50 {
            let beside = house.bearer(&token).await;
            assert!(beside.is_ok(), "who has a token needs no seat");
        }
    };
    let (answers, ()) = futures::join!(flood, neighbour);
    let (most, _) = house.load();
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
    let house = Arc::new(House::new().await);
    house.user("ann").await;
    for (login, status) in [
        (pair("ann", "wrong"), StatusCode::UNAUTHORIZED),
        (pair("nobody", "wrong"), StatusCode::UNAUTHORIZED),
        (super::basic("ann"), StatusCode::OK),
    ] {
        let (_, before) = house.load();
        let answers = house.logins(vec![login.clone(); 200]).await;
        assert!(answers.iter().all(|answer| answer.status == status));
        let answer = house.get("", Some(&login)).await;
        assert_eq!(answer.status, status);
        assert_eq!(house.load().1 - before, 1, "{login}");
    }
    // What one name has learnt, no other has: else the time would tell which is somebody's.
    let (_, before) = house.load();
    let others = ["nobody-else", "ann2", "Not A Name"].map(|name| pair(name, "wrong"));
    for answer in join_all(others.iter().map(|login| house.get("", Some(login)))).await {
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(house.load().1 - before, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_not_refused_for_having_been_wrong() {
    let house = House::new().await;
    house.user("ann").await;
    let ann = seawall_types::NamespaceName::parse("ann").unwrap();
    let login = pair("ann", "a new password");
    let answer = house.get("", Some(&login)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let password = Some(seawall_types::Secret::new("a new password"));
    let operator = house.operator();
    let set = house.directory.set_password(&operator, &ann, password);
    set.await.unwrap();
    let answer = house.get("", Some(&login)).await;
    assert_eq!(answer.status, StatusCode::OK);
}
