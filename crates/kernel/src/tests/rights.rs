//! Who may read what: the rule in memory, the conditions of statements and the pages of the catalog
//! say the same of any repository to any caller.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use seawall_meta::{Args, args};
use seawall_types::ids::{CredentialId, PrincipalId};
use seawall_types::lane::Lane;
use seawall_types::name::RepositoryName;
use seawall_types::permission::{
    NamespaceKind, NamespaceRole, PrincipalKind, RepositoryKind, RepositoryState, Role, Visibility,
};

use super::Process;
use super::store::{READABLE, REPOSITORY_IS};
use crate::auth::{CredentialKind, Identity};
use crate::catalog::rights::CatalogReader;
use crate::catalog::{listing, store};
use crate::{Actor, ActorIdentity, Ceiling, Op, Origin, Settings};

/// So many users; the first is a superuser. As many namespaces are theirs, and as many are
/// nobody's.
const USERS: i64 = 4;
/// So many repositories are in each namespace at most.
const REPOSITORIES: usize = 3;
/// The kind of repositories that the catalog lists here, and another.
const IMAGE: RepositoryKind = RepositoryKind::new(1, "image");
const OTHER: RepositoryKind = RepositoryKind::new(2, "application");
/// So many worlds are tried.
const WORLDS: usize = 6;

/// A repository to be made.
#[derive(Debug, Clone)]
struct NewRepository {
    visibility: Visibility,
    is_image: bool,
    state: RepositoryState,
}

/// What is made: the repositories of each namespace, and the grants.
#[derive(Debug)]
struct Fixture {
    namespaces: Vec<Vec<NewRepository>>,
    /// (namespace, user, role)
    on_namespaces: Vec<(usize, i64, i64)>,
    /// (namespace, repository, user, role)
    on_repositories: Vec<(usize, usize, i64, i64)>,
}

fn worlds() -> impl Strategy<Value = Fixture> {
    let count = usize::try_from(USERS).unwrap() * 2;
    let states = &RepositoryState::ALL[..3];
    let repository = (
        prop::sample::select(Visibility::ALL),
        any::<bool>(),
        prop::sample::select(states),
    );
    let repository = repository.prop_map(|(visibility, is_image, state)| NewRepository {
        visibility,
        is_image,
        state,
    });
    let namespace = prop::collection::vec(repository, 0..=REPOSITORIES);
    let users = 1..=USERS;
    let role = prop::sample::select(Role::ALL).prop_map(Role::code);
    let namespace_role = prop::sample::select(NamespaceRole::ALL).prop_map(NamespaceRole::code);
    (
        prop::collection::vec(namespace, count),
        prop::collection::vec((0..count, users.clone(), namespace_role), 0..10),
        prop::collection::vec((0..count, 0..REPOSITORIES, users, role), 0..16),
    )
        .prop_map(|(namespaces, on_namespaces, on_repositories)| Fixture {
            namespaces,
            on_namespaces,
            on_repositories,
        })
}

impl Process {
    async fn insert(&self, statement: &'static seawall_meta::Statement, arguments: Args) -> i64 {
        let op = self.op();
        let running = op.transaction(arguments, move |tx, _, arguments| {
            Box::pin(async move { Ok(tx.try_insert(statement, arguments.clone()).await?) })
        });
        running.await.unwrap().unwrap()
    }

    async fn execute(&self, statement: &'static seawall_meta::Statement, arguments: Args) {
        let op = self.op();
        let running = op.transaction(arguments, move |tx, _, arguments| {
            Box::pin(async move { Ok(tx.execute(statement, arguments.clone()).await?) })
        });
        running.await.unwrap();
    }

