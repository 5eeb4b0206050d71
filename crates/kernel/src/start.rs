//! Start-up of every feature's workers: watchers, recurring jobs, job workers, consumers of events, and
//! the follower of the change log.
//!
//! A process calls [`start`] once, with every feature that is switched on.

use std::sync::Arc;

use seawall_types::Result;
use seawall_types::lane::Lane;

use crate::changes;
use crate::events;
use crate::feature::Feature;
use crate::jobs::{self, store};
use crate::kernel::Kernel;

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
