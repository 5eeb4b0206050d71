//! Retention: rows that are too old go, in bounded steps.

use seawall_kernel::Op;
use seawall_kernel::jobs::Job;
use seawall_meta::args;
use seawall_types::Result;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::{pulls, store};

/// So many rows go in one transaction.
const BATCH: u64 = 1000;

/// Removes activity and counts that are older than the configuration says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PruneUsage {}

impl Job for PruneUsage {
    const KIND: &'static str = "usage.forget";
}

/// Removes one piece of what is too old. Says whether there is more.
pub(crate) async fn forget(op: &Op, config: &Config) -> Result<bool> {
    let activity = forget_activity(op, config).await?;
    let counts = forget_counts(op, config).await?;
    Ok(activity || counts)
}

/// The oldest rows go by their time, which the primary key begins with: no other index is needed.
async fn forget_activity(op: &Op, config: &Config) -> Result<bool> {
    let keep = i64::try_from(config.activity().as_millis()).unwrap_or(i64::MAX / 4);
    op.transaction(keep, |tx, _op, &keep| {
        Box::pin(async move {
            let gone = tx
                .execute(&store::ACTIVITY_FORGET, args![keep, BATCH])
                .await?;
            Ok(gone == BATCH)
        })
    })
    .await
}

/// The counts go by their days.
async fn forget_counts(op: &Op, config: &Config) -> Result<bool> {
    let first = pulls::day(op.now()) - config.pull_count_days();
    op.transaction(first, |tx, _op, &first| {
        Box::pin(async move {
            let gone = tx
                .execute(&store::PULLS_FORGET, args![first, BATCH])
                .await?;
            Ok(gone == BATCH)
        })
    })
    .await
}