    /// Makes a world in an empty database, in which ids are counted from one.
    async fn make(&self, world: &Fixture) {
        for user in 1..=USERS {
            let name = format!("user{user}");
            let arguments = args![PrincipalKind::User.code(), &name, user == 1];
            self.execute(&store::PRINCIPAL_INSERT, arguments).await;
        }
        let mut ids: Vec<Vec<i64>> = Vec::new();
        for (place, repositories) in (1..).zip(&world.namespaces) {
            let owner = (place <= USERS).then_some(place);
            let kind = owner.map_or(NamespaceKind::Organization, |_| NamespaceKind::User);
            let arguments = args![name_of(place), kind.code(), owner];
            self.execute(&store::NAMESPACE_INSERT, arguments).await;
            let mut made = Vec::new();
            for (number, new) in (1_i64..).zip(repositories) {
                let name = format!("app{number}");
                let visibility = new.visibility.code();
                let kind = if new.is_image { IMAGE } else { OTHER };
                let arguments = args![
                    place,
                    &name,
                    visibility,
                    store::FIRST,
                    0_i64,
                    0_i64,
                    kind.code()
                ];
                let id = self.insert(&store::REPOSITORY_INSERT, arguments).await;
                let arguments = args![id, new.state.code()];
                self.execute(&REPOSITORY_IS, arguments).await;
                made.push(id);
            }
            ids.push(made);
            // In these tests the mark may say too much, as it may where a namespace is older than
            // it.
            let arguments = args![place, 1_i64];
            self.execute(&store::NAMESPACE_SHOWS_PUBLIC, arguments)
                .await;
        }
        for (namespace, user, role) in &world.on_namespaces {
            let arguments = args![*namespace + 1, *user, *role];
            self.execute(&store::NAMESPACE_GRANT_SET, arguments).await;
        }
        for (namespace, repository, user, role) in &world.on_repositories {
            if let Some(id) = ids[*namespace].get(*repository) {
                let arguments = args![*id, *user, *role];
                self.execute(&store::REPOSITORY_GRANT_SET, arguments).await;
            }
        }
    }

    fn by(&self, actor: Actor) -> Op {
        self.kernel
            .op(Lane::Pull, actor, Origin::internal("test"), None)
    }

    /// What anybody may be who asks.
    fn callers(&self) -> Vec<Op> {
        let user = |id| Identity {
            id: PrincipalId::from(id),
            name: format!("user{id}").into(),
            kind: PrincipalKind::User,
            superuser: id == 1,
            generation: 1,
            credential: CredentialId::from(1),
            credential_kind: CredentialKind::Password,
        };
        let known = |identity| Actor {
            who: ActorIdentity::Principal(Arc::new(identity)),
            ceiling: Ceiling::Unlimited,
        };
        let users = (1..=USERS).map(|id| known(user(id)));
        let actors = [Actor::anonymous(), Actor::operator()].into_iter();
        actors.chain(users).map(|actor| self.by(actor)).collect()
    }
}

fn name_of(namespace: i64) -> String {
    if namespace <= USERS {
        format!("user{namespace}")
    } else {
        format!("team{namespace}")
    }
}

/// The names of all repositories of a world, each with whether it is one of images.
fn names(world: &Fixture) -> Vec<(RepositoryName, bool)> {
    let mut names = Vec::new();
    for (place, repositories) in (1..).zip(&world.namespaces) {
        for (number, new) in (1..).zip(repositories) {
            let path = format!("app{number}");
            let name = RepositoryName::from_parts(&name_of(place), &path).unwrap();
            names.push((name, new.is_image));
        }
    }
    names
}

/// Checks one world, asked by everybody.
async fn check(process: &Process, world: &Fixture) {
    let names = names(world);
    for op in process.callers() {
        let who = op.actor().name().to_owned();
        let mut in_memory = BTreeSet::new();
        let (mut images, mut others) = (BTreeSet::new(), BTreeSet::new());
        for (name, is_image) in &names {
            if op.allowed(name).await.unwrap().role >= Some(Role::Read) {
                in_memory.insert(name.as_canonical().to_owned());
                let of_kind = if *is_image { &mut images } else { &mut others };
                of_kind.insert(name.as_canonical().to_owned());
            }
        }
        let arguments = CatalogReader::of(&op).args(args![]);
        let rows = op.sql().all(&READABLE, arguments).await.unwrap();
        let name = |row: &seawall_meta::Row| {
            let (namespace, path) = (row.text(0).unwrap(), row.text(1).unwrap());
            format!("{namespace}/{path}")
        };
        let by_statement: BTreeSet<_> = rows.iter().map(name).collect();
        assert_eq!(in_memory, by_statement, "{who}: {world:?}");
        for (kind, expected) in [(IMAGE, images), (OTHER, others)] {
            let page = listing::page(&op, kind, None, 1000).await.unwrap();
            let listed = page.iter().map(|name| name.as_canonical().to_owned());
            assert_eq!(expected, listed.collect(), "{who}: {world:?}");
        }
    }
}

#[tokio::test]
async fn memory_statements_and_catalog_say_the_same_of_who_may_read() {
    let mut runner = TestRunner::deterministic();
    for round in 0..WORLDS {
        let world = worlds().new_tree(&mut runner).unwrap().current();
        let mut settings = Settings::default();
        settings.access.anonymous_pull = round % 2 == 0;
        let process = Process::with(settings).await;
        process.make(&world).await;
        check(&process, &world).await;
    }
}
