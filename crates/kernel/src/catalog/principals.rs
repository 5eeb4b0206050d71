//! Principals: one id space for users, robots and teams. How they prove themselves is `accounts`'.

use seawall_meta::{Tx, args};
use seawall_types::ids::{CredentialId, NamespaceId, PrincipalId};
use seawall_types::name::NamespaceName;
use seawall_types::permission::AccountState;
use seawall_types::permission::{NamespaceKind, PrincipalKind};
use seawall_types::time::{Millis, as_text};
use seawall_types::{Error, Reason, Result};
use serde::Serialize;

use super::access::no_user;
use super::events::{UserCreated, UserDeleted, UserDisabled, UserEnabled};
use super::installation::Installation;
use super::user::{User, user_id};
use super::{namespaces, pages, store};
use crate::auth::{Administer, Inspect, UserAct};
use crate::changes;
use crate::events::Event;
use crate::op::Op;

/// A user as the command line and the API list it.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct UserSummary {
    /// Its id; never reused.
    pub id: PrincipalId,
    /// Its name, which is its namespace's, too.
    pub name: String,
    /// Whether it administers the installation.
    pub admin: bool,
    /// Whether it may log in.
    pub enabled: bool,
    /// When it was made.
    #[serde(serialize_with = "as_text")]
    pub created_at: Millis,
}

/// Makes a user and its namespace inside `tx`, and opens the user. Errors: `Conflict` if the name
/// is taken; those of [`Installation::enter`].
pub async fn create_user(
    tx: &mut Tx,
    op: &Op,
    installation: &Installation<Administer>,
    name: &NamespaceName,
    superuser: bool,
) -> Result<User<Administer>> {
    installation.enter(tx, op).await?;
    let arguments = args![PrincipalKind::User.code(), name.as_str(), superuser];
    let made = tx.execute(&store::PRINCIPAL_INSERT, arguments).await?;
    let id = PrincipalId::from(
        tx.one(&store::PRINCIPAL_BY_NAME, args![name.as_str()])
            .await?
            .int(0)?,
    );
    let arguments = args![name.as_str(), NamespaceKind::User.code(), id];
    if made == 0 || tx.execute(&store::NAMESPACE_INSERT, arguments).await? == 0 {
        return Err(Error::new(
            Reason::Conflict,
            format!("the name {name} is taken"),
        ));
    }
    let row = tx
        .one(&store::NAMESPACE_BY_NAME, args![name.as_str()])
        .await?;
    let namespace = NamespaceId::from(row.int(0)?);
    let kind = changes::NAMESPACE_MADE;
    tx.change(changes::named(kind, namespace.get(), 0, name.as_str()))
        .await?;
    let event = Event::new(&UserCreated)?.namespace(namespace, name.as_str());
    op.emit(tx, event).await?;
    Ok(User::opened(name.clone(), id))
}

/// The id of the user to whom something is granted. Errors: `NotFound`.
pub(super) async fn find_user(tx: &mut Tx, name: &str) -> Result<PrincipalId> {
    let row = tx.optional(&store::PRINCIPAL_BY_NAME, args![name]).await?;
    let found = row.as_ref().map(user_id).transpose()?.flatten();
    found.ok_or_else(|| no_user(Reason::NotFound, name))
}

/// Announces that a credential of a user has ended, or all of them: counts up its generation,
/// which pushes under way compare, and locks it until `tx` ends.
pub async fn alter<A: UserAct>(
    tx: &mut Tx,
    user: &User<A>,
    ended: Option<CredentialId>,
) -> Result<()> {
    tx.execute(&store::PRINCIPAL_ALTER, args![user.id()])
        .await?;
    let ended = ended.map_or(0, CredentialId::get);
    let change = changes::change(changes::PRINCIPAL, user.id().get(), ended);
    Ok(tx.change(change).await?)
}

/// Lets a user log in, or not any more. Tokens given out already stop working, too.
pub async fn set_enabled(
    tx: &mut Tx,
    op: &Op,
    user: &User<Administer>,
    enabled: bool,
) -> Result<()> {
    user.enter(tx, op).await?;
    let (id, name) = (user.id(), user.name().as_str());
    let state = if enabled {
        AccountState::Active.code()
    } else {
        AccountState::Disabled.code()
    };
    tx.execute(&store::PRINCIPAL_SET_STATE, args![id, state])
        .await?;
    tx.change(changes::change(changes::PRINCIPAL, id.get(), 0))
        .await?;
    let user = name.to_owned();
    let event = if enabled {
        Event::new(&UserEnabled { user })?
    } else {
        Event::new(&UserDisabled { user })?
    };
    op.emit(tx, event).await
}

/// Deletes a user with its namespace and everything in it; the name is free at once.
pub async fn delete_user(tx: &mut Tx, op: &Op, user: &User<Administer>) -> Result<()> {
    user.enter(tx, op).await?;
    let (id, name) = (user.id(), user.name().as_str());
    namespaces::hide_own(tx, op, name).await?;
    tx.execute(&store::PRINCIPAL_NAMESPACE_GRANTS_REMOVE, args![id])
        .await?;
    tx.execute(&store::PRINCIPAL_REPOSITORY_GRANTS_REMOVE, args![id])
        .await?;
    tx.execute(&store::PRINCIPAL_DELETE, args![id]).await?;
    tx.change(changes::change(changes::PRINCIPAL, id.get(), 0))
        .await?;
    let user = name.to_owned();
    op.emit(tx, Event::new(&UserDeleted { user })?).await
}

/// All users, by name.
pub async fn list_users(
    op: &Op,
    _installation: &Installation<Inspect>,
) -> Result<Vec<UserSummary>> {
    let rows = pages::all(op, &store::USER_LIST).await?;
    let mut users = Vec::with_capacity(rows.len());
    for row in rows {
        users.push(UserSummary {
            id: row.int(0)?.into(),
            name: row.string(1)?,
            admin: row.bool(2)?,
            enabled: row.int(3)? == AccountState::Active.code(),
            created_at: row.millis(4)?,
        });
    }
    users.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(users)
}
