//! What is deleted or mounted counts the right and the state of that moment, and what has expired
//! is no condition's target.

use seawall_kernel::auth::{Actor, ActorIdentity, Administer, Ceiling, CredentialKind, Identity};
use seawall_kernel::catalog::events::RepositoryDeleted;
use seawall_kernel::catalog::{grants, listing, principals, repositories};
use seawall_kernel::events::EventType;
use seawall_types::condition::ETags;
use seawall_types::permission::{PrincipalKind, Role, Visibility};
use seawall_types::{NamespaceName, Reason};

use super::store::{BECOME, CLOSE, EXPIRE};
use super::*;

impl Fixture {
    /// A user with a role on the repository, and what they do.
    async fn member(&self, name: &str, role: Role) -> Op {
        let op = self.op();
        let known = NamespaceName::parse(name).unwrap();
        let making = op.transaction(known, |tx, op, name| {
            Box::pin(async move {
                principals::create_user(tx, op, &op.installation()?, name, false).await
            })
        });
        let identity = Identity {
            id: making.await.unwrap().id(),
            name: name.into(),
            kind: PrincipalKind::User,
            superuser: false,
            generation: 1,
            credential: 1.into(),
            credential_kind: CredentialKind::Password,
        };
        self.set_role(name, Some(role)).await;
        op.acting_as(Actor {
            who: ActorIdentity::Principal(Arc::new(identity)),
            ceiling: Ceiling::Unlimited,
        })
    }

    async fn set_role(&self, user: &str, role: Option<Role>) {
        let (op, repo) = (self.op(), self.owned().await);
        grants::on_repository(&op, &repo, user, role).await.unwrap();
    }

    async fn owned(&self) -> Repo<Administer> {
        self.op().repo(&self.name).await.unwrap()
    }

    async fn run(&self, statement: &'static Statement, arguments: seawall_meta::Args) {
        let op = self.op();
        let running = op.transaction(arguments, move |tx, _, arguments| {
            Box::pin(async move { Ok(tx.execute(statement, arguments.clone()).await?) })
        });
        assert_eq!(running.await.unwrap(), 1);
    }
}

