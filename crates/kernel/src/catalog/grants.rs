//! Grants: what a principal may do beyond its own namespace.
//!
//! On a namespace `creator` and `admin`, on a repository `read`, `write` and `admin`. A grant's
//! change ends what is cached of the principal's permissions there, and counts up the generation
//! that pushes under way compare.

use seawall_meta::args;
use seawall_types::permission::{NamespaceRole, Role};
use seawall_types::{Error, Reason, Result};
use serde::Serialize;

use super::events::GrantChanged;
use super::facts::stored;
use super::namespace::Namespace;
use super::repo::Repo;
use super::{principals, store};
use crate::auth::Administer;
use crate::changes;
use crate::events::Event;
use crate::op::Op;

/// One grant as it is listed.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Grant {
    /// The principal's name.
    pub principal: String,
    /// `read`, `write`, `admin` or `creator`.
    pub role: &'static str,
}

/// Gives `user` a role on a repository, or takes it with `None`.
pub async fn on_repository(
    op: &Op,
    repo: &Repo<Administer>,
    user: &str,
    role: Option<Role>,
) -> Result<()> {
    op.transaction(
        (repo.clone(), user.to_owned(), role),
        |tx, op, (repo, user, role)| {
            Box::pin(async move {
                let principal = principals::find_user(tx, user).await?;
                repo.alter(tx, op).await?;
                let changed = if let Some(role) = role {
                    let arguments = args![repo.id(), principal, role.code()];
                    tx.execute(&store::REPOSITORY_GRANT_SET, arguments).await?;
                    1
                } else {
                    let arguments = args![repo.id(), principal];
                    tx.execute(&store::REPOSITORY_GRANT_REMOVE, arguments)
                        .await?
                };
                if changed == 0 {
                    return Err(no_grant(user));
                }
                let change = changes::change(changes::GRANT, repo.id().get(), principal.get());
                tx.change(change).await?;
                let payload = GrantChanged {
                    user: user.clone(),
                    role: role.map(|role| role.as_str().to_owned()),
                };
                op.emit(tx, Event::new(&payload)?.within(repo)).await
            })
        },
    )
    .await
}

/// Gives `user` a role on a namespace, or takes it with `None`.
pub async fn on_namespace(
    op: &Op,
    namespace: &Namespace<Administer>,
    user: &str,
    role: Option<NamespaceRole>,
) -> Result<()> {
    let input = (namespace.clone(), user.to_owned(), role);
    op.transaction(input, |tx, op, (namespace, user, role)| {
        Box::pin(async move {
            let id = namespace.id();
            let principal = principals::find_user(tx, user).await?;
            namespace.alter(tx, op).await?;
            let changed = match role {
                Some(role) => {
                    let arguments = args![id, principal, role.code()];
                    tx.execute(&store::NAMESPACE_GRANT_SET, arguments).await?;
                    1
                }
                None => {
                    tx.execute(&store::NAMESPACE_GRANT_REMOVE, args![id, principal])
                        .await?
                }
            };
            if changed == 0 {
                return Err(no_grant(user));
            }
            tx.change(changes::change(
                changes::NAMESPACE,
                id.get(),
                principal.get(),
            ))
            .await?;
            let payload = GrantChanged {
                user: user.clone(),
                role: role.map(|role| role.as_str().to_owned()),
            };
            let event = Event::new(&payload)?.namespace(id, namespace.name().as_str());
            op.emit(tx, event).await
        })
    })
    .await
}

/// The grants on a repository, by name.
pub async fn list_on_repository(op: &Op, repo: &Repo<Administer>) -> Result<Vec<Grant>> {
    let rows = op
        .sql()
        .all(&store::REPOSITORY_GRANT_LIST, args![repo.id()])
        .await?;
    rows.iter()
        .map(|row| {
            let role = stored(Role::from_code(row.int(1)?))?.as_str();
            Ok(Grant {
                principal: row.string(0)?,
                role,
            })
        })
        .collect()
}

/// The grants on a namespace, by name.
pub async fn list_on_namespace(op: &Op, namespace: &Namespace<Administer>) -> Result<Vec<Grant>> {
    let rows = op
        .sql()
        .all(&store::NAMESPACE_GRANT_LIST, args![namespace.id()])
        .await?;
    rows.iter()
        .map(|row| {
            let role = stored(NamespaceRole::from_code(row.int(1)?))?.as_str();
            Ok(Grant {
                principal: row.string(0)?,
                role,
            })
        })
        .collect()
}

fn no_grant(user: &str) -> Error {
    Error::new(Reason::NotFound, format!("{user} has no such grant"))
}
