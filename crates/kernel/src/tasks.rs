//! The task tracker: every piece of work that outlives a call is spawned here, so that it has a
//! name, is counted, and is waited for when the process stops.
//!
//! Nothing else in the workspace may call the runtime's `spawn`.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use seawall_net::lifecycle::{Lifecycle, Phase};
use seawall_types::work::Spawner;
use tokio_util::task::TaskTracker;

/// Spawns, names, counts and drains the process's tasks.
#[derive(Debug, Default)]
pub struct Tracker {
    tasks: TaskTracker,
    live: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    lifecycle: Lifecycle,
}

impl Tracker {
    /// An empty tracker, ready to be shared, whose loops end with the process of `lifecycle`. The
    /// default one has a lifecycle of its own.
    pub fn new(lifecycle: &Lifecycle) -> Arc<Self> {
        Arc::new(Self {
            lifecycle: lifecycle.clone(),
            ..Self::default()
        })
    }

    /// The phases of the process.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Ends the background work of the process: every loop that watches [`Tracker::stopping`] comes
    /// to its end.
    pub fn stop(&self) {
        self.lifecycle.advance(Phase::Ending);
        self.tasks.close();
    }

    /// Whether background work is to end.
    pub fn is_stopping(&self) -> bool {
        self.lifecycle.phase() >= Phase::Ending
    }

    /// Waits until background work is to end.
    pub async fn stopping(&self) {
        self.lifecycle.reached(Phase::Ending).await;
    }

    /// Waits at most `bound` for all tasks to end; returns the names of those that did not.
    pub async fn drain(&self, bound: Duration) -> Vec<&'static str> {
        self.tasks.close();
        if tokio::time::timeout(bound, self.tasks.wait()).await.is_ok() {
            return Vec::new();
        }
        self.live().into_keys().collect()
    }

    /// How many tasks of each name are alive.
    pub fn live(&self) -> BTreeMap<&'static str, usize> {
        let live = self.live.lock();
        live.iter()
            .filter(|(_, count)| **count > 0)
            .map(|(name, count)| (*name, *count))
            .collect()
    }
}

/// Takes a task out of the count even when it panics.
struct LiveGuard {
    name: &'static str,
    live: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Drop for LiveGuard {
    fn drop(&mut self) {
        let mut live = self.live.lock();
        if let Some(count) = live.get_mut(self.name) {
            *count = count.saturating_sub(1);
        }
    }
}

impl Spawner for Tracker {
    fn spawn(&self, name: &'static str, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        *self.live.lock().entry(name).or_default() += 1;
        let leave = LiveGuard {
            name,
            live: Arc::clone(&self.live),
        };
        self.tasks.spawn(async move {
            let _leave = leave;
            work.await;
        });
    }
}
