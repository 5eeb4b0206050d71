//! Users as the operator makes and changes them.

use seawall_kernel::Op;
use seawall_kernel::catalog::principals::{self, User};
use seawall_kernel::events::{Event, EventKind};
use seawall_types::name::DEFAULT_NAMESPACE;
use seawall_types::{Error, NamespaceName, Reason, Result, Secret};

use super::Directory;
use super::admin::ADMIN;
use crate::credentials;
use crate::passwords::generate;

/// Names that would make a user what they are not: the owner of every name of one part, or something
/// of the server's own. An organization may still be called so, which the operator alone makes.
const RESERVED: [&str; 13] = [
    ADMIN,
    "api",
    "auth",
    "health",
    DEFAULT_NAMESPACE,
    "login",
    "logout",
    "metrics",
    "seawall",
    "static",
    "token",
    "v1",
    "v2",
];

impl Directory {
    /// Makes a user and its namespace. Returns the password if none was given.
    ///
    /// Errors: `Conflict` if the name is taken or kept for other things, of which `admin` is an
    /// administrator; `BadRequest` for a password that has not 1 to 1024
    /// bytes.
    pub async fn create_user(
        &self,
        op: &Op,
        name: &NamespaceName,
        password: Option<Secret>,
        superuser: bool,
    ) -> Result<Option<Secret>> {
        if RESERVED.contains(&name.as_str()) && !(superuser && name.as_str() == ADMIN) {
            let words = format!("the name {name} is kept for other things than a user");
            return Err(Error::new(Reason::Conflict, words));
        }
        let (password, generated) = choose(op, password);
        let phc = self.passwords().hash(op, &password).await?;
        op.transaction(
            (name.clone(), phc, superuser),
            |tx, op, (name, phc, superuser)| {
                Box::pin(async move {
                    let id = principals::create_user(tx, op, name, *superuser).await?;
                    credentials::replace_password(tx, id, phc).await
                })
            },
        )
        .await?;
        Ok(generated)
    }

    /// Sets a user's password. The old one, every refresh token and every token of either ceases to
    /// be good. Returns the password if none was given.
    ///
    /// Errors: `NotFound`; `BadRequest` for a password that has not 1 to 1024 bytes.
    pub async fn set_password(
        &self,
        op: &Op,
        name: &NamespaceName,
        password: Option<Secret>,
    ) -> Result<Option<Secret>> {
        let (password, generated) = choose(op, password);
        let phc = self.passwords().hash(op, &password).await?;
        op.transaction((name.clone(), phc), |tx, op, (name, phc)| {
            Box::pin(async move {
                let id = principals::find_user(tx, name.as_str()).await?;
                credentials::replace_password(tx, id, phc).await?;
                let detail = serde_json::json!({ "user": name.as_str() });
                op.emit(tx, Event::new(EventKind::PasswordChanged).detail(detail))
                    .await
            })
        })
        .await?;
        Ok(generated)
    }

    /// Lets a user log in, or not any more. Disabling ends every refresh token for good, and every
    /// token while it lasts. Errors: `NotFound`.
    pub async fn set_enabled(&self, op: &Op, name: &NamespaceName, enabled: bool) -> Result<()> {
        op.transaction((name.clone(), enabled), |tx, op, (name, enabled)| {
            Box::pin(async move {
                let id = principals::find_user(tx, name.as_str()).await?;
                // This locks the principal, so that no refresh token is made in between.
                principals::set_enabled(tx, op, name.as_str(), *enabled).await?;
                if !enabled {
                    credentials::revoke_refresh(tx, id).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Deletes a user with its namespace and everything in it; the name is free at once.
    /// Errors: `NotFound`.
    pub async fn delete_user(&self, op: &Op, name: &NamespaceName) -> Result<()> {
        op.transaction(name.clone(), |tx, op, name| {
            Box::pin(async move {
                let id = principals::find_user(tx, name.as_str()).await?;
                principals::delete_user(tx, op, name.as_str()).await?;
                credentials::revoke_all(tx, id).await
            })
        })
        .await
    }

    /// All users, by name.
    pub async fn list_users(&self, op: &Op) -> Result<Vec<User>> {
        principals::list_users(op).await
    }
}

/// The password to set, and once more if it was not given but made here.
pub(super) fn choose(op: &Op, given: Option<Secret>) -> (Secret, Option<Secret>) {
    if let Some(password) = given {
        (password, None)
    } else {
        let password = generate(op.kernel().random());
        (password.clone(), Some(password))
    }
}
