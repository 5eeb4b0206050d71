//! The actor of an operation: principal, credential, ceiling.

use std::sync::Arc;

use futures::future::BoxFuture;
use seawall_meta::Tx;
use seawall_types::Result;
use seawall_types::ids::{CredentialId, PrincipalId};
use seawall_types::name::RepositoryName;
use seawall_types::permission::PrincipalKind;
use seawall_types::scope::{Action, Scopes};
use seawall_types::time::Millis;

/// What kind of credential proved a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A password, sent as HTTP Basic.
    Password,
    /// A short-lived bearer token.
    Token,
    /// A refresh token, exchanged at the token service.
    Refresh,
}

impl CredentialKind {
    /// The word for logs and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token => "token",
            Self::Refresh => "refresh_token",
        }
    }
}

/// A principal as a credential proved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The principal's id; never reused.
    pub id: PrincipalId,
    /// Its name at this moment.
    pub name: Arc<str>,
    /// User, robot or team.
    pub kind: PrincipalKind,
    /// Administrators of the installation may do everything.
    pub superuser: bool,
    /// Counted up by every change of it and by the end of any of its credentials.
    pub generation: i64,
    /// The credential that proved it.
    pub credential: CredentialId,
    /// What kind of credential that was.
    pub credential_kind: CredentialKind,
}

/// Who acts.
#[derive(Debug, Clone)]
pub enum ActorIdentity {
    /// An anonymous caller.
    Anonymous,
    /// A principal with a credential.
    Principal(Arc<Identity>),
    /// The operator: the command line on the machine itself, and the kernel's own jobs.
    Operator,
}

/// How much of its subject's permission a credential lets through.
#[derive(Debug, Clone)]
pub enum Ceiling {
    /// All of it.
    Unlimited,
    /// Only what the scopes name.
    Scopes(Arc<Scopes>),
}

impl Ceiling {
    /// Whether `action` on `name` is under the ceiling.
    pub fn admits(&self, name: &RepositoryName, action: Action) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Scopes(scopes) => scopes.allow(name, action),
        }
    }

    /// Whether the catalog may be listed under the ceiling (scope `registry:catalog:*`).
    pub fn admits_catalog(&self) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Scopes(scopes) => scopes.allow_catalog(),
        }
    }
}

/// Who acts, under which ceiling.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Who acts.
    pub who: ActorIdentity,
    /// How much of their permission counts.
    pub ceiling: Ceiling,
}

impl Actor {
    /// An anonymous caller without a token.
    pub const fn anonymous() -> Self {
        Self {
            who: ActorIdentity::Anonymous,
            ceiling: Ceiling::Unlimited,
        }
    }

    /// The operator of this machine.
    pub const fn operator() -> Self {
        Self {
            who: ActorIdentity::Operator,
            ceiling: Ceiling::Unlimited,
        }
    }

    /// The principal, if one acts.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        match &self.who {
            ActorIdentity::Principal(identity) => Some(identity),
            ActorIdentity::Anonymous | ActorIdentity::Operator => None,
        }
    }

    /// The principal's id, if one acts.
    pub fn principal(&self) -> Option<PrincipalId> {
        self.identity().map(|identity| identity.id)
    }

    /// Whether the caller is anonymous.
    pub fn is_anonymous(&self) -> bool {
        matches!(self.who, ActorIdentity::Anonymous)
    }

    /// Whether this actor may do everything (its ceiling aside).
    pub fn is_superuser(&self) -> bool {
        match &self.who {
            ActorIdentity::Operator => true,
            ActorIdentity::Principal(identity) => identity.superuser,
            ActorIdentity::Anonymous => false,
        }
    }

    /// The name for logs and events.
    pub fn name(&self) -> &str {
        match &self.who {
            ActorIdentity::Anonymous => "anonymous",
            ActorIdentity::Operator => "operator",
            ActorIdentity::Principal(identity) => &identity.name,
        }
    }
}

/// Says who an identity is now that was proved before.
pub trait IdentitySource: Send + Sync + 'static {
    /// The identity at `now` (the database's time), as `tx` reads it.
    ///
    /// Errors: `Unauthenticated` or `InvalidToken`, if the principal or the credential has ended.
    fn renew<'a>(
        &'a self,
        tx: &'a mut Tx,
        identity: &'a Identity,
        now: Millis,
    ) -> BoxFuture<'a, Result<Identity>>;
}
