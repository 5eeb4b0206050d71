//! Refresh tokens as the operator sees and ends them.

use seawall_kernel::auth::ManageCredentials;
use seawall_kernel::catalog::principals;
use seawall_kernel::events::Event;
use seawall_kernel::{Op, User};
use seawall_meta::{Row, args};
use seawall_types::time::{Millis, as_text, as_text_if_any};
use seawall_types::{CredentialId, Error, Reason, Result};
use serde::Serialize;

use super::Directory;
use crate::credentials::{self, store};
use crate::events::RefreshTokensRevoked;
use crate::tokens::refresh::MOST;

/// A refresh token as the command line lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefreshToken {
    /// Its id; never reused.
    pub id: CredentialId,
    /// What the program called itself that asked for it.
    pub client: Option<String>,
    /// When it was given out.
    #[serde(serialize_with = "as_text")]
    pub created_at: Millis,
    /// When it ends.
    #[serde(serialize_with = "as_text")]
    pub expires_at: Millis,
    /// When it was used last, to the day; never, perhaps.
    #[serde(serialize_with = "as_text_if_any")]
    pub last_used_at: Option<Millis>,
}

impl RefreshToken {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.id(0)?,
            client: row.opt_string(1)?,
            created_at: row.millis(2)?,
            expires_at: row.millis(3)?,
            last_used_at: row.opt_millis(4)?,
        })
    }
}

impl Directory {
    /// The refresh tokens of a user that are good now, the oldest first.
    pub async fn list_refresh_tokens(
        &self,
        op: &Op,
        user: &User<ManageCredentials>,
    ) -> Result<Vec<RefreshToken>> {
        let arguments = args![user.id(), store::REFRESH, MOST];
        let rows = op.sql().all(&store::USABLE_LIST, arguments).await?;
        rows.iter().map(RefreshToken::read).collect()
    }

    /// Ends one refresh token of a user, or all of them, and every token that was got by them.
    /// Errors: `NotFound` for a token that is not there; those of [`User::enter`].
    pub async fn revoke_refresh_tokens(
        &self,
        op: &Op,
        user: &User<ManageCredentials>,
        which: Option<CredentialId>,
    ) -> Result<()> {
        op.transaction((user.clone(), which), |tx, op, (user, which)| {
            Box::pin(async move {
                // This locks the principal, so that no refresh token is made in between.
                user.enter(tx, op).await?;
                let (id, name) = (user.id(), user.name());
                principals::alter(tx, user, *which).await?;
                if let Some(one) = which {
                    let arguments = args![id, store::REFRESH, *one];
                    if tx.execute(&store::REVOKE_ONE, arguments).await? == 0 {
                        let words = format!("{name} has no refresh token {one}");
                        return Err(Error::new(Reason::NotFound, words));
                    }
                } else {
                    credentials::revoke_refresh(tx, id).await?;
                }
                let payload = RefreshTokensRevoked {
                    user: name.as_str().to_owned(),
                    credential: which.map(CredentialId::get),
                };
                op.emit(tx, Event::new(&payload)?).await
            })
        })
        .await
    }
}