/// Everything that deletes, by one who was let in before.
async fn deletions(op: &Op, repo: &Repo<Delete>, image: &Value, digest: &Digest) -> Vec<Reason> {
    let layer = image["layers"][0]["digest"].as_str().unwrap();
    let window = std::time::Duration::from_hours(1);
    let outcomes = [
        tag::delete(op, repo, &Tag::parse("v1").unwrap()).await,
        manifest::delete(op, repo, digest, window).await,
        blob::unlink(op, repo, &layer.parse().unwrap()).await,
    ];
    outcomes.map(|outcome| outcome.unwrap_err().reason).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_counts_the_right_and_the_state_of_its_moment() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 1).await;
    let digest = fixture.push(&image, "v1").await.unwrap();
    let bob = fixture.member("bob", Role::Write).await;
    let opened = bob.repo::<Delete>(&fixture.name).await.unwrap();
    let tell = async || deletions(&bob, &opened, &image, &digest).await;
    fixture.set_role("bob", None).await;
    let events = fixture.events().await.len();
    assert_eq!(tell().await, [Reason::Hidden; 3]);
    fixture.set_role("bob", Some(Role::Read)).await;
    assert_eq!(tell().await, [Reason::Forbidden; 3]);
    fixture.set_role("bob", Some(Role::Write)).await;
    fixture.run(&CLOSE, args![fixture.id().await]).await;
    assert_eq!(tell().await, [Reason::ReadOnly; 3]);
    assert_eq!(fixture.events().await.len(), events + 2);
    assert_eq!(fixture.history("v1").await, [(digest, true, 1)]);
    assert_eq!(fixture.found("v1").await.unwrap(), digest);
    let repo = fixture.owned().await;
    repositories::delete(&fixture.op(), &repo).await.unwrap();
    assert_eq!(tell().await, [Reason::NameUnknown; 3]);
    assert_eq!(fixture.events().await.len(), events + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_counts_the_right_of_its_moment() {
    let fixture = Fixture::open().await;
    let layer = fixture.blob("layer").await;
    let digest: Digest = layer["digest"].as_str().unwrap().parse().unwrap();
    let bob = fixture.member("bob", Role::Write).await;
    let opened = bob.repo::<Push>(&fixture.name).await.unwrap();
    let mount = async || blob::mount(&bob, &opened, &digest, Some("ann/app")).await;
    assert!(mount().await.unwrap());
    fixture.set_role("bob", Some(Role::Read)).await;
    assert_eq!(mount().await.unwrap_err().reason, Reason::Forbidden);
    fixture.set_role("bob", Some(Role::Admin)).await;
    assert!(mount().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_of_another_kind_is_missing_to_all_that_is_done_to_images() {
    let fixture = Fixture::open().await;
    let image = fixture.image("a", 1).await;
    fixture.push(&image, "v1").await.unwrap();
    let (id, opened) = (fixture.id().await, fixture.deleting().await);
    let repo = fixture.owned().await;
    let op = fixture.op();
    let set = repositories::set_visibility(&op, &repo, Visibility::Public);
    set.await.unwrap();
    let listed = async || {
        let op = fixture.op().acting_as(Actor::anonymous());
        let page = listing::page(&op, crate::acts::IMAGE, None, 10).await;
        page.unwrap().len()
    };
    assert_eq!(listed().await, 1);
    fixture.run(&BECOME, args![id, 77_i64]).await;
    assert_eq!(listed().await, 0);
    // What was let in before asks again as it writes.
    let deleted = tag::delete(&fixture.op(), &opened, &Tag::parse("v1").unwrap()).await;
    assert_eq!(deleted.unwrap_err().reason, Reason::NameUnknown);
    let pushed = fixture.push(&image, "v2").await;
    assert_eq!(pushed.unwrap_err().reason, Reason::NameUnknown);
    // Of whatever kind it is, it has an administrator, who sees what it is called.
    let all = repositories::list(&op, &op.installation().unwrap()).await;
    assert_eq!(all.unwrap()[0].kind, "unknown");
    let repo = fixture.owned().await;
    repositories::delete(&op, &repo).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repository_is_deleted_once() {
    let fixture = Fixture::open().await;
    fixture.blob("layer").await;
    let (op, repo) = (fixture.op(), fixture.owned().await);
    let both = [(); 2].map(|()| Box::pin(repositories::delete(&op, &repo)));
    let outcomes = futures::future::join_all(both).await;
    let refused: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].reason, Reason::NameUnknown);
    let events = fixture.events().await;
    let deleted = RepositoryDeleted::KIND.number();
    assert_eq!(events.iter().filter(|kind| **kind == deleted).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_has_expired_is_no_target_of_a_condition() {
    let fixture = Fixture::open().await;
    let (a, b) = (fixture.image("a", 1).await, fixture.image("b", 1).await);
    let digest = fixture.push(&a, "v1").await.unwrap();
    let repository = fixture.id().await;
    let conditional = async |conditions: Conditions| {
        let op = fixture.op();
        let target = Reference::parse("v1").unwrap();
        let draft = NewManifest::new(None, Bytes::from(b.to_string()), &target).unwrap();
        let put = PutManifest {
            repo: op.repo::<Push>(&fixture.name).await.unwrap(),
            draft,
            tags: vec![Tag::parse("v1").unwrap()],
            by_tag: true,
            conditions,
        };
        let stored = manifest::store_manifest(&op, put).await;
        stored.map(drop).map_err(|error| error.reason)
    };
    let absent = || Conditions {
        if_none_match: ETags::parse("*").ok(),
        ..Conditions::default()
    };
    let same = Conditions {
        if_match: ETags::parse(&format!("\"{digest}\"")).ok(),
        ..Conditions::default()
    };
    let later = fixture.op().now().0 + 3_600_000;
    fixture.run(&EXPIRE, args![repository, "v1", later]).await;
    assert_eq!(conditional(absent()).await, Err(Reason::Precondition));
    fixture.run(&EXPIRE, args![repository, "v1", 1_i64]).await;
    let gone = fixture.delete_tag("v1").await.unwrap_err();
    assert_eq!(gone.reason, Reason::ManifestUnknown);
    assert_eq!(conditional(same).await, Err(Reason::Precondition));
    assert_eq!(conditional(absent()).await, Ok(()));
    assert_ne!(fixture.found("v1").await.unwrap(), digest);
}
