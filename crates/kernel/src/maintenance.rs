//! The kernel's own jobs, which every process runs: clearing what was deleted, filling columns that
//! a migration added, and shortening the logs.

use std::sync::Arc;
use std::time::Duration;

use seawall_meta::CHANGES;
use seawall_types::Result;
use seawall_types::lane::Lane;
use serde::{Deserialize, Serialize};

use crate::backfill::{self, FillColumns};
use crate::catalog::namespaces::{self, ClearNamespace};
use crate::catalog::repositories::{self, ClearRepository};
use crate::events;
use crate::feature::Feature;
use crate::jobs::{Job, JobOutcome};
use crate::kernel::Kernel;

/// Readers of the change log may be away for so long before they have to forget all they hold.
const KEEP_CHANGES: Duration = Duration::from_hours(1);
/// Events stay for so long after every consumer here has heard them.
const KEEP_EVENTS: Duration = Duration::from_hours(24);
const PRUNE_EVERY: Duration = Duration::from_mins(15);

/// Shortens the logs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct PruneLogs {}

impl Job for PruneLogs {
    const KIND: &'static str = "logs.prune";
}

/// The feature that is always on: what the catalog and the logs need done.
pub fn feature() -> Feature {
    Feature::required("kernel")
        .job(Lane::Background, |op, job: ClearNamespace| async move {
            namespaces::clear(&op, &job).await
        })
        .job(Lane::Background, |op, job: ClearRepository| async move {
            repositories::clear(&op, &job).await
        })
        .job(Lane::Background, |op, _: FillColumns| async move {
            backfill::run(&op).await
        })
        .always(&FillColumns {}, backfill::FIRST)
        .job(Lane::Background, |op, _: PruneLogs| async move {
            prune(op.kernel()).await?;
            Ok(JobOutcome::Again(PRUNE_EVERY))
        })
        .always(&PruneLogs {}, PRUNE_EVERY)
}

async fn prune(kernel: &Arc<Kernel>) -> Result<()> {
    let floor = kernel.meta().log_floor(&CHANGES).await?;
    let mut follower = kernel.meta().changes(floor).await?;
    while follower.poll().await?.more {}
    kernel
        .meta()
        .prune(&CHANGES, follower.low_water(), KEEP_CHANGES)
        .await?;
    let heard = events::delivered_to_all(&kernel.internal_op(Lane::Background, "prune")).await?;
    kernel
        .meta()
        .prune(&events::store::log::EVENTS, heard, KEEP_EVENTS)
        .await?;
    Ok(())
}
