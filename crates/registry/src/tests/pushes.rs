//! Storing manifests and setting tags.

use seawall_types::Reason;
use seawall_types::condition::ETags;
use seawall_types::media_type::DOCKER_MANIFEST;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_image_takes_few_statements_and_a_repetition_writes_nothing() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 10).await;
    let op = fixture.op();
    let before = op.cost().snapshot();
    let digest = fixture.push_on(&op, &image, "v1").await.unwrap();
    let spent = op.cost().snapshot().since(before);
    // One read opens the repository.
    assert!(spent.reads + spent.writes <= 1 + 8, "{spent:?}");
    assert_eq!(fixture.found("v1").await.unwrap(), digest);
    assert_eq!(fixture.found(&digest.to_string()).await.unwrap(), digest);
    assert_eq!(fixture.kept().await.len(), 11);
    let events = fixture.events().await;
    assert_eq!(fixture.push(&image, "v1").await.unwrap(), digest);
    assert_eq!(
        fixture.push(&image, &digest.to_string()).await.unwrap(),
        digest
    );
    assert_eq!(fixture.events().await, events);
    assert_eq!(fixture.history("v1").await, [(digest, true, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_pull_takes_two_reads() {
    let fixture = Fixture::open().await;
    let digest = fixture
        .push(&fixture.image("a", 1).await, "v1")
        .await
        .unwrap();
    for reference in ["v1".to_owned(), digest.to_string()] {
        let op = fixture.op();
        let repo = op.repo::<Pull>(&fixture.name).await.unwrap();
        let reference = Reference::parse(&reference).unwrap();
        let before = op.cost().snapshot();
        manifest::find(&op, &fixture.shelf, &repo, &reference)
            .await
            .unwrap();
        let spent = op.cost().snapshot().since(before);
        assert_eq!((spent.reads, spent.writes), (1, 0));
        assert_eq!(op.cost().snapshot().reads, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_moves_and_its_history_stays() {
    let fixture = Fixture::open().await;
    let (a, b) = (fixture.image("a", 1).await, fixture.image("b", 1).await);
    let first = fixture.push(&a, "v1").await.unwrap();
    let second = fixture.push(&b, "v1").await.unwrap();
    assert_eq!(fixture.found("v1").await.unwrap(), second);
    fixture.push(&a, "v1").await.unwrap();
    fixture.delete_tag("v1").await.unwrap();
    assert_eq!(
        fixture.found("v1").await.unwrap_err().reason,
        Reason::ManifestUnknown
    );
    assert_eq!(fixture.found(&first.to_string()).await.unwrap(), first);
    let gone = fixture.delete_tag("v1").await.unwrap_err();
    assert_eq!(gone.reason, Reason::ManifestUnknown);
    fixture.push(&a, "v1").await.unwrap();
    let history = fixture.history("v1").await;
    let expected = [
        (first, false, 1),
        (second, false, 1),
        (first, false, 1),
        (first, false, 2),
        (first, true, 1),
    ];
    assert_eq!(history, expected);
    let rows = fixture.rows(&HISTORY, Some("v1")).await;
    for pair in rows.windows(2) {
        let (until, from) = (pair[0].int(3).unwrap(), pair[1].int(2).unwrap());
        assert!(until <= from, "intervals do not overlap");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_and_nothing_is_written() {
    let fixture = Fixture::open().await;
    let config = fixture.blob("config").await;
    let absent = |name: &str| {
        let digest = Digest::of(Algorithm::Sha256, name.as_bytes());
        descriptor("application/y", &digest, name.len())
    };
    let broken = image(&config, &[absent("one"), absent("two")]);
    let error = fixture.push(&broken, "v1").await.unwrap_err();
    assert_eq!(error.reason, Reason::MissingReferences);
    assert_eq!(error.detail.unwrap().as_array().unwrap().len(), 2);
    let children = index(&[&broken]);
    let error = fixture.push(&children, "v1").await.unwrap_err();
    assert_eq!(error.reason, Reason::MissingReferences);
    assert!(fixture.found("v1").await.is_err());
    assert!(fixture.kept().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_has_manifests_and_blobs_for_children() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 1).await;
    let digest = fixture.push(&image, "v1").await.unwrap();
    let mut children = index(&[&image]);
    let cache = fixture.blob("a cache").await;
    children["manifests"].as_array_mut().unwrap().push(cache);
    let index = fixture.push(&children, "v2").await.unwrap();
    assert_eq!(fixture.kept().await.len(), 3);
    // A child goes, and the index keeps naming it.
    fixture.delete(&digest).await.unwrap();
    assert_eq!(fixture.found("v2").await.unwrap(), index);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_digest_has_one_media_type() {
    let fixture = Fixture::open().await;
    let mut image = fixture.image("a", 1).await;
    image.as_object_mut().unwrap().remove("mediaType");
    let body = Bytes::from(image.to_string());
    let target = Reference::parse("v1").unwrap();
    let push = async |media_type: &str| {
        let media_type = seawall_types::MediaType::parse(media_type).unwrap();
        let draft = NewManifest::new(Some(&media_type), body.clone(), &target)?;
        let op = fixture.op();
        let repo = op.repo::<Push>(&fixture.name).await?;
        let tags = vec![Tag::parse("v1").unwrap()];
        let conditions = Conditions::default();
        manifest::store_manifest(
            &op,
            PutManifest {
                repo,
                draft,
                tags,
                by_tag: true,
                conditions,
            },
        )
        .await
    };
    push(OCI_MANIFEST).await.unwrap();
    push(OCI_MANIFEST).await.unwrap();
    let error = push(DOCKER_MANIFEST).await.unwrap_err();
    assert_eq!(error.reason, Reason::ManifestInvalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tags_come_at_once_and_conditions_hold() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 1).await;
    let op = fixture.op();
    let text = image.to_string();
    let digest = Digest::of(Algorithm::Sha512, text.as_bytes());
    let target = Reference::from(digest);
    let put = async |tags: Vec<Tag>, conditions: Conditions| {
        let draft = NewManifest::new(None, Bytes::from(text.clone()), &target)?;
        let repo = op.repo::<Push>(&fixture.name).await?;
        manifest::store_manifest(
            &op,
            PutManifest {
                repo,
                draft,
                tags,
                by_tag: false,
                conditions,
            },
        )
        .await
    };
    let tags: Vec<Tag> = (10..30)
        .map(|number| Tag::parse(&format!("v{number}")).unwrap())
        .collect();
    let absent = Conditions {
        if_none_match: ETags::parse("*").ok(),
        ..Conditions::default()
    };
    put(tags, absent.clone()).await.unwrap();
    assert_eq!(fixture.found("v29").await.unwrap(), digest);
    let describing = op.repo(&fixture.name).await.unwrap();
    let page = tag::page(&op, &describing, "v12", 5).await.unwrap();
    assert_eq!(page.names, ["v13", "v14", "v15", "v16", "v17"]);
    assert!(page.more);
    let page = tag::page(&op, &describing, "v12", 17).await.unwrap();
    assert_eq!((page.names.len(), page.more), (17, false));
    let error = put(vec![Tag::parse("late").unwrap()], absent)
        .await
        .unwrap_err();
    assert_eq!(error.reason, Reason::Precondition);
    assert!(fixture.found("late").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_not_here_cannot_be_kept() {
    let fixture = Fixture::open().await;
    fixture.blob("to make the repository").await;
    let op = fixture.op();
    let repo = op.repo::<Push>(&fixture.name).await.unwrap();
    let (namespace, repository) = (repo.namespace().unwrap(), repo.existing().unwrap());
    let gone = Digest::of(Algorithm::Sha256, b"collected meanwhile");
    let owner = manifest::owner(namespace, repository, &gone);
    let keeping = op.transaction((owner, [gone]), |tx, _op, (owner, digests)| {
        Box::pin(async move { seawall_kernel::blobs::keep(tx, owner, digests).await })
    });
    assert_eq!(keeping.await.unwrap_err().reason, Reason::BlobUnknown);
}
