//! Judgement of every act, in one place: hidden, forbidden or allowed; permission as it stands
//! now, met with the ceiling.
//!
//! The order matters. Permission comes first, so that a caller who may not know of something gets
//! the same answer as for one that does not exist, whatever their token says; the ceiling comes
//! second, so that "fetch another token" is only said when another token would help. The operator
//! is judged here like any caller.

use seawall_types::ids::PrincipalId;
use seawall_types::name::RepositoryName;
use seawall_types::permission::{NamespaceRole, RepositoryKind, RepositoryState, Role, Visibility};
use seawall_types::scope::Action;
use seawall_types::{Error, Reason, Result};

use super::facts::{NamespaceFacts, RepositoryFacts};
use crate::auth::{Act, ActKind, ActTarget, Actor, Ceiling, Requirement};
use crate::settings::Settings;

/// What a subject may do to one repository name now, its ceiling aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedActions {
    /// The role that the subject holds, from ownership, grants or visibility.
    pub role: Option<Role>,
    /// Whether the repository does not exist and a push by this subject would make it.
    pub creates: bool,
}

impl AllowedActions {
    /// The permission of `actor`'s subject.
    pub fn of(actor: &Actor, facts: &RepositoryFacts, settings: &Settings) -> Self {
        let within = role_in(actor, facts.namespace.as_ref(), facts.namespace_role);
        let role = facts.repository.as_ref().and_then(|repository| {
            if within == Some(NamespaceRole::Admin) {
                return Some(Role::Admin);
            }
            let public =
                repository.visibility == Visibility::Public && reads_public(actor, settings);
            facts.role.max(public.then_some(Role::Read))
        });
        let creates = facts.repository.is_none()
            && settings.access.create_repository_on_push
            && match facts.namespace {
                Some(_) => within.is_some(),
                None => actor.is_superuser() && settings.access.create_namespace_on_push,
            };
        Self { role, creates }
    }

    /// Whether the subject may take `action`, as a token service grants it (protocol §13.2):
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

/// Whether what is public may be read by `actor`.
pub(super) fn reads_public(actor: &Actor, settings: &Settings) -> bool {
    settings.access.anonymous_pull || !actor.is_anonymous()
}

/// The role of `actor` in a namespace: the highest for its owner and for superusers, else what was
/// granted.
fn role_in(
    actor: &Actor,
    namespace: Option<&NamespaceFacts>,
    granted: Option<NamespaceRole>,
) -> Option<NamespaceRole> {
    let owner = namespace.and_then(|namespace| namespace.owner);
    let owns = owner.is_some() && owner == actor.principal();
    if actor.is_superuser() || owns {
        return Some(NamespaceRole::Admin);
    }
    granted
}

/// What is known of one act on one target.
struct AccessCase {
    /// The subject holds what the act needs.
    allowed: bool,
    /// The subject may know that the target exists.
    visible: bool,
    /// The ceiling of the credential covers the act.
    covered: bool,
}

/// The answers to a subject without the permission, who are not anonymous.
struct RefusalReasons<'a> {
    /// To one who may not know of the target; it says no more than for one that does not exist.
    hidden: &'a dyn Fn() -> Error,
    /// To one who may.
    forbidden: &'static str,
    /// To one whose token does not cover the act.
    uncovered: &'static str,
}

/// The judgement itself, whatever the act is done to; the error is the answer to give.
fn decide(actor: &Actor, case: &AccessCase, refusals: &RefusalReasons<'_>) -> Result<()> {
    if !case.allowed {
        return Err(if actor.is_anonymous() {
            unknown_caller(actor)
        } else if case.visible {
            Error::new(Reason::Forbidden, refusals.forbidden)
        } else {
            (refusals.hidden)()
        });
    }
    if !case.covered {
        return Err(Error::new(Reason::InsufficientScope, refusals.uncovered));
    }
    Ok(())
}

/// A caller who is not known may log in as one who may: 401 for everything not public. With an
/// anonymous token the word is another, since docker only then asks for a better one.
fn unknown_caller(actor: &Actor) -> Error {
    let reason = match actor.ceiling {
        Ceiling::Unlimited => Reason::Unauthenticated,
        Ceiling::Scopes(_) => Reason::InsufficientScope,
    };
    Error::new(reason, "authentication required")
}

/// Whether the ceiling of the credential covers `act` where no repository's name decides.
fn is_unlimited(actor: &Actor) -> bool {
    matches!(actor.ceiling, Ceiling::Unlimited)
}

const NO_SCOPE: &str = "no token with scopes covers this";

/// An act on a repository, as a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct RepositoryAct {
    act: ActKind,
    /// The kind of repository that it is done to; `None` for one of any kind.
    on: Option<RepositoryKind>,
}

impl RepositoryAct {
    /// The act `A`.
    pub(super) const fn of<A: Act>() -> Self {
        let (act, on) = (A::KIND, A::ON);
        Self { act, on }
    }
}

