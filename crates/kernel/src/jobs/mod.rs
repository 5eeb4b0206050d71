//! The durable queue: work that outlives a request, enqueued in the transaction that caused it.
//!
//! A job is a serialisable struct; a claim carries a lease and a fencing number, so that a job
//! whose worker died runs again elsewhere and a late worker cannot finish what another has taken.
//! Every kind names its lane when it is registered. A job must be able to run twice.
//!
//! No job ever ends by failing: one that fails is put off, longer after each failure in a row, up
//! to ten minutes. What a release does not know stays for one that does: a kind without a worker
//! here is never claimed, and a payload of an unknown shape is put off, which counts as no failure.
//! What a recurring job's row says matters to none: the release that runs it has a payload of its
//! own.

mod booking;
mod claim;
mod gauges;
mod queue;
pub mod store;
mod worker;
mod workers;

pub use queue::{JobState, JobSummary, list, retry, retry_failing};
pub use worker::{JobOutcome, Worker};
pub(crate) use workers::revive;
pub use workers::run;
#[cfg(test)]
pub(crate) use {claim::ClaimTerms, gauges::Gauges, workers::Workers};

use std::time::Duration;

use seawall_meta::{Tx, args};
use seawall_types::{Error, Reason, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::changes;

/// A piece of durable work.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name in the queue; never reuse one for another shape.
    const KIND: &'static str;
}

/// When a job runs and whether it may be queued twice.
#[derive(Debug, Clone)]
pub struct Schedule {
    after: Duration,
    key: Option<String>,
}

impl Schedule {
    /// As soon as a worker is free.
    pub fn now() -> Self {
        Self::after(Duration::ZERO)
    }

    /// Not before `after` has passed, by the database's clock.
    pub fn after(after: Duration) -> Self {
        Self { after, key: None }
    }

    /// At most one job with this key is in the queue.
    pub fn once(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }
}

/// Puts `job` into the queue, in the transaction that wants it done.
pub async fn enqueue<J: Job>(tx: &mut Tx, job: &J, schedule: Schedule) -> Result<()> {
    let payload = serde_json::to_string(job)
        .map_err(|e| Error::new(Reason::Internal, "a job's payload is not JSON").with_source(e))?;
    let after = i64::try_from(schedule.after.as_millis()).unwrap_or(i64::MAX / 4);
    tx.execute(
        &store::ENQUEUE,
        args![J::KIND, schedule.key, payload, after],
    )
    .await?;
    if schedule.after.is_zero() {
        tx.saw(changes::queued_job());
    }
    Ok(())
}
