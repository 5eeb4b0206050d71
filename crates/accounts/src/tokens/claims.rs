//! The claims of a token: the standard's, and three of our own.

use seawall_types::scope::Scopes;
use seawall_types::{CredentialId, PrincipalId};
use serde::{Deserialize, Serialize};

/// The form of the claims. A token of another one is refused, even if it is well signed.
pub(super) const VERSION: u32 = 1;

/// What is signed (protocol §13.5). Times are seconds since 1970.
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    /// The principal's name when it was issued, for people who read it; empty for anonymous in
    /// particular.
    pub(super) sub: String,
    pub(super) aud: String,
    pub(super) exp: i64,
    pub(super) nbf: i64,
    pub(super) iat: i64,
    pub(super) jti: String,
    /// [`VERSION`].
    pub(super) v: u32,
    /// The principal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) pid: Option<PrincipalId>,
    /// The credential that it was issued for, and ends with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) cid: Option<CredentialId>,
    pub(super) access: Scopes,
}
