//! What a command changes, the server beside it serves within a second.

use std::time::Duration;

use seawall_testkit::{Client, ServerProcess, Site, TestImage};
use tokio::time::{Instant, sleep_until};

use crate::{PASSWORD, add_user, site};

/// What is promised.
const PROMISE: Duration = Duration::from_secs(1);

/// On a machine that has no time for us at all, a few answers are waited for, whatever the clock
/// says.
const ANSWERS: u32 = 6;

/// Fails the test unless the answer has this status within the promised time.
#[expect(clippy::disallowed_methods, reason = "the promise is one of real time")]
async fn soon(client: &Client, path: &str, status: u16) {
    let begun = Instant::now();
    let mut pause = begun;
    for count in 0.. {
        let answer = client.get(path).send().await;
        if answer.status == status {
            return;
        }
        let late = begun.elapsed() > PROMISE && count >= ANSWERS;
        assert!(
            !late,
            "{}, not {status}, after {:?}: {answer:?}",
            answer.status,
            begun.elapsed()
        );
        pause += Duration::from_millis(50);
        sleep_until(pause).await;
    }
}

async fn two_users() -> (Site, ServerProcess, Client, Client) {
    let site = site().await;
    let server = site.serve().await;
    add_user(&site, "ann").await;
    add_user(&site, "bob").await;
    let ann = server.anonymous().with_password("ann", PASSWORD);
    let bob = server.anonymous().with_password("bob", PASSWORD);
    ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    // All that the server may hold in memory of the two, it holds.
    ann.get(MANIFEST).send().await.expect(200);
    bob.get(MANIFEST).send().await.expect(404);
    bob.get("/v2/").send().await.expect(200);
    (site, server, ann, bob)
}

const MANIFEST: &str = "/v2/ann/app/manifests/v1";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_disabled_or_gone_is_refused_with_every_credential() {
    let (site, server, ann, bob) = two_users().await;
    let scope = ["repository:ann/app:pull"];
    let token = ann.token_for(&scope).await;
    token.get(MANIFEST).send().await.expect(200);
    site.run(&["user", "disable", "ann"]).await.expect(0);
    soon(&ann, "/v2/", 401).await;
    soon(&token, MANIFEST, 401).await;
    site.run(&["user", "enable", "ann"]).await.expect(0);
    soon(&ann, MANIFEST, 200).await;

    site.run_with(
        &["user", "passwd", "ann", "--password-stdin"],
        "another battery staple\n",
    )
    .await
    .expect(0);
    soon(&ann, "/v2/", 401).await;
    let ann = server
        .anonymous()
        .with_password("ann", "another battery staple");
    soon(&ann, MANIFEST, 200).await;

    let token = bob.token_for(&[]).await;
    site.run(&["user", "delete", "bob", "--yes"])
        .await
        .expect(0);
    soon(&bob, "/v2/", 401).await;
    soon(&token, "/v2/", 401).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_and_visibility_hold_at_once() {
    let (site, server, ann, bob) = two_users().await;
    site.run(&["grant", "add", "bob", "read", "ann/app"])
        .await
        .expect(0);
    soon(&bob, MANIFEST, 200).await;
    site.run(&["grant", "remove", "bob", "ann/app"])
        .await
        .expect(0);
    soon(&bob, MANIFEST, 404).await;

    // Namespaces: who administers one sees and makes what is in it.
    site.run(&["namespace", "add", "org"]).await.expect(0);
    let refused = bob.post("/v2/org/tool/blobs/uploads/").send().await;
    assert!(refused.status.is_client_error(), "{refused:?}");
    site.run(&["grant", "add", "bob", "creator", "--namespace", "org"])
        .await
        .expect(0);
    let mut opened = bob.post("/v2/org/tool/blobs/uploads/").send().await;
    for _ in 0..20 {
        if opened.status == 202 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        opened = bob.post("/v2/org/tool/blobs/uploads/").send().await;
    }
    opened.expect(202);

    let nobody = server.anonymous();
    nobody.get(MANIFEST).send().await.expect(401);
    site.run(&["repo", "visibility", "ann/app", "public"])
        .await
        .expect(0);
    soon(&nobody, MANIFEST, 200).await;
    site.run(&["repo", "visibility", "ann/app", "private"])
        .await
        .expect(0);
    soon(&nobody, MANIFEST, 401).await;

    site.run(&["repo", "delete", "ann/app", "--yes"])
        .await
        .expect(0);
    soon(&ann, MANIFEST, 404).await;
    soon(&ann, "/v2/ann/app/tags/list", 404).await;
    // The name is free again, and what was deleted does not come back with it.
    ann.push("ann/app", "v2", &TestImage::new(2, 1)).await;
    ann.get(MANIFEST).send().await.expect(404);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_can_push_at_once() {
    let site = site().await;
    let server = site.serve().await;
    // Somebody asks before the user is there: that this was refused must not be remembered.
    let cid = server.anonymous().with_password("cid", PASSWORD);
    cid.get("/v2/").send().await.expect(401);
    add_user(&site, "cid").await;
    soon(&cid, "/v2/", 200).await;
    cid.push("cid/app", "v1", &TestImage::new(3, 1)).await;
    server.stop().await;
}
