//! The activity log and the counts of pulls.
#![doc = include_str!("../README.md")]

mod activity;
mod config;
mod pulls;
mod reading;
mod retention;
mod store;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use seawall_kernel::jobs::JobOutcome;
use seawall_kernel::{Feature, FeaturePlan, Kernel};
use seawall_types::lane::Lane;

pub use config::Config;
pub use reading::{ActivityEntry, pulls_of, recent_activity};
use retention::PruneUsage;

const FORGET_EVERY: Duration = Duration::from_hours(1);
const FORGET_MORE: Duration = Duration::from_secs(1);

/// The tables of this crate. They refer to nothing by a foreign key: what happened stays true when
/// what it happened to is gone.
pub const MIGRATIONS: seawall_meta::Migrations = seawall_meta::migrations!(
    "usage",
    [
        "0001_create_activity",
        "0002_create_pull_count",
        "0003_index_pull_count_by_repository"
    ]
);

/// Every statement of this crate, for the test that prepares them on each database.
pub fn statements() -> Vec<&'static seawall_meta::Statement> {
    store::ALL.to_vec()
}

/// All that this crate brings to a program that has a kernel.
pub fn plan<C: AsRef<Arc<Kernel>> + 'static>() -> FeaturePlan<C> {
    FeaturePlan::new("usage")
        .migrations(MIGRATIONS)
        .statements(statements())
        .build(|core: &C, config: Config| {
            let on = config.enabled;
            Ok(on.then(|| feature(core.as_ref(), config)))
        })
}

/// What runs where the configuration switches it on: it starts the task that writes the counts of
/// this process, which writes them once more when the process stops.
pub fn feature(kernel: &Arc<Kernel>, config: Config) -> Feature {
    let counts = pulls::start(kernel, config.flush());
    Feature::new("usage")
        .on_events(Lane::Background, |op, events| async move {
            activity::record(&op, &events).await
        })
        .watch(counts)
        .job(Lane::Background, move |op, _: PruneUsage| {
            let config = config.clone();
            async move {
                let more = retention::forget(&op, &config).await?;
                Ok(JobOutcome::Again(if more {
                    FORGET_MORE
                } else {
                    FORGET_EVERY
                }))
            }
        })
        .always(&PruneUsage {}, FORGET_EVERY)
}
