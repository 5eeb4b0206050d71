//! Those who come at the same time: what must never both succeed, and what must never be half done.

use futures::future::{join, join_all};
use seawall_types::{Error, Reason};

use super::*;

const ROUNDS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pushes_of_one_tag_leave_one_open_row_of_history() {
    let fixture = Fixture::open().await;
    let mut images = Vec::new();
    for name in 0..6 {
        images.push(fixture.image(&name.to_string(), 1).await);
    }
    for round in 0..ROUNDS {
        let tag = format!("v{}", round / 2);
        let pushed = join_all(images.iter().map(|image| fixture.push(image, &tag))).await;
        assert!(pushed.iter().all(Result::is_ok), "{pushed:?}");
        let history = fixture.history(&tag).await;
        let open: Vec<_> = history.iter().filter(|(_, open, _)| *open).collect();
        assert_eq!(open.len(), 1, "{history:?}");
        assert_eq!(open[0].0, fixture.found(&tag).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_image_under_many_tags_at_once() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 3).await;
    let tags: Vec<String> = (0..8).map(|number| format!("v{number}")).collect();
    let pushed = join_all(tags.iter().map(|tag| fixture.push(&image, tag))).await;
    assert!(pushed.iter().all(Result::is_ok), "{pushed:?}");
    for tag in &tags {
        assert!(fixture.found(tag).await.is_ok());
    }
    assert_eq!(fixture.kept().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_manifest_and_the_deletion_of_its_blob_never_both_succeed() {
    let fixture = Fixture::open().await;
    for round in 0..ROUNDS {
        let image = fixture.image(&format!("round {round}"), 2).await;
        let layer: Digest = image["layers"][1]["digest"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let deleting = fixture.deleting().await;
        let op = fixture.op();
        let (pushed, unlinked) = join(
            Box::pin(fixture.push(&image, "v1")),
            Box::pin(blob::unlink(&op, &deleting, &layer)),
        )
        .await;
        match (&pushed, &unlinked) {
            (
                Ok(_),
                Err(Error {
                    reason: Reason::BlobReferenced,
                    ..
                }),
            )
            | (
                Err(Error {
                    reason: Reason::MissingReferences,
                    ..
                }),
                Ok(()),
            ) => {}
            _ => panic!("{pushed:?} {unlinked:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tag_never_points_to_a_manifest_that_is_gone() {
    let fixture = Fixture::open().await;
    let (a, b) = (fixture.image("a", 1).await, fixture.image("b", 1).await);
    let digest = fixture.push(&a, "v1").await.unwrap();
    for _ in 0..ROUNDS {
        let everything = join_all([
            Box::pin(async { fixture.push(&a, "v1").await.map(drop) })
                as futures::future::BoxFuture<'_, _>,
            Box::pin(async { fixture.push(&a, "v2").await.map(drop) }),
            Box::pin(async { fixture.push(&b, "v1").await.map(drop) }),
            Box::pin(async { fixture.delete(&digest).await }),
            Box::pin(async { fixture.delete_tag("v1").await }),
        ])
        .await;
        for outcome in everything {
            assert!(outcome.is_ok() || outcome.unwrap_err().reason == Reason::ManifestUnknown);
        }
        for tag in ["v1", "v2"] {
            let open = fixture
                .history(tag)
                .await
                .into_iter()
                .filter(|(_, open, _)| *open);
            let open: Vec<_> = open.map(|(digest, ..)| digest).collect();
            match fixture.found(tag).await {
                Ok(digest) => {
                    assert_eq!(open, [digest]);
                    assert_eq!(fixture.found(&digest.to_string()).await.unwrap(), digest);
                }
                Err(_) => assert_eq!(open, []),
            }
        }
        fixture.push(&a, "v3").await.unwrap();
    }
}
