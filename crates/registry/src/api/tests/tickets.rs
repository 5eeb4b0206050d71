//! Uploads without a row: what their Locations carry, and what becomes of it (protocol §6.3,
//! §7.11, §14.6).

use http::StatusCode as S;
use seawall_blob::fixture::noise;
use seawall_kernel::auth::Administer;
use seawall_kernel::catalog::grants;
use seawall_meta::args;
use seawall_types::permission::Role;
use seawall_types::{Algorithm, Digest, RepositoryName};
use std::time::Duration;

use super::Harness;
use crate::upload::store;

/// How many uploads have a row.
async fn rows(rig: &Harness) -> usize {
    let sql = rig.op("ann").sql();
    let all = sql.all(&store::EXPIRED, args![-1000i64, 0i64, 100i64]);
    all.await.unwrap().len()
}

fn end(location: &str, bytes: &[u8]) -> String {
    let digest = Digest::of(Algorithm::Sha256, bytes);
    format!("{location}?digest={digest}")
}

#[tokio::test]
async fn an_upload_has_a_row_from_its_first_byte_on() {
    let rig = Harness::new().await;
    let at = rig.open("ann", "ann/new").await;
    let status = rig.ask("ann", "GET", &at).expect(S::NO_CONTENT).await;
    assert_eq!(status.text("range"), "0-0");
    let empty = rig.ask("ann", "PATCH", &at).bytes(b"");
    assert_eq!(empty.expect(S::ACCEPTED).await.text("location"), at);
    assert_eq!(rows(&rig).await, 0);
    let patch = rig.ask("ann", "PATCH", &at).bytes(b"some");
    assert_eq!(patch.expect(S::ACCEPTED).await.text("location"), at);
    assert_eq!(rows(&rig).await, 1);
    // The row is found without the ticket, and counts with it.
    let bare = at.split('.').next().unwrap();
    for location in [bare, &at] {
        let status = rig.ask("ann", "GET", location).expect(S::NO_CONTENT).await;
        assert_eq!(status.text("range"), "0-3");
        // Whatever it was asked by, it tells one that has all in its path.
        let told = status.text("location");
        rig.ask("ann", "GET", &told).expect(S::NO_CONTENT).await;
        assert_eq!(
            (told.split('.').next().unwrap(), told.len()),
            (bare, at.len())
        );
    }
    let put = rig.ask("ann", "PUT", &end(&at, b"some bytes"));
    put.bytes(b" bytes").expect(S::CREATED).await;
    assert_eq!(rows(&rig).await, 0);
}

#[tokio::test]
async fn what_is_cancelled_stays_so() {
    let rig = Harness::new().await;
    for patched in [false, true] {
        let at = rig.open("ann", "ann/app").await;
        if patched {
            rig.ask("ann", "PATCH", &at)
                .bytes(b"some")
                .expect(S::ACCEPTED)
                .await;
        }
        rig.ask("ann", "DELETE", &at).expect(S::NO_CONTENT).await;
        for method in ["GET", "PATCH", "PUT", "DELETE"] {
            let ask = rig.ask("ann", method, &end(&at, b"x")).bytes(b"x");
            let told = ask.expect(S::NOT_FOUND).await;
            assert_eq!(told.code(), "BLOB_UPLOAD_UNKNOWN", "{method} {patched}");
        }
    }
    assert_eq!((rows(&rig).await, rig.stored().await), (0, 0));
}

