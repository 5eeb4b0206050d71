//! A right over a namespace, a user or the installation is judged at the door and again in the
//! transaction that uses it: one that ended meanwhile does not land, whoever ends it and when.

use futures::future::join;
use seawall_kernel::auth::{Administer, IdentitySource, Inspect, ManageCredentials};
use seawall_kernel::catalog::events::{NamespaceCreated, UserDisabled};
use seawall_kernel::catalog::{grants, namespaces};
use seawall_kernel::events::EventType;
use seawall_kernel::{Installation, Namespace};
use seawall_meta::args;
use seawall_types::permission::NamespaceRole;
use seawall_types::{Error, Reason};

use super::store::EVENTS;
use super::*;
use crate::credentials;

/// So many times a right is used while it is being ended.
const ROUNDS: usize = 12;

fn name(text: &str) -> NamespaceName {
    NamespaceName::parse(text).unwrap()
}

fn reason<T>(result: Result<T, Error>) -> Option<Reason> {
    result.err().map(|error| error.reason)
}

impl Fixture {
    /// What a user does who has logged in a moment ago.
    async fn by(&self, user: &str) -> Op {
        let password = Secret::new(format!("{user}'s password"));
        let identity = self.directory.log_in(&self.op(), user, &password).await;
        let source = Arc::clone(&self.directory) as Arc<dyn IdentitySource>;
        self.op()
            .acting_as(known(identity.unwrap(), Ceiling::Unlimited))
            .proved_by(source)
    }

    async fn superuser(&self, text: &str) {
        let user = NewUser {
            name: name(text),
            password: Some(Secret::new(format!("{text}'s password"))),
            superuser: true,
        };
        let (op, directory) = (self.operator(), &self.directory);
        let installation = op.installation().unwrap();
        let made = directory.create_user(&op, &installation, user).await;
        made.unwrap();
    }

    async fn enable(&self, user: &str, enabled: bool) {
        let op = self.operator();
        let user = op.user(&name(user)).await.unwrap();
        let set = self.directory.set_enabled(&op, &user, enabled).await;
        set.unwrap();
    }

    /// An organization in which `admin` has that role.
    async fn organization(&self, text: &str, admin: &str) {
        let op = self.operator();
        let installation = op.installation().unwrap();
        let made = namespaces::create_organization(&op, &installation, &name(text)).await;
        made.unwrap();
        self.set_role(text, admin, Some(NamespaceRole::Admin)).await;
    }

    async fn set_role(&self, text: &str, user: &str, role: Option<NamespaceRole>) {
        let op = self.operator();
        let namespace = op.namespace(&name(text)).await.unwrap();
        let set = grants::on_namespace(&op, &namespace, user, role).await;
        set.unwrap();
    }

    /// The names of all users and namespaces, in order.
    async fn names(&self) -> (Vec<String>, Vec<String>) {
        let op = self.operator();
        let installation = op.installation::<Inspect>().unwrap();
        let users = self.directory.list_users(&op, &installation).await.unwrap();
        let namespaces = namespaces::list(&op, &installation).await.unwrap();
        (
            users.into_iter().map(|user| user.name).collect(),
            namespaces.into_iter().map(|one| one.name).collect(),
        )
    }

    /// (id, kind) of all events after this one.
    async fn events(&self, after: i64) -> Vec<(i64, i64)> {
        let rows = self.operator().sql().all(&EVENTS, args![after]).await;
        let read = |row: &seawall_meta::Row| (row.int(0).unwrap(), row.int(1).unwrap());
        rows.unwrap().iter().map(read).collect()
    }
}

/// Tries all that a superuser may do to the installation and to a user.
async fn administer(
    fixture: &Fixture,
    by: &Op,
    installation: &Installation<Administer>,
) -> Vec<Option<Reason>> {
    let directory = &fixture.directory;
    let user = NewUser {
        name: name("made"),
        password: None,
        superuser: true,
    };
    vec![
        reason(namespaces::create_organization(by, installation, &name("org")).await),
        reason(directory.create_user(by, installation, user).await),
        reason(directory.rotate_keys(by, installation).await),
    ]
}

#[tokio::test]
async fn a_superuser_who_is_disabled_between_door_and_transaction_changes_nothing() {
    let fixture = Fixture::new().await;
    fixture.user("bob").await;
    fixture.superuser("ann").await;
    let by = fixture.by("ann").await;
    let installation = by.installation::<Administer>().unwrap();
    let bob = by.user::<Administer>(&name("bob")).await.unwrap();
    let password = by.user::<ManageCredentials>(&name("bob")).await.unwrap();
    let own = by.namespace::<Administer>(&name("bob")).await.unwrap();
    fixture.enable("ann", false).await;
    let before = (fixture.names().await, fixture.events(0).await);
    let refused = Some(Reason::Unauthenticated);
    assert_eq!(administer(&fixture, &by, &installation).await, [refused; 3]);
    let directory = &fixture.directory;
    for outcome in [
        directory.set_enabled(&by, &bob, false).await,
        directory.delete_user(&by, &bob).await,
        directory.set_password(&by, &password, None).await.map(drop),
        directory.revoke_refresh_tokens(&by, &password, None).await,
        grants::on_namespace(&by, &own, "bob", Some(NamespaceRole::Admin)).await,
    ] {
        assert_eq!(reason(outcome), refused);
    }
    assert_eq!((fixture.names().await, fixture.events(0).await), before);
    assert!(fixture.verify(&fixture.op(), &basic("bob")).await.is_ok());

    // A change that took nothing away stops nobody, and who may again does again.
    fixture.enable("ann", true).await;
    assert_eq!(administer(&fixture, &by, &installation).await, [None; 3]);
}

