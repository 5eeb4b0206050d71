//! Refresh tokens as the operator sees and ends them.

use seawall_kernel::Op;
use seawall_kernel::catalog::principals;
use seawall_kernel::events::{Event, EventKind};
use seawall_meta::{Row, args};
use seawall_types::time::{Millis, as_text, as_text_if_any};
use seawall_types::{CredentialId, Error, NamespaceName, Reason, Result};
use serde::Serialize;

use super::Directory;
use crate::credentials::{self, store};
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
    /// The refresh tokens of a user that are good now, the oldest first. Errors: `NotFound`.
    pub async fn list_refresh_tokens(
        &self,
        op: &Op,
        name: &NamespaceName,
    ) -> Result<Vec<RefreshToken>> {
        op.transaction(name.clone(), |tx, _op, name| {
            Box::pin(async move {
                let id = principals::find_user(tx, name.as_str()).await?;
                let arguments = args![id, store::REFRESH, MOST];
                let rows = tx.all(&store::USABLE_LIST, arguments).await?;
                rows.iter().map(RefreshToken::read).collect()
            })
        })
        .await
    }

    /// Ends one refresh token of a user, or all of them, and every token that was got by them.
    /// Errors: `NotFound` for a user or a token that is not there.
    pub async fn revoke_refresh_tokens(
        &self,
        op: &Op,
        name: &NamespaceName,
        which: Option<CredentialId>,
    ) -> Result<()> {
        op.transaction((name.clone(), which), |tx, op, (name, which)| {
            Box::pin(async move {
                let id = principals::find_user(tx, name.as_str()).await?;
                // This locks the principal, so that no refresh token is made in between.
                principals::alter(tx, id, *which).await?;
                if let Some(one) = which {
                    let arguments = args![id, store::REFRESH, *one];
                    if tx.execute(&store::REVOKE_ONE, arguments).await? == 0 {
                        let words = format!("{name} has no refresh token {one}");
                        return Err(Error::new(Reason::NotFound, words));
                    }
                } else {
                    credentials::revoke_refresh(tx, id).await?;
                }
                let detail = serde_json::json!({ "user": name.as_str(), "credential": which });
                op.emit(
                    tx,
                    Event::new(EventKind::RefreshTokensRevoked).detail(detail),
                )
                .await
            })
        })
        .await
    }
}
