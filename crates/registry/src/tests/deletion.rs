//! Deleting, forgetting, clearing.

use std::time::Duration;

use seawall_kernel::auth::Administer;
use seawall_kernel::catalog::namespaces;
use seawall_kernel::catalog::repositories::{self, ClearRepository};
use seawall_kernel::jobs::JobOutcome;
use seawall_types::Reason;

use super::store::PROMISED;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_manifest_takes_its_tags_and_comes_back_whole() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 2).await;
    let digest = fixture.push(&image, "v1").await.unwrap();
    fixture.push(&image, "v2").await.unwrap();
    fixture.delete(&digest).await.unwrap();
    for reference in ["v1", "v2", &digest.to_string()] {
        let error = fixture.found(reference).await.unwrap_err();
        assert_eq!(error.reason, Reason::ManifestUnknown);
    }
    assert_eq!(
        fixture.delete(&digest).await.unwrap_err().reason,
        Reason::ManifestUnknown
    );
    assert_eq!(
        fixture.history("v2").await,
        [(digest, false, 1), (digest, false, 3)]
    );
    assert!(fixture.kept().await.iter().all(|(_, for_good)| !for_good));
    fixture.push(&image, "v2").await.unwrap();
    assert_eq!(fixture.found("v2").await.unwrap(), digest);
    assert!(fixture.found("v1").await.is_err());
    assert_eq!(fixture.kept().await.len(), 3);
    assert!(fixture.kept().await.iter().all(|(_, for_good)| *for_good));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_held_by_what_can_be_pulled() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 1).await;
    let digest = fixture.push(&image, "v1").await.unwrap();
    let layer: Digest = image["layers"][0]["digest"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let unlink = async || blob::unlink(&fixture.op(), &fixture.deleting().await, &layer).await;
    assert_eq!(unlink().await.unwrap_err().reason, Reason::BlobReferenced);
    fixture.delete(&digest).await.unwrap();
    unlink().await.unwrap();
    assert_eq!(unlink().await.unwrap_err().reason, Reason::BlobUnknown);
    let error = fixture.push(&image, "v1").await.unwrap_err();
    assert_eq!(error.reason, Reason::MissingReferences);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_manifest_refers_to_nothing_until_it_is_pushed_again() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 2).await;
    let digest = fixture.push(&image, "v1").await.unwrap();
    let references = async || {
        let walked = manifest::walk_manifests(
            &fixture.op(),
            &fixture.op().installation().unwrap(),
            None,
            10,
        )
        .await;
        walked.unwrap()[0].references.len()
    };
    let whole = references().await;
    fixture.delete(&digest).await.unwrap();
    assert_eq!((whole, references().await), (3, 0));
    fixture.push(&image, "v1").await.unwrap();
    assert_eq!(references().await, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_long_ago_is_forgotten() {
    let fixture = Fixture::open().await;
    let (a, b) = (fixture.image("a", 1).await, fixture.image("b", 1).await);
    let gone = fixture.push(&a, "v1").await.unwrap();
    let stays = fixture.push(&b, "v2").await.unwrap();
    fixture.delete(&gone).await.unwrap();
    let walk = async || {
        manifest::walk_manifests(
            &fixture.op(),
            &fixture.op().installation().unwrap(),
            None,
            10,
        )
        .await
        .unwrap()
    };
    let window = Duration::from_hours(1);
    manifest::forget(&fixture.op(), window).await.unwrap();
    assert_eq!(walk().await.len(), 2);
    let outcome = manifest::forget(&fixture.op(), Duration::ZERO)
        .await
        .unwrap();
    assert!(matches!(outcome, JobOutcome::Again(after) if after > Duration::ZERO));
    let left = walk().await;
    assert_eq!(left.len(), 1);
    assert_eq!(
        (left[0].digest, left[0].live, left[0].references.len()),
        (stays, true, 2)
    );
    assert_eq!(fixture.kept().await.len(), 2);
    // The same bytes come again as if they had never been here.
    fixture.push(&a, "v1").await.unwrap();
    assert_eq!(fixture.found("v1").await.unwrap(), gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_kept_by_the_databases_clock() {
    let clock = TestClock::new();
    let fixture = Fixture::at(Arc::clone(&clock), |_| {}).await;
    let (a, b) = (fixture.image("a", 1).await, fixture.image("b", 1).await);
    fixture.push(&a, "v1").await.unwrap();
    // This process is far ahead, and has not looked at the database's clock since.
    clock.advance(Duration::from_hours(1000));
    let digest = fixture.push(&b, "v1").await.unwrap();
    fixture.push(&b, "v2").await.unwrap();
    fixture.delete_tag("v2").await.unwrap();
    fixture.delete(&digest).await.unwrap();
    let now = fixture.kernel.meta().observe_time().await.unwrap();
    for tag in ["v1", "v2"] {
        let rows = fixture.rows(&HISTORY, Some(tag)).await;
        let time = |row: &Row, column| row.opt_millis(column).unwrap();
        for (before, after) in rows.iter().zip(&rows[1..]) {
            // What ends ends as the next begins.
            assert_eq!(time(before, 3), time(after, 2));
        }
        assert!(rows.iter().all(|row| time(row, 3).unwrap() <= now));
    }
    let until = |row: &Row| row.opt_millis(1).unwrap();
    let kept = fixture.rows(&KEPT, None).await;
    let ends: Vec<_> = kept.iter().filter_map(until).collect();
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|end| *end <= now + Duration::from_hours(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn walking_meets_every_manifest_once() {
    let mut fixture = Fixture::open().await;
    for path in ["ann/one", "ann/two"] {
        fixture.name = RepositoryName::parse(path).unwrap();
        for image in ["a", "b", "c"] {
            fixture
                .push(&fixture.image(image, 1).await, image)
                .await
                .unwrap();
        }
    }
    let mut met = Vec::new();
    let mut after = None;
    loop {
        let page = manifest::walk_manifests(
            &fixture.op(),
            &fixture.op().installation().unwrap(),
            after,
            2,
        )
        .await
        .unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.repository, last.digest));
        met.extend(page.iter().map(|walked| (walked.repository, walked.digest)));
        assert!(page.iter().all(|walked| walked.references.len() == 2));
    }
    assert_eq!(met.len(), 6);
    met.dedup();
    assert!(met.is_sorted() && met.len() == 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_repository_leaves_nothing() {
    let fixture = Fixture::open().await;
    for image in ["a", "b"] {
        fixture
            .push(&fixture.image(image, 3).await, image)
            .await
            .unwrap();
    }
    let hidden = fixture
        .push(&fixture.image("c", 1).await, "c")
        .await
        .unwrap();
    fixture.delete(&hidden).await.unwrap();
    let id = fixture.id().await;
    let op = fixture.op();
    let repo = op.repo::<Administer>(&fixture.name).await.unwrap();
    repositories::delete(&op, &repo).await.unwrap();
    let job = ClearRepository { repository: id };
    assert_eq!(
        repositories::clear(&op, &job).await.unwrap(),
        JobOutcome::Done
    );
    assert!(
        manifest::walk_manifests(&op, &op.installation().unwrap(), None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        op.sql()
            .all(&HISTORY, args![id, "a"])
            .await
            .unwrap()
            .is_empty()
    );
    assert!(op.sql().all(&KEPT, args![id]).await.unwrap().is_empty());
    // A second run finds nothing to do.
    assert_eq!(
        repositories::clear(&op, &job).await.unwrap(),
        JobOutcome::Done
    );
    // The name is free.
    fixture
        .push(&fixture.image("a", 1).await, "v1")
        .await
        .unwrap();
}

/// What a push does first in its transaction.
async fn ensure(op: &Op, repo: &Repo<Push>) -> std::result::Result<(), Reason> {
    let ensured = op.transaction(repo.clone(), |tx, op, repo| {
        Box::pin(async move { repo.ensure(tx, op).await.map(drop) })
    });
    ensured.await.map_err(|error| error.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_began_before_a_deletion_does_not_end_after_it() {
    let fixture = Fixture::open().await;
    fixture.blob("layer").await;
    let op = fixture.op();
    let begun = op.repo::<Push>(&fixture.name).await.unwrap();
    assert_eq!(ensure(&op, &begun).await, Ok(()));
    let repo = op.repo::<Administer>(&fixture.name).await.unwrap();
    repositories::delete(&op, &repo).await.unwrap();
    assert_eq!(ensure(&op, &begun).await, Err(Reason::NameUnknown));
    let job = ClearRepository {
        repository: repo.id(),
    };
    assert_eq!(
        repositories::clear(&op, &job).await.unwrap(),
        JobOutcome::Done
    );
    assert_eq!(ensure(&op, &begun).await, Err(Reason::NameUnknown));
    // Who begins now pushes to a new repository of that name.
    let again = op.repo::<Push>(&fixture.name).await.unwrap();
    assert_eq!(ensure(&op, &again).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_in_a_namespace_that_is_going() {
    let fixture = Fixture::open().await;
    fixture.blob("layer").await;
    let op = fixture.op();
    let new = RepositoryName::parse("ann/new").unwrap();
    let begun = [
        op.repo::<Push>(&fixture.name).await.unwrap(),
        op.repo::<Push>(&new).await.unwrap(),
    ];
    namespaces::delete_organization(&op, &op.namespace(&"ann".parse().unwrap()).await.unwrap())
        .await
        .unwrap();
    for repo in &begun {
        assert_eq!(ensure(&op, repo).await, Err(Reason::NameUnknown));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_push_and_a_deletion_at_once_leave_nothing_behind() {
    let fixture = Fixture::open().await;
    for round in 0..6 {
        let image = fixture.image(&format!("round {round}"), 2).await;
        let op = fixture.op();
        let repo = op.repo::<Administer>(&fixture.name).await.unwrap();
        let pushes = futures::future::join_all((0..4).map(|n| {
            let (fixture, image) = (&fixture, &image);
            async move { fixture.push(image, &format!("v{n}")).await }
        }));
        let (pushed, deleted) =
            futures::future::join(pushes, repositories::delete(&op, &repo)).await;
        deleted.unwrap();
        for outcome in pushed {
            let reason = outcome.err().map(|error| error.reason);
            // Those that came after it met a new repository, which has no such blobs.
            assert!(
                matches!(
                    reason,
                    None | Some(Reason::NameUnknown | Reason::MissingReferences)
                ),
                "{reason:?}"
            );
        }
        let job = ClearRepository {
            repository: repo.id(),
        };
        assert_eq!(
            repositories::clear(&op, &job).await.unwrap(),
            JobOutcome::Done
        );
        let rows = op.sql().all(&KEPT, args![repo.id()]).await.unwrap();
        assert!(rows.is_empty());
        fixture.blob("next").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_out_is_promised_no_more() {
    let fixture = Fixture::open().await;
    // What is new is promised by its age; what comes again, by a row.
    fixture.blob("a").await;
    fixture.blob("b").await;
    let [a, b]: [Digest; 2] = [
        fixture.blob("a").await["digest"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap(),
        fixture.blob("b").await["digest"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap(),
    ];
    blob::unlink(&fixture.op(), &fixture.deleting().await, &a)
        .await
        .unwrap();
    let promised: Vec<Digest> = fixture
        .rows(&PROMISED, None)
        .await
        .iter()
        .map(|row| row.digest(0).unwrap())
        .collect();
    assert_eq!(promised, [b]);
}
