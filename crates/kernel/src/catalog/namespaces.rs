//! Namespaces: each belongs to a user or is an organization.

use seawall_meta::{Tx, args};
use seawall_types::ids::NamespaceId;
use seawall_types::name::NamespaceName;
use seawall_types::permission::NamespaceKind;
use seawall_types::time::{Millis, as_text};
use seawall_types::{Error, Reason, Result};
use serde::{Deserialize, Serialize};

use super::facts::stored;
use super::{repositories, store};
use crate::changes;
use crate::events::{Event, EventKind};
use crate::jobs::{self, Job, Schedule};
use crate::op::Op;

/// A namespace as it is listed.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Namespace {
    /// Its id; never reused.
    pub id: NamespaceId,
    /// Its name.
    pub name: String,
    /// A user's own, or an organization.
    pub kind: NamespaceKind,
    /// The user whose namespace it is.
    pub owner: Option<String>,
    /// When it was made.
    #[serde(serialize_with = "as_text")]
    pub created_at: Millis,
}

/// Makes an organization. Errors: `Conflict` if the name is taken.
pub async fn create_organization(op: &Op, name: &NamespaceName) -> Result<NamespaceId> {
    op.transaction(name.clone(), |tx, op, name| {
        Box::pin(async move {
            let arguments = args![
                name.as_str(),
                NamespaceKind::Organization.code(),
                None::<i64>
            ];
            if tx.execute(&store::NAMESPACE_INSERT, arguments).await? == 0 {
                return Err(Error::new(
                    Reason::Conflict,
                    format!("the name {name} is taken"),
                ));
            }
            let row = tx
                .one(&store::NAMESPACE_BY_NAME, args![name.as_str()])
                .await?;
            let id = NamespaceId::from(row.int(0)?);
            let kind = changes::NAMESPACE_MADE;
            tx.change(changes::named(kind, id.get(), 0, name.as_str()))
                .await?;
            let event = Event::new(EventKind::NamespaceCreated).namespace(id, name.as_str());
            op.emit(tx, event).await?;
            Ok(id)
        })
    })
    .await
}

/// Deletes an organization with everything in it; the name is free at once.
///
/// Errors: `NotFound`; `Conflict` for a user's own namespace, which goes with the user.
pub async fn delete_organization(op: &Op, name: &str) -> Result<()> {
    op.transaction(name.to_owned(), |tx, op, name| {
        Box::pin(async move {
            let row = find(tx, name).await?;
            if row.1 == NamespaceKind::User {
                let words = format!("{name} is a user's own namespace; delete the user instead");
                return Err(Error::new(Reason::Conflict, words));
            }
            delete_in(tx, op, name).await
        })
    })
    .await
}

/// All namespaces, by name.
pub async fn list(op: &Op) -> Result<Vec<Namespace>> {
    let rows = op.sql().all(&store::NAMESPACE_LIST, args![]).await?;
    let mut namespaces = Vec::with_capacity(rows.len());
    for row in rows {
        namespaces.push(Namespace {
            id: row.int(0)?.into(),
            name: row.string(1)?,
            kind: stored(NamespaceKind::from_code(row.int(2)?))?,
            owner: row.opt_string(3)?,
            created_at: row.millis(4)?,
        });
    }
    Ok(namespaces)
}

/// A namespace's id and kind. Errors: `NotFound`.
pub(super) async fn find(tx: &mut Tx, name: &str) -> Result<(NamespaceId, NamespaceKind)> {
    match tx.optional(&store::NAMESPACE_BY_NAME, args![name]).await? {
        Some(row) => Ok((
            row.int(0)?.into(),
            stored(NamespaceKind::from_code(row.int(1)?))?,
        )),
        None => Err(missing(name)),
    }
}

fn missing(name: &str) -> Error {
    let words = format!("no namespace is called {name}");
    Error::new(Reason::NotFound, words)
}

/// Counts up a namespace's generation, as every change of a grant on it must. Errors: `NotFound`.
pub(super) async fn alter(tx: &mut Tx, (id, name): (NamespaceId, &str)) -> Result<()> {
    if tx.execute(&store::NAMESPACE_ALTER, args![id]).await? == 0 {
        return Err(missing(name));
    }
    Ok(())
}

/// Hides a namespace in one update and leaves the rest to a job.
pub(super) async fn delete_in(tx: &mut Tx, op: &Op, name: &str) -> Result<()> {
    let (id, _) = find(tx, name).await?;
    if tx.execute(&store::NAMESPACE_DELETE, args![id]).await? == 0 {
        return Err(missing(name));
    }
    tx.change(changes::named(changes::NAMESPACE, id.get(), 0, name))
        .await?;
    op.emit(
        tx,
        Event::new(EventKind::NamespaceDeleted).namespace(id, name),
    )
    .await?;
    let job = ClearNamespace { namespace: id };
    jobs::enqueue(tx, &job, Schedule::now().once(format!("namespace-{id}"))).await
}

/// Removes what is left of a deleted namespace: its repositories, each by a job of its own, its
/// grants, and at last its row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClearNamespace {
    namespace: NamespaceId,
}

impl Job for ClearNamespace {
    const KIND: &'static str = "namespace.clear";
}

/// Runs [`ClearNamespace`]; says `false` while repositories are left, and wants to run again.
pub async fn clear(op: &Op, job: &ClearNamespace) -> Result<bool> {
    op.transaction(job.namespace, |tx, op, &id| {
        Box::pin(async move {
            let rows = tx.all(&store::NAMESPACE_REPOSITORIES, args![id]).await?;
            for row in &rows {
                if row.opt_text(2)?.is_some() {
                    repositories::delete_in(tx, op, row.int(0)?.into()).await?;
                }
            }
            if rows.is_empty() {
                tx.execute(&store::NAMESPACE_GRANTS_REMOVE, args![id])
                    .await?;
                tx.execute(&store::NAMESPACE_REMOVE, args![id]).await?;
            }
            Ok(rows.is_empty())
        })
    })
    .await
}
