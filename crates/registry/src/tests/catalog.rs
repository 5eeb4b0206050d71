//! The catalog: each caller's names in order, whatever lies between them, and at what price.

use std::collections::BTreeSet;

use seawall_kernel::auth::{Administer, CredentialKind, Identity};
use seawall_kernel::catalog::{grants, listing, namespaces, principals, repositories};
use seawall_kernel::{Actor, ActorIdentity, Ceiling};
use seawall_types::ids::{CredentialId, PrincipalId};
use seawall_types::name::NamespaceName;
use seawall_types::permission::{NamespaceRole, PrincipalKind, Role, Visibility};

use super::*;
use crate::acts::IMAGE;

impl Fixture {
    async fn user(&self, name: &str) -> Op {
        let parsed = NamespaceName::parse(name).unwrap();
        let op = self.op();
        let making = op.transaction(parsed, |tx, op, name| {
            Box::pin(async move {
                principals::create_user(tx, op, &op.installation()?, name, false).await
            })
        });
        self.as_principal(name, making.await.unwrap().id())
    }

    fn as_principal(&self, name: &str, id: PrincipalId) -> Op {
        let identity = Identity {
            id,
            name: name.into(),
            kind: PrincipalKind::User,
            superuser: false,
            generation: 1,
            credential: CredentialId::from(1),
            credential_kind: CredentialKind::Password,
        };
        self.op().acting_as(Actor {
            who: ActorIdentity::Principal(Arc::new(identity)),
            ceiling: Ceiling::Unlimited,
        })
    }

    fn stranger(&self) -> Op {
        self.op().acting_as(Actor::anonymous())
    }

    async fn administered(&self, name: &str) -> Repo<Administer> {
        let name = RepositoryName::parse(name).unwrap();
        self.op().repo::<Administer>(&name).await.unwrap()
    }

    async fn show(&self, name: &str, visibility: Visibility) {
        let repo = self.administered(name).await;
        let set = repositories::set_visibility(&self.op(), &repo, visibility).await;
        set.unwrap();
    }

    async fn grant(&self, name: &str, user: &str) {
        let repo = self.administered(name).await;
        let granted = grants::on_repository(&self.op(), &repo, user, Some(Role::Read)).await;
        granted.unwrap();
    }
}

/// All names that a caller is shown, in pages of this size.
async fn listed(op: &Op, size: u32) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let last = all.last().cloned();
        let page = listing::page(op, IMAGE, last.as_deref(), size)
            .await
            .unwrap();
        all.extend(page.iter().map(|name| name.as_canonical().to_owned()));
        if page.len() < size as usize {
            return all;
        }
    }
}

