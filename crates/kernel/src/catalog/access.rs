//! Hidden or forbidden, decided once: permission as it stands now, met with the ceiling.
//!
//! The order matters. Permission comes first, so that a caller who may not read a repository gets
//! the same answer as for one that does not exist, whatever their token says; the ceiling comes
//! second, so that "fetch another token" is only said when another token would help.

use seawall_types::name::RepositoryName;
use seawall_types::permission::{NamespaceRole, RepositoryKind, RepositoryState, Role, Visibility};
use seawall_types::scope::Action;
use seawall_types::{Error, Reason, Result};

use super::facts::RepositoryFacts;
use crate::auth::{ActKind, Actor, Ceiling};
use crate::settings::Settings;

/// What a subject may do to one repository name now, its ceiling aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// The role that the subject holds, from ownership, grants or visibility.
    pub role: Option<Role>,
    /// Whether the repository does not exist and a push by this subject would make it.
    pub creates: bool,
}

impl Allowed {
    /// The permission of `actor`'s subject.
    pub fn of(actor: &Actor, facts: &RepositoryFacts, settings: &Settings) -> Self {
        let governs = governs(actor, facts);
        let role = facts.repository.as_ref().and_then(|repository| {
            if governs {
                return Some(Role::Admin);
            }
            let public = repository.visibility == Visibility::Public
                && (settings.anonymous_pull || !actor.is_anonymous());
            facts.role.max(public.then_some(Role::Read))
        });
        let creator = governs || facts.namespace_role.is_some();
        let creates = facts.repository.is_none()
            && settings.create_repository_on_push
            && match facts.namespace {
                Some(_) => creator,
                None => actor.is_superuser() && settings.create_namespace_on_push,
            };
        Self { role, creates }
    }

    /// Whether the subject may take `action`, as a token service grants it (distribution §13.2):
    /// pulling what one could make is granted, so that the answer is 404 and not 401.
    pub fn grants(self, action: Action) -> bool {
        let needed = match action {
            Action::Pull => Role::Read,
            Action::Push | Action::Delete => Role::Write,
            Action::All => Role::Admin,
        };
        self.creates || self.role >= Some(needed)
    }
}

/// Whether the actor owns or administers the namespace, or the whole installation.
fn governs(actor: &Actor, facts: &RepositoryFacts) -> bool {
    let owns = facts
        .namespace
        .as_ref()
        .is_some_and(|namespace| namespace.owner.is_some() && namespace.owner == actor.principal());
    actor.is_superuser() || owns || facts.namespace_role == Some(NamespaceRole::Admin)
}

/// Decides whether `actor` may do `act` to `name`; the error is the answer to give.
pub(super) fn judge(
    actor: &Actor,
    act: ActKind,
    name: &RepositoryName,
    facts: &RepositoryFacts,
    settings: &Settings,
) -> Result<()> {
    let rule = act.rule();
    let allowed = Allowed::of(actor, facts, settings);
    let makes = allowed.creates && act == ActKind::Push;
    if !makes && allowed.role < Some(rule.role) {
        return Err(refusal(actor, allowed, act));
    }
    if !actor.ceiling.admits(name, rule.action) {
        return Err(Error::new(
            Reason::InsufficientScope,
            "the token does not cover this; ask for one with the scope that is named",
        ));
    }
    let Some(repository) = &facts.repository else {
        return Ok(());
    };
    if repository.kind != RepositoryKind::Image {
        return Err(Error::new(Reason::NameUnknown, "no such image repository"));
    }
    if rule.writes {
        accepts(repository.state)?;
    }
    Ok(())
}

/// Errors: `ReadOnly` unless a repository in this state takes changes.
fn accepts(state: RepositoryState) -> Result<()> {
    if state == RepositoryState::Normal {
        return Ok(());
    }
    let words = "the repository does not accept changes now";
    Err(Error::new(Reason::ReadOnly, words))
}

/// The answer for a subject without the permission.
fn refusal(actor: &Actor, allowed: Allowed, act: ActKind) -> Error {
    if actor.is_anonymous() {
        // Whoever is not known may become somebody who may: 401 for everything not public. With an
        // anonymous token the word is another, since docker only then asks for a better one.
        let reason = match actor.ceiling {
            Ceiling::Unlimited => Reason::Unauthenticated,
            Ceiling::Scopes(_) => Reason::InsufficientScope,
        };
        return Error::new(reason, "authentication required");
    }
    if allowed.role.is_some() {
        return Error::new(Reason::Forbidden, "not allowed on this repository");
    }
    if act == ActKind::Push {
        // Says nothing about existence: both a hidden and a missing repository end here.
        return Error::new(Reason::Forbidden, "not allowed to push to this repository");
    }
    Error::new(Reason::Hidden, "no such repository")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use seawall_types::ids::{NamespaceId, RepositoryId};
    use seawall_types::permission::{NamespaceKind, PrincipalKind};
    use seawall_types::scope::Scopes;

    use super::*;
    use crate::auth::{CredentialKind, Identity, Who};
    use crate::catalog::{NamespaceFacts, RepositoryRow};

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
            who: Who::Principal(Arc::new(identity)),
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
                kind: RepositoryKind::Image,
                state: RepositoryState::Normal,
                generation: 1,
            }),
            ..RepositoryFacts::default()
        }
    }

    fn answer(actor: &Actor, act: ActKind, facts: &RepositoryFacts) -> Option<Reason> {
        let name = RepositoryName::parse("ann/app").unwrap();
        judge(actor, act, &name, facts, &Settings::default())
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
        let settings = Settings {
            anonymous_pull: false,
            ..Settings::default()
        };
        let facts = facts(Visibility::Public);
        let name = RepositoryName::parse("ann/app").unwrap();
        let by = |actor: &Actor| judge(actor, ActKind::Pull, &name, &facts, &settings);
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
}
