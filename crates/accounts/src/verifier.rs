//! The verifier: turns the `Authorization` header into an actor, with one read or none.

use std::sync::Arc;

use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use seawall_kernel::auth::{CredentialKind, Identity, IdentitySource, RequestedAccess, Verifier};
use seawall_kernel::{Actor, ActorIdentity, Ceiling, Op};
use seawall_meta::Tx;
use seawall_types::basic::{Credentials, CredentialsError};
use seawall_types::time::Millis;
use seawall_types::{Error, NamespaceName, Reason, Result, Secret};

use crate::challenge;
use crate::credentials;
use crate::directory::Directory;
use crate::passwords::{self, PasswordClaim, StoredPassword};
use crate::tokens;

impl Verifier for Directory {
    fn verify<'a>(&'a self, op: &'a Op, head: &'a Parts) -> BoxFuture<'a, Result<Actor>> {
        Box::pin(async move {
            let reads = matches!(head.method, Method::GET | Method::HEAD);
            match claimed(&head.headers, reads)? {
                Credentials::Anonymous => Ok(Actor::anonymous()),
                Credentials::Basic { user, password } => {
                    let identity = Box::pin(self.log_in(op, &user, &password)).await?;
                    Ok(known(identity, Ceiling::Unlimited))
                }
                Credentials::Bearer(token) => self.bearer(op, &token).await,
            }
        })
    }

    fn challenge(&self, op: &Op, wanted: &RequestedAccess, reason: Reason) -> Option<String> {
        Some(challenge::bearer(op, wanted, reason))
    }
}

impl IdentitySource for Directory {
    fn renew<'a>(
        &'a self,
        tx: &'a mut Tx,
        identity: &'a Identity,
        now: Millis,
    ) -> BoxFuture<'a, Result<Identity>> {
        Box::pin(async move {
            let kind = identity.credential_kind;
            let whose = (identity.id, identity.credential);
            let refusal = || match kind {
                CredentialKind::Token => tokens::refusal(),
                CredentialKind::Password | CredentialKind::Refresh => wrong(),
            };
            credentials::standing_in(tx, whose)
                .await?
                .filter(|standing| standing.holds(now))
                .map(|standing| standing.identity(kind))
                .ok_or_else(refusal)
        })
    }
}

fn wrong() -> Error {
    Error::new(Reason::Unauthenticated, "wrong user name or password")
}

impl Directory {
    /// Who `user` is, if that is their password. Errors: `Unauthenticated`, `TooMany`.
    ///
    /// An unknown name, a wrong password and a disabled user get the same answer in the same time.
    pub(crate) async fn log_in(&self, op: &Op, user: &str, password: &Secret) -> Result<Identity> {
        let wrong = || Error::new(Reason::Unauthenticated, "wrong user name or password");
        // Before the name is looked up, so that the answer says nothing of it, nor does its cost.
        if !passwords::is_fit(password) {
            return Err(wrong());
        }
        let standing = match NamespaceName::parse(user) {
            Ok(name) => credentials::by_name(op, self.known(), name.as_str()).await?,
            Err(_) => None,
        };
        let phc = standing.as_ref().and_then(|standing| {
            let phc = std::str::from_utf8(&standing.secret).ok()?;
            Some(StoredPassword {
                principal: standing.principal(),
                phc,
            })
        });
        let claim = PasswordClaim {
            name: user,
            password,
            stored: phc,
        };
        let right = self.passwords().is_right(op, claim).await?;
        standing
            .filter(|standing| right && standing.holds(op.now()))
            .map(|standing| standing.identity(CredentialKind::Password))
            .ok_or_else(wrong)
    }

    async fn bearer(&self, op: &Op, token: &Secret) -> Result<Actor> {
        let verified = self.tokens().verify(op, token).await?;
        let ceiling = Ceiling::Scopes(Arc::clone(&verified.access));
        let Some((principal, credential)) = verified.subject else {
            return Ok(Actor {
                who: ActorIdentity::Anonymous,
                ceiling,
            });
        };
        let whose = (principal, credential);
        credentials::standing(op, self.known(), whose)
            .await?
            .filter(|standing| standing.holds(op.now()))
            .map(|standing| known(standing.identity(CredentialKind::Token), ceiling))
            .ok_or_else(tokens::refusal)
    }
}

pub(crate) fn known(identity: Identity, ceiling: Ceiling) -> Actor {
    Actor {
        who: ActorIdentity::Principal(Arc::new(identity)),
        ceiling,
    }
}

/// What the request claims. A token that cannot be one of ours counts as none where nothing but
/// reading is asked for: some clients bring one that was made up (Homebrew's is `QQ==`), and what
/// is public is theirs to read.
///
/// Errors: `Unauthenticated` for anything that is no credentials of ours, `InvalidToken` for a
/// token that is no token.
fn claimed(headers: &HeaderMap, reads: bool) -> Result<Credentials> {
    let refusal = |words| Error::new(Reason::Unauthenticated, words);
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        return Ok(Credentials::Anonymous);
    };
    if given.next().is_some() {
        return Err(refusal("more than one authorization header"));
    }
    let text = value
        .to_str()
        .map_err(|_| refusal("the authorization header is malformed"))?;
    match Credentials::parse(text) {
        Ok(Credentials::Bearer(token)) if !tokens::may_be(token.expose()) && reads => {
            Ok(Credentials::Anonymous)
        }
        Ok(credentials) => Ok(credentials),
        Err(CredentialsError::Scheme) => Err(refusal(
            "only Basic and Bearer authorization are understood",
        )),
        Err(_) if is_bearer(text) && reads => Ok(Credentials::Anonymous),
        Err(_) if is_bearer(text) => Err(tokens::refusal()),
        Err(_) => Err(refusal("the authorization header is malformed")),
    }
}

fn is_bearer(text: &str) -> bool {
    let scheme = text.trim_start().split(' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("bearer")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn reason(values: &[&'static str]) -> Option<Reason> {
        said(values, false).err().map(|error| error.reason)
    }

    fn said(values: &[&'static str], reads: bool) -> Result<Credentials> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        claimed(&headers, reads)
    }

    #[test]
    fn what_cannot_be_a_token_is_none_to_who_only_reads() {
        for odd in [
            "Bearer QQ==",
            "Bearer",
            "Bearer ",
            "bearer a b",
            "Bearer a.b",
        ] {
            let read = said(&[odd], true);
            assert!(matches!(read, Ok(Credentials::Anonymous)), "{odd}");
            assert!(
                !matches!(said(&[odd], false), Ok(Credentials::Anonymous)),
                "{odd}"
            );
        }
        let whole = said(&["Bearer a.b.c"], true);
        assert!(matches!(whole, Ok(Credentials::Bearer(_))));
        assert!(said(&["Basic !"], true).is_err());
        assert!(said(&["Digest x"], true).is_err());
    }

    #[test]
    fn what_is_no_credentials_is_refused_by_its_kind() {
        assert_eq!(reason(&[]), None);
        assert_eq!(reason(&["Basic Og=="]), None);
        assert_eq!(reason(&["Bearer abc"]), None);
        assert_eq!(reason(&["Digest x"]), Some(Reason::Unauthenticated));
        assert_eq!(reason(&["Basic !"]), Some(Reason::Unauthenticated));
        assert_eq!(reason(&["bearer a b"]), Some(Reason::InvalidToken));
        assert_eq!(reason(&["Bearer"]), Some(Reason::InvalidToken));
        assert_eq!(
            reason(&["Bearer a", "Bearer a"]),
            Some(Reason::Unauthenticated)
        );
    }
}