fn sorted(names: impl IntoIterator<Item = (&'static str, &'static str, u32)>) -> Vec<String> {
    let mut all = BTreeSet::new();
    for (namespace, prefix, count) in names {
        let paths =
            (1..=count).map(|i| (namespace.to_owned(), format!("{prefix}{}", 1_000_000 + i)));
        all.extend(paths);
    }
    all.into_iter()
        .map(|(namespace, path)| format!("{namespace}/{path}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_size_shows_the_same_names_in_order() {
    let fixture = Fixture::open().await;
    let bob = fixture.user("bob").await;
    let made = ["a", "b-b", "b0", "big", "c"].map(|name| NamespaceName::parse(name).unwrap());
    let mut ids = Vec::new();
    for name in &made {
        ids.push(
            namespaces::create_organization(
                &fixture.op(),
                &fixture.op().installation().unwrap(),
                name,
            )
            .await
            .unwrap()
            .get(),
        );
    }
    // Many with nothing in them, in the middle and at the end.
    fixture.namespaces("b5", 1000, 150).await;
    fixture.namespaces("z", 2000, 150).await;
    for (id, prefix, count) in [
        (ids[0], "x", 3),
        (ids[1], "x", 1),
        (ids[3], "y", 70),
        (ids[4], "x", 17),
    ] {
        fixture.repositories(&id.to_string(), prefix, count).await;
    }
    let all = sorted([
        ("a", "x", 3),
        ("b-b", "x", 1),
        ("big", "y", 70),
        ("c", "x", 17),
    ]);
    for size in [1, 2, 5, 16, 17, 64, 91, 1000] {
        assert_eq!(listed(&fixture.op(), size).await, all, "{size}");
    }
    assert_eq!(listed(&fixture.stranger(), 10).await, [""; 0]);
    assert_eq!(listed(&bob, 10).await, [""; 0]);
    // What is public, granted and governed meets in one order, and nothing is told twice.
    let public = ["a/x1000002", "big/y1000001", "big/y1000070", "c/x1000017"];
    for name in public {
        fixture.show(name, Visibility::Public).await;
    }
    for name in ["a/x1000002", "big/y1000069", "c/x1000001"] {
        fixture.grant(name, "bob").await;
    }
    let role = Some(NamespaceRole::Admin);
    grants::on_namespace(
        &fixture.op(),
        &fixture
            .op()
            .namespace(&"b-b".parse().unwrap())
            .await
            .unwrap(),
        "bob",
        role,
    )
    .await
    .unwrap();
    let of_bob = [
        "a/x1000002",
        "b-b/x1000001",
        "big/y1000001",
        "big/y1000069",
        "big/y1000070",
        "c/x1000001",
        "c/x1000017",
    ];
    for size in [1, 2, 3, 1000] {
        assert_eq!(listed(&fixture.stranger(), size).await, public, "{size}");
        assert_eq!(listed(&bob, size).await, of_bob, "{size}");
        assert_eq!(listed(&fixture.op(), size).await, all, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_costs_a_page_nothing() {
    let fixture = Fixture::open().await;
    let bob = fixture.user("bob").await;
    let z = NamespaceName::parse("zz").unwrap();
    let zz =
        namespaces::create_organization(&fixture.op(), &fixture.op().installation().unwrap(), &z)
            .await
            .unwrap();
    fixture.repositories(&zz.to_string(), "x", 3).await;
    fixture.show("zz/x1000001", Visibility::Public).await;
    fixture.grant("zz/x1000002", "bob").await;
    let callers = [fixture.stranger(), bob, fixture.op()];
    let mut costs = Vec::new();
    for hidden in [0, 20_000_u32] {
        if hidden > 0 {
            // As many namespaces, each with a repository, and as many more in that of the public
            // one.
            fixture.namespaces("n", 1000, hidden).await;
            fixture.repositories("999 + i", "x", hidden).await;
            fixture.repositories(&zz.to_string(), "h", hidden).await;
        }
        for op in &callers {
            for last in ["", "n", "zz"] {
                let before = op.cost().snapshot();
                listing::page(op, IMAGE, Some(last), 2).await.unwrap();
                costs.push(op.cost().snapshot().since(before).reads);
            }
        }
    }
    let (few, many) = costs.split_at(callers.len() * 3);
    assert_eq!(few.len(), many.len());
    assert!(many.iter().all(|reads| *reads <= 8), "{many:?}");
    assert_eq!(few[..6], many[..6], "a caller who may see nothing of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_public_is_listed_however_it_became_so() {
    let mut fixture = Fixture::open().await;
    fixture.blob("layer").await;
    fixture.name = RepositoryName::parse("ann/other").unwrap();
    fixture.blob("layer").await;
    for round in 0..10 {
        let (shown, hidden) = if round % 2 == 0 {
            ("ann/app", "ann/other")
        } else {
            ("ann/other", "ann/app")
        };
        let show = fixture.show(shown, Visibility::Public);
        let hide = fixture.show(hidden, Visibility::Private);
        futures::future::join(show, hide).await;
        assert_eq!(listed(&fixture.stranger(), 10).await, [shown], "{round}");
    }
    fixture.show("ann/other", Visibility::Private).await;
    let repo = fixture.administered("ann/app").await;
    fixture.show("ann/app", Visibility::Public).await;
    repositories::delete(&fixture.op(), &repo).await.unwrap();
    assert_eq!(listed(&fixture.stranger(), 10).await, [""; 0]);
}
