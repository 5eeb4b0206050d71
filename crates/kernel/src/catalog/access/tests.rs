//! The judgement, case by case: who is told what of each act.

use std::sync::Arc;

use seawall_types::ids::{NamespaceId, RepositoryId};
use seawall_types::permission::{NamespaceKind, PrincipalKind};
use seawall_types::scope::Scopes;

use super::*;
use crate::auth::{ActorIdentity, CredentialKind, Identity};
use crate::catalog::{NamespaceFacts, RepositoryRow};

const IMAGE: RepositoryKind = RepositoryKind::new(1, "image");

fn on_image(act: ActKind) -> RepositoryAct {
    let on = Some(IMAGE);
    RepositoryAct { act, on }
}

fn user(id: i64) -> Actor {
    let identity = Identity {
        id: id.into(),
        name: "ann".into(),
        kind: PrincipalKind::User,
        superuser: false,
        generation: 1,
        credential: 1.into(),
        credential_kind: CredentialKind::Password,
    };
    Actor {
        who: ActorIdentity::Principal(Arc::new(identity)),
        ceiling: Ceiling::Unlimited,
    }
}

fn facts(visibility: Visibility) -> RepositoryFacts {
    RepositoryFacts {
        namespace: Some(NamespaceFacts {
            id: NamespaceId::from(1),
            kind: NamespaceKind::User,
            owner: Some(7.into()),
            generation: 1,
        }),
        repository: Some(RepositoryRow {
            id: RepositoryId::from(1),
            visibility,
            kind: IMAGE.code(),
            state: RepositoryState::Normal,
            generation: 1,
        }),
        ..RepositoryFacts::default()
    }
}

fn answer(actor: &Actor, act: ActKind, facts: &RepositoryFacts) -> Option<Reason> {
    let name = RepositoryName::parse("ann/app").unwrap();
    judge(actor, on_image(act), &name, facts, &Settings::default())
        .err()
        .map(|error| error.reason)
}

#[test]
fn a_hidden_repository_answers_as_a_missing_one() {
    let missing = RepositoryFacts::default();
    let hidden = facts(Visibility::Private);
    for act in [
        ActKind::Pull,
        ActKind::Push,
        ActKind::Delete,
        ActKind::Describe,
    ] {
        for actor in [Actor::anonymous(), user(8)] {
            let narrow = Actor {
                ceiling: Ceiling::Scopes(Arc::new(Scopes::default())),
                ..actor.clone()
            };
            assert_eq!(answer(&actor, act, &hidden), answer(&actor, act, &missing));
            assert_eq!(
                answer(&narrow, act, &hidden),
                answer(&narrow, act, &missing)
            );
        }
    }
    let token = Actor {
        ceiling: Ceiling::Scopes(Arc::new(Scopes::default())),
        ..Actor::anonymous()
    };
    assert_eq!(
        answer(&token, ActKind::Push, &hidden),
        Some(Reason::InsufficientScope)
    );
    assert_eq!(
        answer(&user(8), ActKind::Pull, &hidden),
        Some(Reason::Hidden)
    );
    assert_eq!(
        answer(&user(8), ActKind::Push, &hidden),
        Some(Reason::Forbidden)
    );
    assert_eq!(
        answer(&Actor::anonymous(), ActKind::Pull, &hidden),
        Some(Reason::Unauthenticated)
    );
}

fn superuser(id: i64) -> Actor {
    let mut actor = user(id);
    if let ActorIdentity::Principal(identity) = &mut actor.who {
        Arc::make_mut(identity).superuser = true;
    }
    actor
}

fn narrow(actor: Actor) -> Actor {
    Actor {
        ceiling: Ceiling::Scopes(Arc::new(Scopes::default())),
        ..actor
    }
}

fn namespace(granted: Option<NamespaceRole>) -> Option<NamespaceCase> {
    let facts = facts(Visibility::Private).namespace?;
    Some(NamespaceCase { facts, granted })
}

