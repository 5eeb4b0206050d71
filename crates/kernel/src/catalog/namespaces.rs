//! Namespaces: each belongs to a user or is an organization.

use std::time::Duration;

use seawall_meta::{Tx, args};
use seawall_types::ids::NamespaceId;
use seawall_types::name::NamespaceName;
use seawall_types::permission::NamespaceKind;
use seawall_types::time::{Millis, as_text};
use seawall_types::{Error, Reason, Result};
use serde::{Deserialize, Serialize};

use super::events::{NamespaceCreated, NamespaceDeleted};
use super::facts::stored;
use super::installation::Installation;
use super::namespace::Namespace;
use super::{pages, repositories, store};
use crate::auth::{Administer, Inspect};
use crate::changes;
use crate::clearing::Clearing;
use crate::events::Event;
use crate::jobs::{self, Job, JobOutcome, Schedule};
use crate::op::Op;

/// So many repositories a transaction hides, with three statements each: on SQLite pushes wait
/// meanwhile.
const HIDDEN_AT_ONCE: u32 = 50;
/// So many grants a transaction removes.
const GRANTS_AT_ONCE: u32 = 500;
/// So many transactions one run makes before other jobs get their turn.
const TURNS: usize = 40;
/// How soon a namespace is looked at again whose repositories are being cleared.
const CLEAR_AGAIN: Duration = Duration::from_secs(2);

/// A namespace as it is listed.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct NamespaceSummary {
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
pub async fn create_organization(
    op: &Op,
    installation: &Installation<Administer>,
    name: &NamespaceName,
) -> Result<NamespaceId> {
    let input = (installation.clone(), name.clone());
    op.transaction(input, |tx, op, (installation, name)| {
        Box::pin(async move {
            installation.enter(tx, op).await?;
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
            let event = Event::new(&NamespaceCreated)?.namespace(id, name.as_str());
            op.emit(tx, event).await?;
            Ok(id)
        })
    })
    .await
}

/// Deletes an organization with everything in it; the name is free at once.
///
/// Errors: `Conflict` for a user's own namespace, which goes with the user.
pub async fn delete_organization(op: &Op, namespace: &Namespace<Administer>) -> Result<()> {
    if namespace.kind() == NamespaceKind::User {
        let name = namespace.name();
        let words = format!("{name} is a user's own namespace; delete the user instead");
        return Err(Error::new(Reason::Conflict, words));
    }
    op.transaction(namespace.clone(), |tx, op, namespace| {
        Box::pin(async move {
            namespace.alter(tx, op).await?;
            hide(tx, op, namespace.id(), namespace.name().as_str()).await
        })
    })
    .await
}

/// All namespaces, by name.
pub async fn list(op: &Op, _installation: &Installation<Inspect>) -> Result<Vec<NamespaceSummary>> {
    let rows = pages::all(op, &store::NAMESPACE_LIST).await?;
    let mut namespaces = Vec::with_capacity(rows.len());
    for row in rows {
        namespaces.push(NamespaceSummary {
            id: row.int(0)?.into(),
            name: row.string(1)?,
            kind: stored(NamespaceKind::from_code(row.int(2)?))?,
            owner: row.opt_string(3)?,
            created_at: row.millis(4)?,
        });
    }
    namespaces.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(namespaces)
}

/// Hides the namespace of a user who is being deleted, inside `tx`. Errors: `NotFound`.
pub(super) async fn hide_own(tx: &mut Tx, op: &Op, name: &str) -> Result<()> {
    let row = tx.optional(&store::NAMESPACE_BY_NAME, args![name]).await?;
    let id = row.ok_or_else(|| missing(name))?.int(0)?.into();
    hide(tx, op, id, name).await
}

fn missing(name: &str) -> Error {
    let words = format!("no namespace is called {name}");
    Error::new(Reason::NotFound, words)
}

/// Hides a namespace in one update and leaves the rest to a job.
async fn hide(tx: &mut Tx, op: &Op, id: NamespaceId, name: &str) -> Result<()> {
    if tx.execute(&store::NAMESPACE_DELETE, args![id]).await? == 0 {
        return Err(missing(name));
    }
    tx.change(changes::change(changes::NAMESPACE, id.get(), 0))
        .await?;
    op.emit(tx, Event::new(&NamespaceDeleted)?.namespace(id, name))
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

/// Runs [`ClearNamespace`]: hides its repositories, some in each transaction, and removes the
/// namespace when the last of them is gone.
///
/// What is hidden has no name any more, so that each step finds those that are left, and a run that
/// finds none left to hide costs two reads, however many wait for jobs of their own.
pub async fn clear(op: &Op, job: &ClearNamespace) -> Result<JobOutcome> {
    for _ in 0..TURNS {
        let step = op.transaction(job.namespace, |tx, op, &id| Box::pin(step(tx, op, id)));
        match step.await? {
            ClearOutcome::Went => {}
            ClearOutcome::Waits => return Ok(JobOutcome::Again(CLEAR_AGAIN)),
            ClearOutcome::Done => return Ok(JobOutcome::Done),
        }
    }
    Ok(JobOutcome::Again(Duration::ZERO))
}

/// What a step of [`clear`] came to.
enum ClearOutcome {
    /// There may be more to do.
    Went,
    /// Repositories are still being cleared.
    Waits,
    /// The namespace is gone.
    Done,
}

async fn step(tx: &mut Tx, op: &Op, id: NamespaceId) -> Result<ClearOutcome> {
    let named = tx.all(&store::NAMESPACE_NAMED, args![id, HIDDEN_AT_ONCE]);
    let named = named.await?;
    for row in &named {
        repositories::delete_in(tx, op, row.int(0)?.into()).await?;
    }
    if !named.is_empty() {
        return Ok(ClearOutcome::Went);
    }
    if tx
        .optional(&store::NAMESPACE_HOLDS, args![id])
        .await?
        .is_some()
    {
        return Ok(ClearOutcome::Waits);
    }
    for clearing in op.kernel().clearings() {
        if let Clearing::Namespace(clear) = clearing
            && clear(tx, id, GRANTS_AT_ONCE).await? > 0
        {
            return Ok(ClearOutcome::Went);
        }
    }
    let grants = tx.execute(&store::NAMESPACE_GRANTS_REMOVE, args![id, GRANTS_AT_ONCE]);
    if grants.await? > 0 {
        return Ok(ClearOutcome::Went);
    }
    tx.execute(&store::NAMESPACE_REMOVE, args![id]).await?;
    Ok(ClearOutcome::Done)
}
