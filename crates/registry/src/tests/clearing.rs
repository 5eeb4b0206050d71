//! Clearing in steps: each transaction is short, whatever the size of what goes.

use std::time::Duration;

use seawall_kernel::auth::Administer;
use seawall_kernel::catalog::namespaces::{self, ClearNamespace};
use seawall_kernel::catalog::repositories::{self, ClearRepository};
use seawall_kernel::jobs::JobOutcome;
use seawall_types::name::NamespaceName;

use super::store::{KEPT, LEFT, NAMED};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_keeps_very_much_goes_in_short_transactions() {
    // On the servers no statement may take longer; there is no such limit on SQLite.
    let fixture = Fixture::with(|config| config.statement_timeout_ms = 200).await;
    fixture.blob("layer").await;
    let id = fixture.id().await;
    let digest_of = |number: &str| match fixture.database.backend() {
        DatabaseBackend::Sqlite => format!("unhex(printf('01%064x', {number}))"),
        DatabaseBackend::Postgres => {
            format!("decode('01' || lpad(to_hex({number}), 64, '0'), 'hex')")
        }
        DatabaseBackend::Mariadb => format!("UNHEX(CONCAT('01', LPAD(HEX({number}), 64, '0')))"),
    };
    let (digest, one) = (digest_of("i"), digest_of("1"));
    // A layer that all share, a manifest with very many layers, and promises, which have one owner.
    fixture.keeps(id, (&digest, &one), (2, 20_000)).await;
    fixture.keeps(id, (&one, &digest), (3, 20_000)).await;
    fixture.keeps(id, (&digest, &one), (1, 10_000)).await;
    let op = fixture.op();
    let repo = op.repo::<Administer>(&fixture.name).await.unwrap();
    repositories::delete(&op, &repo).await.unwrap();
    let job = ClearRepository { repository: id };
    let step = op.transaction(id, |tx, _op, &id| {
        Box::pin(async move { repositories::remove(tx, id, 500).await })
    });
    assert!(!step.await.unwrap());
    let left = op
        .sql()
        .one(&LEFT, args![id])
        .await
        .unwrap()
        .int(0)
        .unwrap();
    assert_eq!(left, 49_500);
    let mut runs = 0;
    while repositories::clear(&op, &job).await.unwrap() != JobOutcome::Done {
        runs += 1;
        assert!(runs < 10, "it does not end");
    }
    assert!(op.sql().all(&KEPT, args![id]).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_goes_step_by_step_and_reads_each_repository_once() {
    let fixture = Fixture::open().await;
    let name = NamespaceName::parse("org").unwrap();
    let id = namespaces::create_organization(
        &fixture.op(),
        &fixture.op().installation().unwrap(),
        &name,
    )
    .await
    .unwrap();
    fixture.repositories(&id.to_string(), "x", 2500).await;
    namespaces::delete_organization(
        &fixture.op(),
        &fixture
            .op()
            .namespace(&"org".parse().unwrap())
            .await
            .unwrap(),
    )
    .await
    .unwrap();
    let job: ClearNamespace = serde_json::from_value(json!({ "namespace": id })).unwrap();
    let op = fixture.op();
    let named = async || {
        op.sql()
            .one(&NAMED, args![id])
            .await
            .unwrap()
            .int(0)
            .unwrap()
    };
    // A run is bounded, and the next one goes on where it ended.
    let outcome = namespaces::clear(&op, &job).await.unwrap();
    assert_eq!(
        (outcome, named().await),
        (JobOutcome::Again(Duration::ZERO), 500)
    );
    let outcome = namespaces::clear(&op, &job).await.unwrap();
    assert!(matches!(outcome, JobOutcome::Again(pause) if pause > Duration::ZERO));
    assert_eq!(named().await, 0);
    // While its repositories go by jobs of their own, a look costs the same however many are left.
    let before = op.cost().snapshot();
    assert!(matches!(
        namespaces::clear(&op, &job).await.unwrap(),
        JobOutcome::Again(_)
    ));
    let spent = op.cost().snapshot().since(before);
    assert!(spent.reads <= 2 && spent.writes == 0, "{spent:?}");
    fixture.empty(id).await;
    assert_eq!(
        namespaces::clear(&op, &job).await.unwrap(),
        JobOutcome::Done
    );
}
