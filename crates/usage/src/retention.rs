//! Forgetting: what is older than it may be goes, a bounded piece at a time.

use seawall_kernel::Op;
use seawall_kernel::jobs::Job;
use seawall_meta::args;
use seawall_types::Result;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::{pulls, store};

/// So many activity rows go in one transaction.
const BATCH: i64 = 1000;

/// Removes activity and counts that are older than the configuration says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ForgetUsage {}

impl Job for ForgetUsage {
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
    let batch = op
        .sql()
        .optional(&store::ACTIVITY_BATCH, args![keep, BATCH - 1])
        .await?;
    let until = batch.map(|row| row.int(0)).transpose()?;
    op.transaction((until, keep), |tx, _op, (until, keep)| {
        Box::pin(async move {
            match until {
                Some(until) => {
                    tx.execute(&store::ACTIVITY_FORGET_UP_TO, args![*until])
                        .await?
                }
                None => tx.execute(&store::ACTIVITY_FORGET, args![*keep]).await?,
            };
            Ok(until.is_some())
        })
    })
    .await
}

/// The counts go day by day.
async fn forget_counts(op: &Op, config: &Config) -> Result<bool> {
    let first = pulls::day(op.now()) - config.pull_count_days();
    let Some(row) = op
        .sql()
        .optional(&store::PULLS_OLDEST, args![first])
        .await?
    else {
        return Ok(false);
    };
    op.transaction(row.int(0)?, |tx, _op, day| {
        Box::pin(async move {
            tx.execute(&store::PULLS_FORGET, args![*day]).await?;
            Ok(true)
        })
    })
    .await
}
