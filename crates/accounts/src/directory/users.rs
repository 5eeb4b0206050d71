//! Users as they are made and changed.

use seawall_kernel::auth::{Administer, Inspect, ManageCredentials};
use seawall_kernel::catalog::principals::{self, UserSummary};
use seawall_kernel::events::Event;
use seawall_kernel::{Installation, Op, User};
use seawall_types::name::DEFAULT_NAMESPACE;
use seawall_types::{Error, NamespaceName, Reason, Result, Secret};

use super::Directory;
use super::admin::ADMIN;
use crate::credentials;
use crate::events::PasswordChanged;
use crate::passwords::provided_or_generated;

/// Names that would make a user what they are not: the owner of every name of one part, or
/// something of the server's own. An organization may still be called so, which the operator alone
/// makes.
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

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name, which is its namespace's, too.
    pub name: NamespaceName,
    /// The password; one is made if none is given.
    pub password: Option<Secret>,
    /// Whether the user administers the installation.
    pub superuser: bool,
}

impl Directory {
    /// Makes a user and its namespace. Returns the password if none was given.
    ///
    /// Errors: `Conflict` if the name is taken or kept for other things, of which `admin` is an
    /// administrator; `BadRequest` for a password that has not 1 to 1024
    /// bytes.
    pub async fn create_user(
        &self,
        op: &Op,
        installation: &Installation<Administer>,
        user: NewUser,
    ) -> Result<Option<Secret>> {
        let NewUser {
            name,
            password,
            superuser,
        } = user;
        if RESERVED.contains(&name.as_str()) && !(superuser && name.as_str() == ADMIN) {
            let words = format!("the name {name} is reserved");
            return Err(Error::new(Reason::Conflict, words));
        }
        let (password, generated) = provided_or_generated(password, op.kernel().random());
        let phc = self.passwords().hash(op, &password).await?;
        let input = (installation.clone(), name, superuser, phc);
        op.transaction(input, |tx, op, (installation, name, superuser, phc)| {
            Box::pin(async move {
                let made = principals::create_user(tx, op, installation, name, *superuser);
                let user = made.await?;
                credentials::replace_password(tx, &user, phc).await
            })
        })
        .await?;
        Ok(generated)
    }

    /// Sets a user's password. The old one, every refresh token and every token of either ceases to
    /// be good. Returns the password if none was given.
    ///
    /// Errors: `BadRequest` for a password that has not 1 to 1024 bytes; those of [`User::enter`].
    pub async fn set_password(
        &self,
        op: &Op,
        user: &User<ManageCredentials>,
        password: Option<Secret>,
    ) -> Result<Option<Secret>> {
        let (password, generated) = provided_or_generated(password, op.kernel().random());
        let phc = self.passwords().hash(op, &password).await?;
        op.transaction((user.clone(), phc), |tx, op, (user, phc)| {
            Box::pin(async move {
                user.enter(tx, op).await?;
                credentials::replace_password(tx, user, phc).await?;
                let user = user.name().as_str().to_owned();
                op.emit(tx, Event::new(&PasswordChanged { user })?).await
            })
        })
        .await?;
        Ok(generated)
    }

    /// Lets a user log in, or not any more. Disabling ends every refresh token for good, and every
    /// token while it lasts. Errors: those of [`User::enter`].
    pub async fn set_enabled(&self, op: &Op, user: &User<Administer>, enabled: bool) -> Result<()> {
        op.transaction((user.clone(), enabled), |tx, op, (user, enabled)| {
            Box::pin(async move {
                // This locks the principal, so that no refresh token is made in between.
                principals::set_enabled(tx, op, user, *enabled).await?;
                if !enabled {
                    credentials::revoke_refresh(tx, user.id()).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Deletes a user with its namespace and everything in it; the name is free at once.
    /// Errors: those of [`User::enter`].
    pub async fn delete_user(&self, op: &Op, user: &User<Administer>) -> Result<()> {
        op.transaction(user.clone(), |tx, op, user| {
            Box::pin(async move {
                principals::delete_user(tx, op, user).await?;
                credentials::revoke_all(tx, user).await
            })
        })
        .await
    }

    /// All users, by name.
    pub async fn list_users(
        &self,
        op: &Op,
        installation: &Installation<Inspect>,
    ) -> Result<Vec<UserSummary>> {
        principals::list_users(op, installation).await
    }
}
