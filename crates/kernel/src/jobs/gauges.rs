//! What waits in the queue, as metrics: how many jobs of each kind, how many of them have failed,
//! and how late the latest is.
//!
//! The queue is read for it seldom and by the loop that reads it anyway, never when metrics are
//! asked for: a scraper must cost the database nothing. Each kind is counted up to
//! [`MOST`], so that a long queue costs no more than a short one.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use metrics::gauge;
use seawall_meta::{args, list};
use seawall_types::Result;

use super::store;
use super::worker::Worker;
use crate::op::Op;

/// How often the queue is counted.
const EVERY: Duration = Duration::from_secs(15);
/// So many jobs of a kind are counted; as many or more show as this number.
const MOST: usize = 100;

/// When the queue was counted last, by the process's clock.
#[derive(Default)]
pub(crate) struct Gauges {
    counted: Option<Duration>,
}

/// What waits of one kind.
#[derive(Default)]
struct KindQueue {
    jobs: HashSet<i64>,
    failing: HashSet<i64>,
    /// By how many milliseconds the job that was due first is late.
    late: i64,
}

impl Gauges {
    /// Counts what waits for `workers`, if it is time.
    pub(super) async fn update<'w>(
        &mut self,
        op: &Op,
        workers: impl Iterator<Item = &'w Worker> + Clone,
    ) -> Result<()> {
        let now = op.kernel().clock().elapsed();
        let is_time = self.counted.is_none_or(|last| now >= last + EVERY);
        if !is_time {
            return Ok(());
        }
        self.counted = Some(now);
        let kinds = list(workers.clone().map(|worker| worker.kind));
        let mut waiting: BTreeMap<String, KindQueue> = BTreeMap::new();
        for row in op.sql().all(&store::WAITING, args![kinds]).await? {
            let kind = waiting.entry(row.string(1)?).or_default();
            let (id, late) = (row.int(0)?, op.now().since(row.millis(2)?));
            // A short list of kinds is padded, so a job may be found more than once.
            kind.jobs.insert(id);
            if row.int(3)? > 0 {
                kind.failing.insert(id);
            }
            kind.late = kind
                .late
                .max(i64::try_from(late.as_millis()).unwrap_or(i64::MAX));
        }
        for worker in workers {
            publish(worker, &waiting.remove(worker.kind).unwrap_or_default());
        }
        Ok(())
    }
}

fn publish(worker: &Worker, waiting: &KindQueue) {
    let labels = [
        ("kind", worker.kind),
        ("feature", worker.feature()),
        ("lane", worker.lane.name()),
    ];
    let number = |count: usize| f64::from(u32::try_from(count.min(MOST)).unwrap_or(u32::MAX));
    gauge!("seawall_jobs_queued", &labels).set(number(waiting.jobs.len()));
    gauge!("seawall_jobs_failing", &labels).set(number(waiting.failing.len()));
    let late = Duration::from_millis(u64::try_from(waiting.late).unwrap_or_default());
    gauge!("seawall_jobs_late_seconds", &labels).set(late.as_secs_f64());
}
