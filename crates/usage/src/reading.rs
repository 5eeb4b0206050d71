//! Reads of the activity log and of the counts, for other crates.
//!
//! ```compile_fail
//! # async fn forgets(op: &seawall_kernel::Op) {
//! // No operation by itself sees what was done.
//! seawall_usage::recent_activity(op, 10).await;
//! # }
//! ```
//!
//! ```compile_fail
//! # async fn forgets(op: &seawall_kernel::Op, repository: seawall_types::RepositoryId) {
//! // Nor how often a repository was pulled of which it only has the id.
//! seawall_usage::pulls_of(op, repository).await;
//! # }
//! ```

use seawall_kernel::auth::{ExistingAct, Inspect};
use seawall_kernel::events::EventKind;
use seawall_kernel::{Installation, Op, Repo};
use seawall_meta::args;
use seawall_types::time::Millis;
use seawall_types::{Error, Result};

use crate::store;

/// One line of the activity log, with the names as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityEntry {
    /// When it happened, by the database's clock.
    pub at: Millis,
    /// What happened; `None` for a kind that no crate of this process declares.
    pub kind: Option<EventKind>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The repository, without its namespace.
    pub repository: Option<String>,
    /// Who did it.
    pub actor: Option<String>,
    /// From which address.
    pub address: Option<String>,
    /// With which agent.
    pub agent: Option<String>,
    /// What else there is to say, as JSON.
    pub detail: serde_json::Value,
}

/// The latest `limit` lines of the activity log, the newest first.
pub async fn recent_activity(
    op: &Op,
    _installation: &Installation<Inspect>,
    limit: u32,
) -> Result<Vec<ActivityEntry>> {
    let rows = op
        .sql()
        .all(&store::ACTIVITY_RECENT, args![i64::from(limit)])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(ActivityEntry {
                at: row.millis(0)?,
                kind: op.kernel().event_types().find(row.int(1)?),
                namespace: row.opt_string(2)?,
                repository: row.opt_string(3)?,
                actor: row.opt_string(4)?,
                address: row.opt_string(5)?,
                agent: row.opt_string(6)?,
                detail: serde_json::from_str(row.text(7)?).map_err(Error::internal)?,
            })
        })
        .collect()
}

/// How often manifests of a repository were pulled, as far as it was written down.
pub async fn pulls_of<A: ExistingAct>(op: &Op, repo: &Repo<A>) -> Result<u64> {
    let row = op.sql().one(&store::PULLS_OF, args![repo.id()]).await?;
    Ok(u64::try_from(row.opt_int(0)?.unwrap_or_default()).unwrap_or_default())
}