fn on_namespace(actor: &Actor, act: ActKind, found: Option<&NamespaceCase>) -> Result<()> {
    judge_namespace(actor, act, "ann", found).map(drop)
}

fn said(judged: Result<()>) -> Option<(Reason, String)> {
    judged.err().map(|e| (e.reason, e.public.into_owned()))
}

const ON_NAMESPACES: [ActKind; 3] = [
    ActKind::ViewNamespace,
    ActKind::CreateRepository,
    ActKind::AdministerNamespace,
];
const ON_USERS: [ActKind; 3] = [
    ActKind::ViewUser,
    ActKind::ManageCredentials,
    ActKind::AdministerUser,
];

#[test]
fn a_hidden_namespace_or_user_answers_as_a_missing_one() {
    for actor in [Actor::anonymous(), user(8)] {
        for actor in [actor.clone(), narrow(actor)] {
            for act in ON_NAMESPACES {
                let hidden = said(on_namespace(&actor, act, namespace(None).as_ref()));
                assert!(hidden.is_some());
                assert_eq!(hidden, said(on_namespace(&actor, act, None)));
            }
            for act in ON_USERS {
                let hidden = said(judge_user(&actor, act, "ann", Some(7.into())).map(drop));
                assert!(hidden.is_some());
                assert_eq!(hidden, said(judge_user(&actor, act, "ann", None).map(drop)));
            }
        }
    }
}

#[test]
fn a_namespace_is_changed_by_its_owner_its_admins_and_superusers() {
    let reason = |actor: &Actor, act, granted| {
        let judged = on_namespace(actor, act, namespace(granted).as_ref());
        judged.err().map(|error| error.reason)
    };
    for act in ON_NAMESPACES {
        for (actor, granted) in [
            (user(7), None),
            (superuser(9), None),
            (Actor::operator(), None),
            (user(8), Some(NamespaceRole::Admin)),
        ] {
            assert_eq!(reason(&actor, act, granted), None, "{act:?}");
            let covered = reason(&narrow(actor), act, granted);
            assert_eq!(covered, Some(Reason::InsufficientScope), "{act:?}");
        }
        let anonymous = reason(&Actor::anonymous(), act, None);
        assert_eq!(anonymous, Some(Reason::Unauthenticated));
        assert_eq!(reason(&user(8), act, None), Some(Reason::Hidden));
        let creator = reason(&user(8), act, Some(NamespaceRole::Creator));
        let needed = act.rule().needs == Requirement::NamespaceRole(NamespaceRole::Admin);
        assert_eq!(creator, needed.then_some(Reason::Forbidden), "{act:?}");
    }
}

#[test]
fn an_account_is_its_users_and_the_superusers() {
    let reason = |actor: &Actor, act| {
        let judged = judge_user(actor, act, "ann", Some(7.into()));
        judged.err().map(|error| error.reason)
    };
    for act in ON_USERS {
        for actor in [superuser(9), Actor::operator()] {
            assert_eq!(reason(&actor, act), None, "{act:?}");
            let covered = reason(&narrow(actor), act);
            assert_eq!(covered, Some(Reason::InsufficientScope));
        }
        assert_eq!(reason(&user(8), act), Some(Reason::Hidden), "{act:?}");
        let own = (act == ActKind::AdministerUser).then_some(Reason::Forbidden);
        assert_eq!(reason(&user(7), act), own, "{act:?}");
    }
}

#[test]
fn the_installation_is_the_superusers() {
    let reason = |actor: &Actor, act| judge_installation(actor, act).err().map(|e| e.reason);
    for act in [ActKind::Inspect, ActKind::AdministerInstallation] {
        for actor in [superuser(9), Actor::operator()] {
            assert_eq!(reason(&actor, act), None);
            let covered = reason(&narrow(actor), act);
            assert_eq!(covered, Some(Reason::InsufficientScope));
        }
        assert_eq!(reason(&user(7), act), Some(Reason::Forbidden));
        let anonymous = reason(&Actor::anonymous(), act);
        assert_eq!(anonymous, Some(Reason::Unauthenticated));
    }
}

