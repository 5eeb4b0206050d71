//! `migrate`: a server's schema changes only when the operator says so.

use seawall_testkit::Site;

use crate::BINARY;

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_planned_applied_once_and_listed() {
    let site = Site::bare(BINARY).await;
    let plan = site.run(&["migrate", "plan"]).await.expect(0);
    assert!(
        plan.out
            .contains("-- kernel/0001_create_installation\nCREATE TABLE"),
        "{plan:?}"
    );
    let before = site
        .run(&["migrate", "status", "-o", "json"])
        .await
        .expect(0)
        .json();
    let states = |status: &serde_json::Value, state: &str| {
        let steps = status.as_array().unwrap().iter();
        steps.filter(|step| step["state"] == state).count()
    };
    let count = before.as_array().unwrap().len();
    assert_eq!(
        (states(&before, "missing"), states(&before, "applied")),
        (count, 0)
    );

    let applied = site.run(&["migrate", "apply"]).await.expect(0);
    assert!(
        applied.out.contains(&format!("{count} steps applied")),
        "{applied:?}"
    );
    let again = site.run(&["migrate", "apply"]).await.expect(0);
    assert!(again.out.starts_with("0 steps applied"), "{again:?}");
    let plan = site.run(&["migrate", "plan"]).await.expect(0);
    assert_eq!(plan.out, "");
    let after = site
        .run(&["migrate", "status", "-o", "json"])
        .await
        .expect(0)
        .json();
    assert_eq!(
        (states(&after, "missing"), states(&after, "applied")),
        (0, count)
    );

    let server = site.serve().await;
    assert!(!server.log().contains("migration applied"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_database_without_its_schema_is_refused() {
    let site = Site::bare(BINARY).await;
    if site.is_embedded() {
        // The embedded database belongs to one server, which brings it up to date itself.
        return site.serve().await.stop().await;
    }
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["user", "list"]] {
        std::fs::create_dir_all(site.data()).unwrap();
        let refused = site.run(command).await.expect(1);
        let last = refused.err.lines().last().unwrap();
        assert!(last.contains("seawall migrate apply"), "{refused:?}");
    }
    site.run(&["migrate", "apply"]).await.expect(0);
    site.serve().await.stop().await;
}
