//! Authorization: the actor, the acts, and one table that says what each act
//! needs.
//!
//! A token is never proof: what may be done is its ceiling met with the permission as it stands
//! now. Nothing here looks anything up; [`crate::catalog`] brings the facts.

mod act;
mod actor;
mod verifier;

pub use act::{
    Act, ActKind, ActRule, ActTarget, Administer, CreateRepository, Delete, Describe, ExistingAct,
    Inspect, InstallationAct, ManageCredentials, NamespaceAct, Pull, Push, Requirement, StaticKind,
    UserAct, View,
};
pub use actor::{Actor, ActorIdentity, Ceiling, CredentialKind, Identity, IdentitySource};
pub use verifier::{RequestedAccess, Verifier};
