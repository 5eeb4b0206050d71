//! Users as the operator makes and changes them.

use std::time::Duration;

use seawall_kernel::auth::ManageCredentials;
use seawall_kernel::catalog::{namespaces, principals};
use seawall_types::{NamespaceName, Reason, Secret};

use super::{Fixture, basic, pair};
use crate::{NewUser, credentials};

fn name(text: &str) -> NamespaceName {
    NamespaceName::parse(text).unwrap()
}

/// A user without a password given.
fn new(text: &str) -> NewUser {
    NewUser {
        name: name(text),
        password: None,
        superuser: false,
    }
}

#[tokio::test]
async fn every_statement_is_understood_by_the_database() {
    let fixture = Fixture::new().await;
    let wrong = fixture
        .kernel
        .meta()
        .check(&crate::statements())
        .await
        .unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_password_that_nobody_gave_is_made() {
    let fixture = Fixture::new().await;
    let operator = fixture.operator();
    let made = fixture
        .directory
        .create_user(&operator, &operator.installation().unwrap(), new("ann"))
        .await
        .unwrap();
    let password = made.unwrap();
    assert_eq!(password.expose().len(), 24);
    let actor = fixture
        .verify(&fixture.op(), &pair("ann", password.expose()))
        .await
        .unwrap();
    assert_eq!((actor.name(), actor.is_superuser()), ("ann", false));
    let given = Some(Secret::new("chosen"));
    assert!(
        fixture
            .directory
            .set_password(
                &operator,
                &operator.user(&name("ann")).await.unwrap(),
                given
            )
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        fixture
            .verify(&fixture.op(), &pair("ann", "chosen"))
            .await
            .is_ok()
    );
    assert!(
        fixture
            .verify(&fixture.op(), &pair("ann", password.expose()))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let operator = fixture.operator();
    let directory = &fixture.directory;
    let again = directory
        .create_user(&operator, &operator.installation().unwrap(), new("ann"))
        .await;
    assert_eq!(again.unwrap_err().reason, Reason::Conflict);
    let absent = operator.user::<ManageCredentials>(&name("bob")).await;
    assert_eq!(absent.err().map(|e| e.reason), Some(Reason::NotFound));
    for password in [String::new(), "x".repeat(1025)] {
        let bob = NewUser {
            password: Some(Secret::new(password)),
            ..new("bob")
        };
        let installation = operator.installation().unwrap();
        let odd = directory.create_user(&operator, &installation, bob).await;
        assert_eq!(odd.unwrap_err().reason, Reason::BadRequest);
    }
    assert_eq!(
        directory
            .list_users(&operator, &operator.installation().unwrap())
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_disabled_user_is_nobody_until_enabled() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let operator = fixture.operator();
    assert!(fixture.verify(&fixture.op(), &basic("ann")).await.is_ok());
    fixture
        .directory
        .set_enabled(
            &operator,
            &operator.user(&name("ann")).await.unwrap(),
            false,
        )
        .await
        .unwrap();
    // What was verified a moment ago is remembered, and does not help.
    let refused = fixture
        .verify(&fixture.op(), &basic("ann"))
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::Unauthenticated);
    assert!(
        !fixture
            .directory
            .list_users(&operator, &operator.installation().unwrap())
            .await
            .unwrap()[0]
            .enabled
    );
    fixture
        .directory
        .set_enabled(&operator, &operator.user(&name("ann")).await.unwrap(), true)
        .await
        .unwrap();
    assert!(fixture.verify(&fixture.op(), &basic("ann")).await.is_ok());
    fixture
        .directory
        .delete_user(&operator, &operator.user(&name("ann")).await.unwrap())
        .await
        .unwrap();
    assert!(fixture.verify(&fixture.op(), &basic("ann")).await.is_err());
    assert!(
        fixture
            .directory
            .list_users(&operator, &operator.installation().unwrap())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_right_password_is_hashed_again_an_hour_after_its_last_use() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let spent = || async {
        let op = fixture.op();
        fixture.verify(&op, &basic("ann")).await.unwrap();
        op.cost().snapshot().cpu_micros
    };
    assert!(spent().await > 0);
    for _ in 0..5 {
        fixture.clock.advance(Duration::from_mins(50));
        assert_eq!(spent().await, 0);
    }
    fixture.clock.advance(Duration::from_mins(61));
    assert!(spent().await > 0);
    // A wrong one is worth no more than a minute's memory.
    let (_, before) = fixture.directory.passwords().load();
    for after in [0, 50, 20] {
        fixture.clock.advance(Duration::from_secs(after));
        let wrong = fixture.verify(&fixture.op(), &pair("ann", "wrong")).await;
        assert!(wrong.is_err());
    }
    assert_eq!(fixture.directory.passwords().load().1 - before, 2);
    // An unknown name is worth the same work.
    let op = fixture.op();
    assert!(fixture.verify(&op, &pair("nobody", "x")).await.is_err());
    assert!(op.cost().snapshot().cpu_micros > 0);
}

#[tokio::test]
async fn the_first_administrator_is_made_once() {
    let fixture = Fixture::new().await;
    let other = fixture.beside().await;
    let (here, there) = (fixture.operator(), other.operator());
    let installation = here.installation().unwrap();
    let (one, two) = tokio::join!(
        fixture
            .directory
            .ensure_admin(&here, &installation, |_| Ok(())),
        other
            .directory
            .ensure_admin(&there, &installation, |_| Ok(()))
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one.is_some() != two.is_some());
    let password = one.or(two).unwrap();
    let admin = fixture
        .verify(&fixture.op(), &pair("admin", password.expose()))
        .await
        .unwrap();
    assert!(admin.is_superuser());
    assert!(
        fixture
            .directory
            .ensure_admin(&here, &here.installation().unwrap(), |_| Ok(()))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn nobody_is_made_an_administrator_by_their_name() {
    let fixture = Fixture::new().await;
    // As an earlier release let them be made.
    let operator = fixture.operator();
    let taken = operator.transaction((), |tx, op, ()| {
        Box::pin(async move {
            let id =
                principals::create_user(tx, op, &op.installation()?, &name("admin"), false).await?;
            Ok(id)
        })
    });
    let id = taken.await.unwrap();
    let phc = "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA";
    let password = operator.transaction((id, phc), |tx, _op, (user, phc)| {
        Box::pin(async move { credentials::replace_password(tx, user, phc).await })
    });
    password.await.unwrap();
    assert!(
        fixture
            .directory
            .ensure_admin(
                &fixture.operator(),
                &fixture.operator().installation().unwrap(),
                |_| Ok(())
            )
            .await
            .unwrap()
            .is_none()
    );
    let users = fixture
        .directory
        .list_users(
            &fixture.operator(),
            &fixture.operator().installation().unwrap(),
        )
        .await
        .unwrap();
    assert!(users.iter().all(|user| !user.admin));
}

#[tokio::test]
async fn some_names_are_no_users() {
    let fixture = Fixture::new().await;
    let operator = fixture.operator();
    let add = |text: &str, superuser| {
        let user = NewUser {
            superuser,
            ..new(text)
        };
        let (fixture, operator) = (&fixture, &operator);
        async move {
            let installation = operator.installation()?;
            let directory = &fixture.directory;
            directory.create_user(operator, &installation, user).await
        }
    };
    for reserved in ["library", "v2", "admin", "api"] {
        let refused = add(reserved, false).await.unwrap_err();
        assert_eq!(refused.reason, Reason::Conflict, "{reserved}");
    }
    assert_eq!(
        add("library", true).await.unwrap_err().reason,
        Reason::Conflict
    );
    add("admin", true).await.unwrap();
    // The operator may call an organization so, in which names of one part are.
    namespaces::create_organization(
        &operator,
        &operator.installation().unwrap(),
        &name("library"),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let fixture = Fixture::new().await;
    fixture.user("ann").await;
    let actor = fixture.verify(&fixture.op(), &basic("ann")).await.unwrap();
    let token = fixture.token("ann", "").await;
    let bearer = fixture.bearer(&token).await.unwrap();
    let shown = format!("{:?} {actor:?} {bearer:?}", fixture.directory);
    assert!(
        !shown.contains("password\"") && !shown.contains(&token),
        "{shown}"
    );
}
