//! Who asks: the `Authorization` header turned into an actor, by one read or none.

use std::sync::Arc;

use futures::future::BoxFuture;
use http::{HeaderMap, header};
use seawall_kernel::auth::{CredentialKind, Identity, Verifier};
use seawall_kernel::{Actor, Ceiling, Op, Who};
use seawall_types::basic::{Credentials, CredentialsError};
use seawall_types::{Error, NamespaceName, Reason, Result, Secret};

use crate::credentials;
use crate::directory::Directory;
use crate::passwords::{Claim, Stored};
use crate::tokens;

impl Verifier for Directory {
    fn verify<'a>(&'a self, op: &'a Op, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Actor>> {
        Box::pin(async move {
            match claimed(headers)? {
                Credentials::Anonymous => Ok(Actor::anonymous()),
                Credentials::Basic { user, password } => {
                    let identity = Box::pin(self.log_in(op, &user, &password)).await?;
                    Ok(known(identity, Ceiling::Unlimited))
                }
                Credentials::Bearer(token) => self.bearer(op, &token).await,
            }
        })
    }
}

impl Directory {
    /// Who `user` is, if that is their password. Errors: `Unauthenticated`, `TooMany`.
    ///
    /// An unknown name, a wrong password and a disabled user get the same answer in the same time.
    pub(crate) async fn log_in(&self, op: &Op, user: &str, password: &Secret) -> Result<Identity> {
        let standing = match NamespaceName::parse(user) {
            Ok(name) => credentials::by_name(op, self.known(), name.as_str()).await?,
            Err(_) => None,
        };
        let phc = standing.as_ref().and_then(|standing| {
            let phc = std::str::from_utf8(&standing.secret).ok()?;
            Some(Stored {
                principal: standing.principal(),
                phc,
            })
        });
        let claim = Claim {
            name: user,
            password,
            stored: phc,
        };
        let right = self.passwords().is_right(op, claim).await?;
        standing
            .filter(|standing| right && standing.holds(op.now()))
            .map(|standing| standing.identity(CredentialKind::Password))
            .ok_or_else(|| Error::new(Reason::Unauthenticated, "wrong user name or password"))
    }

    async fn bearer(&self, op: &Op, token: &Secret) -> Result<Actor> {
        let verified = self.tokens().verify(op, token).await?;
        let ceiling = Ceiling::Scopes(Arc::clone(&verified.access));
        let Some((principal, credential)) = verified.subject else {
            return Ok(Actor {
                who: Who::Anonymous,
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
        who: Who::Principal(Arc::new(identity)),
        ceiling,
    }
}

/// What the request claims. Errors: `Unauthenticated` for anything that is no credentials of ours,
/// `InvalidToken` for a token that is no token.
fn claimed(headers: &HeaderMap) -> Result<Credentials> {
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
    Credentials::parse(text).map_err(|error| match error {
        CredentialsError::Scheme => refusal("only Basic and Bearer authorization are understood"),
        _ if is_bearer(text) => tokens::refusal(),
        _ => refusal("the authorization header is malformed"),
    })
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
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        claimed(&headers).err().map(|error| error.reason)
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