/// Gives a role on a namespace that was opened before; says what that came to.
async fn grant(by: &Op, namespace: &Namespace<Administer>) -> Option<Reason> {
    let role = Some(NamespaceRole::Creator);
    reason(grants::on_namespace(by, namespace, "eve", role).await)
}

#[tokio::test]
async fn an_admin_of_a_namespace_whose_grant_went_meanwhile_grants_nothing() {
    let fixture = Fixture::new().await;
    for user in ["bob", "eve"] {
        fixture.user(user).await;
    }
    fixture.organization("team", "bob").await;
    let by = fixture.by("bob").await;
    let opened = by.namespace::<Administer>(&name("team")).await.unwrap();
    fixture.set_role("team", "bob", None).await;
    assert_eq!(grant(&by, &opened).await, Some(Reason::Hidden));
    let deleted = namespaces::delete_organization(&by, &opened).await;
    assert_eq!(reason(deleted), Some(Reason::Hidden));
    fixture
        .set_role("team", "bob", Some(NamespaceRole::Creator))
        .await;
    assert_eq!(grant(&by, &opened).await, Some(Reason::Forbidden));
    let op = fixture.operator();
    let team = op.namespace(&name("team")).await.unwrap();
    let listed = grants::list_on_namespace(&op, &team).await.unwrap();
    let names: Vec<_> = listed.iter().map(|grant| &*grant.principal).collect();
    assert_eq!(names, ["bob"]);
    // What took nothing away stops nothing.
    fixture
        .set_role("team", "bob", Some(NamespaceRole::Admin))
        .await;
    assert_eq!(grant(&by, &opened).await, None);
    // Nor is another namespace of that name the one that was opened.
    namespaces::delete_organization(&op, &team).await.unwrap();
    assert_eq!(grant(&by, &opened).await, Some(Reason::Hidden));
    fixture.organization("team", "bob").await;
    assert_eq!(grant(&by, &opened).await, Some(Reason::Hidden));
}

#[tokio::test]
async fn a_user_who_was_deleted_or_has_another_password_meanwhile_manages_no_credentials() {
    let fixture = Fixture::new().await;
    fixture.user("bob").await;
    let by = fixture.by("bob").await;
    let own = by.user::<ManageCredentials>(&name("bob")).await.unwrap();
    let directory = &fixture.directory;
    let set = |password: &'static str| {
        let password = Some(Secret::new(password));
        async { reason(directory.set_password(&by, &own, password).await) }
    };
    assert_eq!(set("another one").await, None);
    // By the new password nobody is logged in, and the old one does not count any more.
    assert_eq!(set("a third one").await, Some(Reason::Unauthenticated));
    let op = fixture.operator();
    let user = op.user::<Administer>(&name("bob")).await.unwrap();
    directory.delete_user(&op, &user).await.unwrap();
    assert_eq!(set("a third one").await, Some(Reason::Unauthenticated));
    let again = directory.delete_user(&op, &user).await;
    assert_eq!(reason(again), Some(Reason::NotFound));
    fixture.user("bob").await;
    let other = directory.set_enabled(&op, &user, false).await;
    assert_eq!(reason(other), Some(Reason::NotFound));
    assert!(fixture.verify(&fixture.op(), &basic("bob")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_meets_nothing_is_made_by_one_who_was_disabled_before() {
    let fixture = Fixture::new().await;
    fixture.superuser("ann").await;
    for round in 0..ROUNDS {
        fixture.enable("ann", true).await;
        let last = fixture.events(0).await.last().map_or(0, |(id, _)| *id);
        let by = fixture.by("ann").await;
        let installation = by.installation::<Administer>().unwrap();
        let new = name(&format!("org{round}"));
        let making = namespaces::create_organization(&by, &installation, &new);
        let (made, ()) = join(making, fixture.enable("ann", false)).await;
        let kinds: Vec<_> = fixture.events(last).await;
        let kinds: Vec<_> = kinds.into_iter().map(|(_, kind)| kind).collect();
        let disabled = UserDisabled::KIND.number();
        let created = NamespaceCreated::KIND.number();
        if made.is_ok() {
            assert_eq!(kinds, [created, disabled], "{round}");
        } else {
            assert_eq!(kinds, [disabled], "{round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_admins_who_take_each_others_grant_one_stays() {
    let fixture = Fixture::new().await;
    for user in ["ann", "bob"] {
        fixture.user(user).await;
    }
    fixture.organization("team", "ann").await;
    for round in 0..ROUNDS {
        for user in ["ann", "bob"] {
            let admin = Some(NamespaceRole::Admin);
            fixture.set_role("team", user, admin).await;
        }
        let take = async |by: &str, from: &str| {
            let op = fixture.by(by).await;
            let team = op.namespace::<Administer>(&name("team")).await?;
            grants::on_namespace(&op, &team, from, None).await
        };
        let (one, two) = join(take("ann", "bob"), take("bob", "ann")).await;
        assert!(one.is_ok() != two.is_ok(), "{round}: {one:?} {two:?}");
    }
}

#[tokio::test]
async fn a_password_change_ends_what_its_superuser_has_begun() {
    let fixture = Fixture::new().await;
    fixture.superuser("ann").await;
    let by = fixture.by("ann").await;
    let installation = by.installation::<Administer>().unwrap();
    let op = fixture.operator();
    let ann = op.user(&name("ann")).await.unwrap();
    let changed = fixture.directory.set_password(&op, &ann, None).await;
    assert!(changed.unwrap().is_some());
    let refused = Some(Reason::Unauthenticated);
    assert_eq!(administer(&fixture, &by, &installation).await, [refused; 3]);
    assert!(!credentials::sweep(&op).await.unwrap());
}