#[test]
fn an_act_on_another_kind_of_target_is_never_allowed() {
    let operator = Actor::operator();
    let facts = facts(Visibility::Public);
    let name = RepositoryName::parse("ann/app").unwrap();
    let settings = Settings::default();
    for act in ActKind::ALL {
        let target = act.rule().target;
        let on_repository = judge(&operator, on_image(*act), &name, &facts, &settings).is_ok();
        let on_namespace = on_namespace(&operator, *act, namespace(None).as_ref()).is_ok();
        let on_user = judge_user(&operator, *act, "ann", Some(7.into())).is_ok();
        let on_installation = judge_installation(&operator, *act).is_ok();
        assert_eq!(on_repository, target == ActTarget::Repository, "{act:?}");
        assert_eq!(on_namespace, target == ActTarget::Namespace, "{act:?}");
        assert_eq!(on_user, target == ActTarget::User, "{act:?}");
        assert_eq!(
            on_installation,
            target == ActTarget::Installation,
            "{act:?}"
        );
    }
}

#[test]
fn an_owner_may_do_everything_and_a_narrow_token_says_so() {
    let facts = facts(Visibility::Private);
    assert_eq!(answer(&user(7), ActKind::Administer, &facts), None);
    let narrow = Actor {
        ceiling: Ceiling::Scopes(Arc::new(Scopes::default())),
        ..user(7)
    };
    assert_eq!(
        answer(&narrow, ActKind::Pull, &facts),
        Some(Reason::InsufficientScope)
    );
}

#[test]
fn the_public_is_read_by_all_and_written_by_none() {
    let facts = facts(Visibility::Public);
    assert_eq!(answer(&Actor::anonymous(), ActKind::Pull, &facts), None);
    assert_eq!(
        answer(&Actor::anonymous(), ActKind::Push, &facts),
        Some(Reason::Unauthenticated)
    );
    assert_eq!(
        answer(&user(8), ActKind::Push, &facts),
        Some(Reason::Forbidden)
    );
}

#[test]
fn anonymous_access_switched_off_hides_the_public_from_strangers_only() {
    let mut settings = Settings::default();
    settings.access.anonymous_pull = false;
    let facts = facts(Visibility::Public);
    let name = RepositoryName::parse("ann/app").unwrap();
    let by = |actor: &Actor| judge(actor, on_image(ActKind::Pull), &name, &facts, &settings);
    assert!(by(&Actor::anonymous()).is_err());
    assert!(by(&user(8)).is_ok());
}

#[test]
fn a_read_only_repository_is_pulled_but_not_pushed() {
    let mut facts = facts(Visibility::Private);
    if let Some(repository) = &mut facts.repository {
        repository.state = RepositoryState::ReadOnly;
    }
    assert_eq!(answer(&user(7), ActKind::Pull, &facts), None);
    assert_eq!(
        answer(&user(7), ActKind::Push, &facts),
        Some(Reason::ReadOnly)
    );
}

#[test]
fn a_repository_of_another_kind_answers_as_a_missing_one_of_this() {
    let facts = facts(Visibility::Public);
    let name = RepositoryName::parse("ann/app").unwrap();
    let settings = Settings::default();
    let judged = |on| {
        let act = RepositoryAct {
            act: ActKind::Pull,
            on,
        };
        said(judge(&Actor::anonymous(), act, &name, &facts, &settings))
    };
    let other = RepositoryKind::new(2, "application");
    let words = "no such application repository".to_owned();
    assert_eq!(judged(Some(other)), Some((Reason::NameUnknown, words)));
    assert_eq!(judged(Some(IMAGE)), None);
    assert_eq!(judged(None), None);
}
