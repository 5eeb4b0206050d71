//! What manifests name is kept: every name that the keeper gives out has its `blob_ref` row.

use std::collections::BTreeSet;

use seawall_kernel::blobs::PageCursor;
use seawall_kernel::catalog::repositories;
use seawall_kernel::jobs::JobOutcome;
use seawall_types::Reason;
use seawall_types::media_type::OCI_NONDISTRIBUTABLE;

use super::store::REFS;
use super::*;
use crate::keeper;

/// A digest, and its owner: the repository, the stored kind, the key.
type Name = (Digest, i64, i64, Vec<u8>);

/// All that manifests name, read in pages of `limit` manifests.
async fn named(fixture: &Fixture, limit: u32) -> BTreeSet<Name> {
    let keeper = keeper();
    let mut names = BTreeSet::new();
    let mut after: Option<PageCursor> = None;
    loop {
        let page = keeper.page(&fixture.op(), after, limit).await.unwrap();
        for named in page.blobs {
            let (repository, kind) = (named.owner.repository.get(), named.owner.kind.number());
            let new = names.insert((named.digest, repository, kind, named.owner.key));
            assert!(new, "{} is named twice", named.digest);
        }
        after = page.end;
        if after.is_none() {
            return names;
        }
    }
}

/// Every row of `blob_ref` that stays for good.
async fn kept(fixture: &Fixture) -> BTreeSet<Name> {
    let rows = fixture.op().sql().all(&REFS, args![]).await.unwrap();
    let read = |row: &Row| {
        let key = row.bytes(3).unwrap().to_vec();
        let owner = (row.int(1).unwrap(), row.int(2).unwrap());
        (row.digest(0).unwrap(), owner.0, owner.1, key)
    };
    rows.iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_blob_that_manifests_name_is_kept_for_them() {
    let fixture = Fixture::open().await;
    assert!(named(&fixture, 10).await.is_empty());
    // Two images with a layer in common, one of them under two tags, and an index of both.
    let shared = fixture.blob("shared").await;
    let mut children = Vec::new();
    for name in ["one", "two"] {
        let config = fixture.blob(&format!("config of {name}")).await;
        let own = fixture.blob(&format!("layer of {name}")).await;
        let image = image(&config, &[shared.clone(), own]);
        fixture.push(&image, name).await.unwrap();
        fixture.push(&image, "latest").await.unwrap();
        children.push(image);
    }
    let children: Vec<_> = children.iter().collect();
    fixture.push(&index(&children), "both").await.unwrap();
    // A foreign layer that is not here, and a manifest that was deleted and one that came back.
    let elsewhere = Digest::of(Algorithm::Sha256, b"foreign");
    let mut foreign = descriptor(OCI_NONDISTRIBUTABLE, &elsewhere, 7);
    foreign["urls"] = json!(["https://store.example.com/1"]);
    let config = fixture.blob("config of windows").await;
    fixture
        .push(&image(&config, &[foreign]), "windows")
        .await
        .unwrap();
    for again in [false, true] {
        let gone = fixture.image(&format!("gone {again}"), 2).await;
        let digest = fixture.push(&gone, "gone").await.unwrap();
        fixture.delete(&digest).await.unwrap();
        if again {
            fixture.push(&gone, "again").await.unwrap();
        }
    }
    let names = named(&fixture, 100).await;
    assert_eq!(names.len(), 3 + 3 + 1 + 3);
    for limit in [1, 2, 3] {
        assert_eq!(named(&fixture, limit).await, names, "in pages of {limit}");
    }
    // Nothing is named that is not kept, and here nothing is kept that is not named.
    assert_eq!(kept(&fixture).await, names);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_repository_names_ends_before_what_it_keeps() {
    let fixture = Fixture::open().await;
    for name in ["one", "two"] {
        let image = fixture.image(name, 2).await;
        fixture.push(&image, name).await.unwrap();
    }
    assert_eq!(named(&fixture, 1).await.len(), 6);
    let repository = fixture.id().await;
    let repo = fixture.op().repo(&fixture.name).await.unwrap();
    repositories::delete(&fixture.op(), &repo).await.unwrap();
    assert!(named(&fixture, 10).await.is_subset(&kept(&fixture).await));
    let job = serde_json::from_value(json!({ "repository": repository })).unwrap();
    let outcome = repositories::clear(&fixture.op(), &job).await.unwrap();
    assert!(matches!(outcome, JobOutcome::Done));
    assert!(named(&fixture, 10).await.is_empty() && kept(&fixture).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_no_page_had_is_refused() {
    let fixture = Fixture::open().await;
    for end in ["", "7", "x/sha256:a", "7/sha256:a"] {
        let (keeper, after) = (keeper(), Some(PageCursor::new(end)));
        let error = keeper.page(&fixture.op(), after, 1).await.unwrap_err();
        assert_eq!(error.reason, Reason::Internal, "{end}");
    }
}
