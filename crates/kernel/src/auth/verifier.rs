//! The verifier: turns what a request's head brings into an actor.

use futures::future::BoxFuture;
use http::request::Parts;
use seawall_types::name::RepositoryName;
use seawall_types::{Reason, Result};

use super::act::ActKind;
use super::actor::{Actor, IdentitySource};
use crate::op::Op;

/// What a refused request wanted, from which the challenge for better credentials is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedAccess {
    /// To be known.
    Identity,
    /// An act on this repository.
    Repository(RepositoryName, ActKind),
    /// The catalog.
    Catalog,
}

/// Turns a request's credentials into an actor. `accounts` brings the one implementation.
pub trait Verifier: IdentitySource {
    /// Reads `Authorization` in a request's head; a request without it is anonymous, and so is one
    /// that only reads, if what it brings cannot be a token of this installation.
    ///
    /// Errors: `Unauthenticated` for a wrong password or an unknown scheme, `InvalidToken` for a
    /// token that is not ours, has expired, or whose principal or credential is no more.
    fn verify<'a>(&'a self, op: &'a Op, head: &'a Parts) -> BoxFuture<'a, Result<Actor>>;

    /// The challenge that tells a client how to come back with credentials for what it `wanted`,
    /// after a refusal for `reason`; nothing if there is no such way.
    fn challenge(&self, _op: &Op, _wanted: &RequestedAccess, _reason: Reason) -> Option<String> {
        None
    }
}
