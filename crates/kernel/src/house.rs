//! The house's own work, and the start of everybody's: what follows, delivers and runs jobs.
//!
//! A process calls [`start`] once, with every feature that is switched on.

use std::sync::Arc;
use std::time::Duration;

use seawall_meta::CHANGES;
use seawall_types::Result;
use seawall_types::lane::Lane;
use serde::{Deserialize, Serialize};

use crate::backfill::{self, FillColumns};
use crate::catalog::namespaces::{self, ClearNamespace};
use crate::changes;
use crate::events;
use crate::feature::Feature;
use crate::jobs::{self, Job, Outcome, store};
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
    Feature::new("house")
        .job(Lane::Background, |op, job: ClearNamespace| async move {
            namespaces::clear(&op, &job).await
        })
        .job(Lane::Background, |op, _: FillColumns| async move {
            backfill::run(&op).await
        })
        .always(&FillColumns {}, backfill::FIRST)
        .job(Lane::Background, |op, _: PruneLogs| async move {
            prune(op.kernel()).await?;
            Ok(Outcome::Again(PRUNE_EVERY))
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
    let heard = events::heard_by_all(&kernel.internal_op(Lane::Background, "prune")).await?;
    kernel
        .meta()
        .prune(&events::store::log::EVENTS, heard, KEEP_EVENTS)
        .await?;
    Ok(())
}

/// Starts the work of `features` in this process: watchers, recurring jobs, workers, consumers, and
/// the follower of the change log.
pub async fn start(kernel: &Arc<Kernel>, features: &[Feature]) -> Result<()> {
    kernel
        .watchers()
        .fix(features.iter().flat_map(|f| f.watchers.clone()).collect());
    let consumers: Vec<_> = features.iter().flat_map(|f| f.consumers.clone()).collect();
    let op = kernel.internal_op(Lane::Control, "start");
    // Ahead of the first job that may prune: a cursor that was not held for long counts as switched off.
    events::register(
        &op,
        consumers.iter().map(|consumer| consumer.name).collect(),
    )
    .await?;
    jobs::revive(&op).await?;
    for recurring in features.iter().flat_map(|feature| &feature.recurring) {
        let recurring = recurring.clone();
        op.transaction(recurring, |tx, _op, recurring| {
            Box::pin(async move {
                let after = i64::try_from(recurring.first.as_millis()).unwrap_or_default();
                let (kind, payload) = (recurring.kind, recurring.payload.as_str());
                let arguments = seawall_meta::args![kind, kind, payload, after];
                tx.execute(&store::ENQUEUE, arguments).await?;
                Ok(())
            })
        })
        .await?;
    }
    changes::follow(kernel).await?;
    jobs::run(kernel, workers(features));
    for consumer in consumers {
        events::run(kernel, consumer);
    }
    Ok(())
}

/// The workers of `features`, those of recurring jobs with the payloads of this release.
pub(crate) fn workers(features: &[Feature]) -> Vec<jobs::Worker> {
    let recurring = || features.iter().flat_map(|feature| &feature.recurring);
    let workers = features.iter().flat_map(|feature| feature.workers.clone());
    let of_this_release =
        |worker: jobs::Worker| match recurring().find(|recurring| recurring.kind == worker.kind) {
            Some(recurring) => worker.recurring(&recurring.payload),
            None => worker,
        };
    workers.map(of_this_release).collect()
}
