//! Events become the activity log, pulls are counted beside the requests, and both can be off.

use seawall_kernel::catalog::events::RepositoryCreated;
use seawall_kernel::events::EventType;
use seawall_registry::acts::Pull;
use seawall_registry::events::{ManifestPushed, TagDeleted, TagMoved};
use seawall_testkit::{TestApp, TestImage};
use seawall_types::name::RepositoryName;

#[tokio::test(flavor = "multi_thread")]
async fn pushes_and_deletions_are_in_the_activity_log() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    ann.push("ann/app", "v1", &TestImage::new(1, 1)).await;
    ann.push("ann/app", "v1", &TestImage::new(2, 1)).await;
    ann.delete("/v2/ann/app/manifests/v1")
        .send()
        .await
        .expect(202);
    let kinds = || async {
        let log = seawall_usage::recent_activity(
            &app.operator(),
            &app.operator().installation().unwrap(),
            100,
        )
        .await
        .unwrap();
        log.into_iter()
            .filter(|entry| entry.actor.as_deref() == Some("ann"))
            .collect::<Vec<_>>()
    };
    app.eventually("the deletion is logged", || async {
        kinds()
            .await
            .iter()
            .any(|entry| entry.kind == Some(TagDeleted::KIND))
    })
    .await;
    let log = kinds().await;
    let count = |kind| log.iter().filter(|entry| entry.kind == Some(kind)).count();
    assert_eq!(count(RepositoryCreated::KIND), 1);
    assert_eq!(count(ManifestPushed::KIND), 2);
    assert_eq!(count(TagMoved::KIND), 2);
    let pushed = log
        .iter()
        .find(|entry| entry.kind == Some(ManifestPushed::KIND))
        .unwrap();
    assert_eq!(pushed.repository.as_deref(), Some("app"));
    assert_eq!(pushed.namespace.as_deref(), Some("ann"));
    assert_eq!(pushed.address.as_deref(), Some("192.0.2.1"));
    assert_eq!(pushed.agent.as_deref(), Some("testkit"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_are_counted_without_a_write_in_the_request() {
    let app = TestApp::new().await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    for _ in 0..5 {
        ann.pull("ann/app", "v1", &image).await;
    }
    ann.head("/v2/ann/app/manifests/v1")
        .send()
        .await
        .expect(200);
    let name = RepositoryName::parse("ann/app").unwrap();
    let repo = app.operator().repo::<Pull>(&name).await.unwrap();
    app.eventually("the count is written behind", || async {
        seawall_usage::pulls_of(&app.operator(), &repo)
            .await
            .unwrap()
            == 5
    })
    .await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_all_else_goes_on() {
    let app = TestApp::with(|config| {
        config
            .features
            .edit("usage", |usage: &mut seawall_usage::Config| {
                usage.enabled = false;
            });
    })
    .await;
    let ann = app.user("ann").await;
    let image = TestImage::new(1, 1);
    ann.push("ann/app", "v1", &image).await;
    ann.pull("ann/app", "v1", &image).await;
    assert!(
        seawall_usage::recent_activity(
            &app.operator(),
            &app.operator().installation().unwrap(),
            10
        )
        .await
        .unwrap()
        .is_empty()
    );
    app.finish().await;
}