/// Decides whether `actor` may do an act to the repository `name`; the error is the answer to give.
pub(super) fn judge(
    actor: &Actor,
    RepositoryAct { act, on }: RepositoryAct,
    name: &RepositoryName,
    facts: &RepositoryFacts,
    settings: &Settings,
) -> Result<()> {
    let rule = act.rule();
    let allowed = AllowedActions::of(actor, facts, settings);
    let makes = allowed.creates && act == ActKind::Push;
    let holds = match rule.needs {
        Requirement::Role(role) => allowed.role >= Some(role),
        Requirement::NamespaceRole(_) | Requirement::Oneself | Requirement::Superuser => false,
    };
    let case = AccessCase {
        allowed: makes || holds,
        // A refused push says nothing about existence: a hidden repository and a missing one both
        // end in the same refusal.
        visible: allowed.role.is_some() || act == ActKind::Push,
        covered: rule
            .action
            .is_none_or(|action| actor.ceiling.admits(name, action)),
    };
    let refusals = RefusalReasons {
        hidden: &|| Error::new(Reason::Hidden, "no such repository"),
        forbidden: if allowed.role.is_some() {
            "not allowed on this repository"
        } else {
            "not allowed to push to this repository"
        },
        uncovered: "the token does not cover this; ask for one with the scope that is named",
    };
    decide(actor, &case, &refusals)?;
    let Some(repository) = &facts.repository else {
        return Ok(());
    };
    if let Some(kind) = on
        && repository.kind != kind.code()
    {
        let words = format!("no such {} repository", kind.name());
        return Err(Error::new(Reason::NameUnknown, words));
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

/// A namespace with what its caller holds on it.
#[derive(Debug, Clone)]
pub(super) struct NamespaceCase {
    /// The namespace.
    pub(super) facts: NamespaceFacts,
    /// The role that was granted to the caller.
    pub(super) granted: Option<NamespaceRole>,
}

/// Decides whether `actor` may do `act` to the namespace `name`, if there is one. Errors: the
/// answer to give; `NotFound` for one who might, were it there.
pub(super) fn judge_namespace<'f>(
    actor: &Actor,
    act: ActKind,
    name: &str,
    found: Option<&'f NamespaceCase>,
) -> Result<&'f NamespaceFacts> {
    let facts = found.map(|found| &found.facts);
    let granted = found.and_then(|found| found.granted);
    let role = role_in(actor, facts, granted);
    let case = AccessCase {
        allowed: match act.rule().needs {
            Requirement::NamespaceRole(needed) => role >= Some(needed),
            Requirement::Role(_) | Requirement::Oneself | Requirement::Superuser => false,
        },
        visible: role.is_some(),
        covered: is_unlimited(actor),
    };
    let missing = |reason| Error::new(reason, format!("no namespace is called {name}"));
    let refusals = RefusalReasons {
        hidden: &|| missing(Reason::Hidden),
        forbidden: "not allowed on this namespace",
        uncovered: NO_SCOPE,
    };
    decide(actor, &case, &refusals)?;
    facts.ok_or_else(|| missing(Reason::NotFound))
}

/// Decides whether `actor` may do `act` to the user `name`, whose id is `found` if there is one.
/// Errors: the answer to give; `NotFound` for one who might, were it there.
pub(super) fn judge_user(
    actor: &Actor,
    act: ActKind,
    name: &str,
    found: Option<PrincipalId>,
) -> Result<PrincipalId> {
    let oneself = found.is_some() && found == actor.principal();
    let visible = oneself || actor.is_superuser();
    let rule = act.rule();
    let case = AccessCase {
        allowed: match rule.needs {
            Requirement::Oneself => visible,
            Requirement::Superuser => rule.target == ActTarget::User && actor.is_superuser(),
            Requirement::Role(_) | Requirement::NamespaceRole(_) => false,
        },
        visible,
        covered: is_unlimited(actor),
    };
    let refusals = RefusalReasons {
        hidden: &|| no_user(Reason::Hidden, name),
        forbidden: "not allowed on this user",
        uncovered: NO_SCOPE,
    };
    decide(actor, &case, &refusals)?;
    found.ok_or_else(|| no_user(Reason::NotFound, name))
}

/// The answer where no user has this name.
pub(super) fn no_user(reason: Reason, name: &str) -> Error {
    Error::new(reason, format!("no user is called {name}"))
}

/// Decides whether `actor` may do `act` to the installation. That it exists is no secret.
pub(super) fn judge_installation(actor: &Actor, act: ActKind) -> Result<()> {
    let rule = act.rule();
    let case = AccessCase {
        allowed: match rule.needs {
            Requirement::Superuser => {
                rule.target == ActTarget::Installation && actor.is_superuser()
            }
            Requirement::Role(_) | Requirement::NamespaceRole(_) | Requirement::Oneself => false,
        },
        visible: true,
        covered: is_unlimited(actor),
    };
    let refusals = RefusalReasons {
        hidden: &|| Error::new(Reason::Hidden, "not found"),
        forbidden: "only an administrator of the installation may do this",
        uncovered: NO_SCOPE,
    };
    decide(actor, &case, &refusals)
}

#[cfg(test)]
mod tests;
