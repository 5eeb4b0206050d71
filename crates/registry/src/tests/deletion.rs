//! Deleting, forgetting, clearing.

use std::time::Duration;

use seawall_kernel::auth::Administer;
use seawall_kernel::catalog::repositories::{self, ClearRepository};
use seawall_kernel::jobs::Outcome;
use seawall_types::Reason;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_manifest_takes_its_tags_and_comes_back_whole() {
    let house = House::open().await;
    let image = house.image("a", 2).await;
    let digest = house.push(&image, "v1").await.unwrap();
    house.push(&image, "v2").await.unwrap();
    house.delete(&digest).await.unwrap();
    for reference in ["v1", "v2", &digest.to_string()] {
        let error = house.found(reference).await.unwrap_err();
        assert_eq!(error.reason, Reason::ManifestUnknown);
    }
    assert_eq!(
        house.delete(&digest).await.unwrap_err().reason,
        Reason::ManifestUnknown
    );
    assert_eq!(
        house.history("v2").await,
        [(digest, false, 1), (digest, false, 3)]
    );
    assert!(house.kept().await.iter().all(|(_, for_good)| !for_good));
    house.push(&image, "v2").await.unwrap();
    assert_eq!(house.found("v2").await.unwrap(), digest);
    assert!(house.found("v1").await.is_err());
    assert_eq!(house.kept().await.len(), 3);
    assert!(house.kept().await.iter().all(|(_, for_good)| *for_good));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_held_by_what_can_be_pulled() {
    let house = House::open().await;
    let image = house.image("a", 1).await;
    let digest = house.push(&image, "v1").await.unwrap();
    let layer: Digest = image["layers"][0]["digest"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let unlink = async || blob::unlink(&house.op(), &house.deleting().await, &layer).await;
    assert_eq!(unlink().await.unwrap_err().reason, Reason::BlobReferenced);
    house.delete(&digest).await.unwrap();
    unlink().await.unwrap();
    assert_eq!(unlink().await.unwrap_err().reason, Reason::BlobUnknown);
    let error = house.push(&image, "v1").await.unwrap_err();
    assert_eq!(error.reason, Reason::MissingReferences);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_long_ago_is_forgotten() {
    let house = House::open().await;
    let (a, b) = (house.image("a", 1).await, house.image("b", 1).await);
    let gone = house.push(&a, "v1").await.unwrap();
    let stays = house.push(&b, "v2").await.unwrap();
    house.delete(&gone).await.unwrap();
    let walk = async || {
        manifest::walk_manifests(&house.op().sql(), None, 10)
            .await
            .unwrap()
    };
    let window = Duration::from_hours(1);
    manifest::forget(&house.op(), window).await.unwrap();
    assert_eq!(walk().await.len(), 2);
    let outcome = manifest::forget(&house.op(), Duration::ZERO).await.unwrap();
    assert!(matches!(outcome, Outcome::Again(after) if after > Duration::ZERO));
    let left = walk().await;
    assert_eq!(left.len(), 1);
    assert_eq!(
        (left[0].digest, left[0].live, left[0].references.len()),
        (stays, true, 2)
    );
    assert_eq!(house.kept().await.len(), 2);
    // The same bytes come again as if they had never been here.
    house.push(&a, "v1").await.unwrap();
    assert_eq!(house.found("v1").await.unwrap(), gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn walking_meets_every_manifest_once() {
    let mut house = House::open().await;
    for path in ["ann/one", "ann/two"] {
        house.name = RepositoryName::parse(path).unwrap();
        for image in ["a", "b", "c"] {
            house
                .push(&house.image(image, 1).await, image)
                .await
                .unwrap();
        }
    }
    let mut met = Vec::new();
    let mut after = None;
    loop {
        let page = manifest::walk_manifests(&house.op().sql(), after, 2)
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
    let house = House::open().await;
    for image in ["a", "b"] {
        house
            .push(&house.image(image, 3).await, image)
            .await
            .unwrap();
    }
    let hidden = house.push(&house.image("c", 1).await, "c").await.unwrap();
    house.delete(&hidden).await.unwrap();
    let id = house.id().await;
    let op = house.op();
    let repo = op.repo::<Administer>(&house.name).await.unwrap();
    repositories::delete(&op, &repo).await.unwrap();
    let job = ClearRepository { repository: id };
    assert_eq!(crate::clear::clear(&op, &job).await.unwrap(), Outcome::Done);
    assert!(
        manifest::walk_manifests(&op.sql(), None, 10)
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
    assert_eq!(crate::clear::clear(&op, &job).await.unwrap(), Outcome::Done);
    // The name is free.
    house.push(&house.image("a", 1).await, "v1").await.unwrap();
}
