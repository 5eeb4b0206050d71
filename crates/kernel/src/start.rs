//! Start-up of every feature's workers: watchers, recurring jobs, job workers, consumers of events,
//! and the follower of the change log.
//!
//! A process calls [`start`] once, with every feature that is switched on.

use std::sync::Arc;

use seawall_types::Result;
use seawall_types::lane::Lane;

use crate::changes;
use crate::events::{self, PullNotice, PullWatcher};
use crate::feature::Feature;
use crate::jobs::{self, store};
use crate::kernel::Kernel;
use crate::switch::Switch;

/// Starts the work of `features` in this process: watchers, recurring jobs, workers, consumers, and
/// the follower of the change log.
pub async fn start(kernel: &Arc<Kernel>, features: &[Feature]) -> Result<()> {
    kernel
        .watchers()
        .fix(features.iter().flat_map(watchers).collect());
    let of_feature = |feature: &Feature| {
        let switch = feature.switch.clone();
        let consumers = feature.consumers.clone().into_iter();
        consumers.map(move |consumer| consumer.switched(&switch))
    };
    let consumers: Vec<_> = features.iter().flat_map(of_feature).collect();
    let op = kernel.internal_op(Lane::Control, "start");
    // Ahead of the first job that may prune: a cursor that was not held for long counts as switched
    // off.
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
    let switched = |feature: &Feature| {
        let switch = feature.switch.clone();
        let workers = feature.workers.clone().into_iter();
        workers.map(move |worker| worker.switched(&switch))
    };
    let workers = features.iter().flat_map(switched);
    let of_this_release =
        |worker: jobs::Worker| match recurring().find(|recurring| recurring.kind == worker.kind) {
            Some(recurring) => worker.recurring(&recurring.payload),
            None => worker,
        };
    workers.map(of_this_release).collect()
}

/// A watcher that is told nothing while its feature is not on.
struct SwitchedWatcher {
    switch: Switch,
    watcher: Arc<dyn PullWatcher>,
}

impl PullWatcher for SwitchedWatcher {
    fn pulled(&self, pulled: &PullNotice<'_>) {
        if self.switch.is_on() {
            self.watcher.pulled(pulled);
        }
    }
}

fn watchers(feature: &Feature) -> Vec<Arc<dyn PullWatcher>> {
    let switched = |watcher: &Arc<dyn PullWatcher>| {
        Arc::new(SwitchedWatcher {
            switch: feature.switch.clone(),
            watcher: Arc::clone(watcher),
        }) as Arc<dyn PullWatcher>
    };
    feature.watchers.iter().map(switched).collect()
}
