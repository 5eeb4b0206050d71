//! Pulls counted in memory, written every few seconds by a task of this process.
//!
//! Counting stands beside a pull: it takes a lock for one addition and never waits for the
//! database. What could not be written is kept in memory, until there are too many repositories;
//! then pulls of others are dropped, and a metric says how many. A commit of which it is unknown
//! whether it happened is counted again: the counts say how much is used, not what is owed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use seawall_kernel::events::{PullNotice, PullWatcher};
use seawall_kernel::{Kernel, Op};
use seawall_meta::args;
use seawall_types::lane::Lane;
use seawall_types::work::Spawner;
use seawall_types::{Millis, NamespaceId, RepositoryId, Result};

use crate::store;

/// At most so many repositories are counted between two writings.
const MOST: usize = 100_000;
/// So many are written in one transaction.
const BATCH: usize = 256;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// A day (counted from 1970, UTC) and a repository.
type CountKey = (i64, RepositoryId);

/// The counts of this process that are not written yet.
pub(crate) struct PendingCounts {
    // The kernel holds its watchers; holding it here would keep both forever.
    kernel: Weak<Kernel>,
    waiting: Mutex<HashMap<CountKey, (NamespaceId, u64)>>,
    most: usize,
}

/// One count to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PullCount {
    pub(crate) day: i64,
    pub(crate) repository: RepositoryId,
    pub(crate) namespace: NamespaceId,
    pub(crate) pulls: u64,
}

/// Makes the counts and starts the task that writes them.
pub(crate) fn start(kernel: &Arc<Kernel>, period: Duration) -> Arc<PendingCounts> {
    let counts = Arc::new(PendingCounts::new(kernel, MOST));
    let (writing, kernel) = (Arc::clone(&counts), Arc::clone(kernel));
    let tracker = Arc::clone(kernel.tracker());
    tracker.spawn(
        "usage-pulls",
        Box::pin(async move {
            let tracker = kernel.tracker();
            let mut failing = false;
            loop {
                tokio::select! {
                    () = tokio::time::sleep(period) => {}
                    () = tracker.stopping() => {}
                }
                // Looked at before writing: what is counted until the end is written once more.
                let last = tracker.is_stopping();
                let op = kernel.internal_op(Lane::Background, "usage");
                match writing.flush(&op).await {
                    Ok(()) => failing = false,
                    Err(error) if !std::mem::replace(&mut failing, true) => {
                        tracing::warn!(%error, "the counts of pulls cannot be written");
                    }
                    Err(_) => {}
                }
                if last {
                    break;
                }
            }
        }),
    );
    counts
}

/// The day of a time.
pub(crate) fn day(at: Millis) -> i64 {
    at.get().div_euclid(MILLIS_PER_DAY)
}

impl PendingCounts {
    pub(crate) fn new(kernel: &Arc<Kernel>, most: usize) -> Self {
        Self {
            kernel: Arc::downgrade(kernel),
            waiting: Mutex::default(),
            most,
        }
    }

    /// Writes what was counted. What cannot be written is kept.
    pub(crate) async fn flush(&self, op: &Op) -> Result<()> {
        let taken = std::mem::take(&mut *self.lock());
        let mut counts: Vec<PullCount> = taken
            .into_iter()
            .map(|((day, repository), (namespace, pulls))| PullCount {
                day,
                repository,
                namespace,
                pulls,
            })
            .collect();
        // Replicas that write the same counts take their locks in the same order.
        counts.sort_unstable_by_key(|count| (count.day, count.repository));
        let mut left = counts.chunks(BATCH);
        while let Some(batch) = left.next() {
            if let Err(error) = write(op, batch).await {
                batch
                    .iter()
                    .chain(left.flatten())
                    .for_each(|count| self.add(count));
                return Err(error);
            }
        }
        Ok(())
    }

    /// How many repositories wait to be written.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().len()
    }

    fn add(&self, count: &PullCount) {
        let mut waiting = self.lock();
        let full = waiting.len() >= self.most;
        match waiting.entry((count.day, count.repository)) {
            Entry::Occupied(mut entry) => entry.get_mut().1 += count.pulls,
            Entry::Vacant(entry) if !full => {
                entry.insert((count.namespace, count.pulls));
            }
            Entry::Vacant(_) => {
                metrics::counter!("seawall_usage_pulls_dropped_total").increment(count.pulls);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CountKey, (NamespaceId, u64)>> {
        self.waiting.lock()
    }
}

impl PullWatcher for PendingCounts {
    fn pulled(&self, pulled: &PullNotice<'_>) {
        let Some(kernel) = self.kernel.upgrade() else {
            return;
        };
        self.add(&PullCount {
            day: day(kernel.now()),
            repository: pulled.repository,
            namespace: pulled.namespace,
            pulls: 1,
        });
    }
}

async fn write(op: &Op, batch: &[PullCount]) -> Result<()> {
    op.transaction(batch.to_vec(), |tx, _op, batch| {
        Box::pin(async move {
            for count in batch {
                let arguments = args![count.day, count.repository, count.namespace, count.pulls];
                tx.execute(&store::PULLS_ADD, arguments).await?;
            }
            Ok(())
        })
    })
    .await
}
