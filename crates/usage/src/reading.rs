//! What others read of the activity log and the counts.

use seawall_kernel::Op;
use seawall_kernel::events::EventKind;
use seawall_meta::args;
use seawall_types::ids::RepositoryId;
use seawall_types::time::Millis;
use seawall_types::{Error, Result};

use crate::store;

/// One line of the activity log, with the names as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// When it happened, by the database's clock.
    pub at: Millis,
    /// What happened; `None` for a kind of a later release.
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
pub async fn recent_activity(op: &Op, limit: u32) -> Result<Vec<Activity>> {
    let rows = op
        .sql()
        .all(&store::ACTIVITY_RECENT, args![i64::from(limit)])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Activity {
                at: row.millis(0)?,
                kind: EventKind::from_code(row.int(1)?),
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
pub async fn pulls_of(op: &Op, repository: RepositoryId) -> Result<u64> {
    let row = op.sql().one(&store::PULLS_OF, args![repository]).await?;
    Ok(u64::try_from(row.opt_int(0)?.unwrap_or_default()).unwrap_or_default())
}
