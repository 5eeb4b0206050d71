//! A manifest with more tags than one transaction takes goes at once with all of them.

use seawall_types::Reason;

use super::store::{LAST_EVENT, TAGS};
use super::*;

const MANY: usize = 2 * tag::MOST_TAKEN + 10;

/// Pushes an image under very many tags at once.
async fn push_many(fixture: &Fixture, image: &Value) -> Digest {
    let digest = fixture.push(image, "t0000").await.unwrap();
    let op = fixture.op();
    let target = Reference::parse(&digest.to_string()).unwrap();
    let draft = NewManifest::new(None, Bytes::from(image.to_string()), &target).unwrap();
    let tags = (0..MANY).map(|number| Tag::parse(&format!("t{number:04}")).unwrap());
    let put = PutManifest {
        repo: op.repo::<Push>(&fixture.name).await.unwrap(),
        draft,
        tags: tags.collect(),
        by_tag: false,
        conditions: Conditions::default(),
    };
    manifest::store_manifest(&op, put).await.unwrap();
    digest
}

async fn listed(fixture: &Fixture) -> Vec<String> {
    let op = fixture.op();
    let repo = op.repo(&fixture.name).await.unwrap();
    tag::page(&op, &repo, "", 1000).await.unwrap().names
}

async fn left(fixture: &Fixture) -> usize {
    fixture.rows(&TAGS, None).await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_with_very_many_tags_takes_them_out_of_sight_at_once() {
    let fixture = Fixture::open().await;
    let (a, b) = (fixture.image("a", 1).await, fixture.image("b", 1).await);
    let digest = push_many(&fixture, &a).await;
    assert_eq!(listed(&fixture).await.len(), MANY);
    let op = fixture.op();
    let window = std::time::Duration::from_hours(1);
    let deleting = fixture.deleting().await;
    manifest::delete(&op, &deleting, &digest, window)
        .await
        .unwrap();
    // However many there are, the transaction takes a bounded number, and so does the event.
    assert_eq!(left(&fixture).await, MANY - tag::MOST_TAKEN);
    let event = op.sql().one(&LAST_EVENT, args![]).await.unwrap();
    let event: Value = serde_json::from_str(event.text(1).unwrap()).unwrap();
    let detail = &event["detail"];
    assert_eq!(detail["tags"].as_array().unwrap().len(), tag::MOST_TAKEN);
    assert_eq!(detail["more"], true);
    // Nobody sees one of them any more.
    assert!(listed(&fixture).await.is_empty());
    let hidden: Vec<String> = fixture
        .rows(&TAGS, None)
        .await
        .iter()
        .map(|row| row.string(0).unwrap())
        .collect();
    let unknown = Reason::ManifestUnknown;
    assert_eq!(fixture.found(&hidden[0]).await.unwrap_err().reason, unknown);
    let error = fixture.delete_tag(&hidden[0]).await.unwrap_err();
    assert_eq!(error.reason, unknown);
    // One that is set again is set for good.
    let other = fixture.push(&b, &hidden[0]).await.unwrap();
    assert!(tag::untag(&op, deleting.id(), &digest).await.unwrap());
    assert_eq!(fixture.found(&hidden[0]).await.unwrap(), other);
    assert_eq!(listed(&fixture).await, [hidden[0].clone()]);
    assert_eq!(left(&fixture).await, 1);
    let history = fixture.history(&hidden[1]).await;
    assert_eq!(history, [(digest, false, 1), (digest, false, 3)]);
    // The job that was to do it finds nothing.
    assert!(tag::untag(&op, deleting.id(), &digest).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_come_back_without_the_tags_that_went() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 1).await;
    let digest = push_many(&fixture, &image).await;
    fixture.delete(&digest).await.unwrap();
    assert!(left(&fixture).await > 0);
    fixture.push(&image, "new").await.unwrap();
    assert_eq!(listed(&fixture).await, ["new"]);
    assert_eq!(fixture.found(&digest.to_string()).await.unwrap(), digest);
    assert_eq!(left(&fixture).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_goes_meanwhile_leaves_nothing_of_them() {
    use seawall_kernel::auth::Administer;
    use seawall_kernel::catalog::repositories::{self, ClearRepository};
    use seawall_kernel::jobs::JobOutcome;
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 1).await;
    let digest = push_many(&fixture, &image).await;
    fixture.delete(&digest).await.unwrap();
    let op = fixture.op();
    let repo = op.repo::<Administer>(&fixture.name).await.unwrap();
    repositories::delete(&op, &repo).await.unwrap();
    let job = ClearRepository {
        repository: repo.id(),
    };
    assert_eq!(
        repositories::clear(&op, &job).await.unwrap(),
        JobOutcome::Done
    );
    assert!(tag::untag(&op, repo.id(), &digest).await.unwrap());
    assert!(
        op.sql()
            .all(&TAGS, args![repo.id()])
            .await
            .unwrap()
            .is_empty()
    );
}