#[tokio::test]
async fn a_ticket_is_good_for_one_upload_repository_and_principal() {
    let rig = Harness::new().await;
    rig.push("ann", "ann/app", b"to make it").await;
    let op = rig.op("ann");
    let name = RepositoryName::parse("ann/app").unwrap();
    let repo = op.repo::<Administer>(&name).await.unwrap();
    grants::on_repository(&op, &repo, "bob", Some(Role::Write))
        .await
        .unwrap();
    let (at, other) = (
        rig.open("ann", "ann/app").await,
        rig.open("ann", "ann/app").await,
    );
    let (path, state) = at.split_once('.').unwrap();
    let another = other.split_once('.').unwrap().1;
    let digit = if state.ends_with('0') { '1' } else { '0' };
    let altered = format!("{}{digit}", &state[..state.len() - 1]);
    let newer = format!("03{}", &state[2..]);
    let sha512 = format!("{}02{}", &state[..2], &state[4..]);
    for wrong in [another, &altered, &newer, &sha512, &state[2..], "", "zz"] {
        let location = format!("{path}.{wrong}");
        rig.ask("ann", "GET", &location).expect(S::NOT_FOUND).await;
    }
    let elsewhere = at.replace("ann/app", "ann/other");
    for (user, location) in [("bob", &at), ("ann", &elsewhere)] {
        for method in ["GET", "PATCH", "PUT", "DELETE"] {
            let ask = rig.ask(user, method, &end(location, b"x")).bytes(b"x");
            let told = ask.expect(S::NOT_FOUND).await;
            assert_eq!(told.code(), "BLOB_UPLOAD_UNKNOWN", "{method} {user}");
        }
    }
    // Both clocks move, and what the process knows of the database's time moves by both.
    rig.advance(Duration::from_hours(80));
    rig.ask("ann", "GET", &at).expect(S::NO_CONTENT).await;
    rig.advance(Duration::from_hours(5));
    rig.ask("ann", "GET", &at).expect(S::NOT_FOUND).await;
}

#[tokio::test]
async fn a_digest_may_be_appended_as_to_a_query() {
    let rig = Harness::new().await;
    let digest = Digest::of(Algorithm::Sha256, b"x");
    let escaped = digest.to_string().replace(':', "%3A");
    let at = rig.open("ann", "ann/app").await;
    for twice in [
        format!("{at}?digest={digest}&digest={digest}"),
        format!("{at}&digest={digest}?digest={digest}"),
        format!("{at}&digest={digest}&digest={digest}"),
    ] {
        let put = rig.ask("ann", "PUT", &twice).bytes(b"x");
        put.expect(S::BAD_REQUEST).await;
    }
    for end in [
        format!("?digest={digest}"),
        format!("?digest={escaped}&_state=lost"),
        format!("&digest={digest}"),
        format!("&foo=bar&digest={escaped}"),
        format!("&foo=bar?digest={digest}"),
    ] {
        let at = rig.open("ann", "ann/app").await;
        let patch = rig.ask("ann", "PATCH", &at).bytes(b"");
        patch.expect(S::ACCEPTED).await;
        let status = rig.ask("ann", "GET", &format!("{at}{end}"));
        status.expect(S::NO_CONTENT).await;
        let put = rig.ask("ann", "PUT", &format!("{at}{end}"));
        put.bytes(b"x").expect(S::CREATED).await;
    }
}

#[tokio::test]
async fn of_two_whole_bodies_at_once_one_commits() {
    let rig = Harness::new().await;
    for round in 0..10 {
        let bytes = noise(300_000, round);
        let at = rig.open("ann", "ann/app").await;
        let put = || {
            rig.ask("ann", "PUT", &end(&at, &bytes))
                .bytes(&bytes)
                .send()
        };
        let (first, second) = tokio::join!(put(), put());
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [S::CREATED, S::NOT_FOUND]);
        assert_eq!(rig.stored().await, usize::try_from(round).unwrap() + 1);
    }
}

#[tokio::test]
async fn a_cancellation_beside_a_push_wins_or_comes_too_late() {
    let rig = Harness::new().await;
    for (round, method) in (0..20).zip(["PATCH", "PUT"].into_iter().cycle()) {
        let bytes = noise(200_000, round);
        let at = rig.open("ann", "ann/app").await;
        let push = rig.ask("ann", method, &end(&at, &bytes)).bytes(&bytes);
        let cancel = rig.ask("ann", "DELETE", &at);
        let before = rig.stored().await;
        let (pushed, cancelled) = tokio::join!(push.send(), cancel.send());
        let arrived = rig.stored().await - before;
        match (cancelled.status, pushed.status) {
            (S::NO_CONTENT, S::NOT_FOUND | S::ACCEPTED | S::CONFLICT) => assert_eq!(arrived, 0),
            (S::NOT_FOUND, S::CREATED) => assert_eq!(arrived, 1),
            other => panic!("{round}: {other:?}"),
        }
        rig.ask("ann", "GET", &at).expect(S::NOT_FOUND).await;
        assert_eq!(rows(&rig).await, 0);
    }
}
