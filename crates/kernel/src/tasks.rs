//! The task tracker: every piece of work that outlives a call is spawned here, so that it has a
//! name, is counted, and is waited for when the process stops.
//!
//! Nothing else in the workspace may call the runtime's `spawn`.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use seawall_types::work::Spawner;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// Spawns, names, counts and drains the process's tasks.
#[derive(Debug)]
pub struct Tracker {
    tasks: TaskTracker,
    live: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    stopping: watch::Sender<bool>,
}

impl Default for Tracker {
    fn default() -> Self {
        Self {
            tasks: TaskTracker::new(),
            live: Arc::default(),
            stopping: watch::Sender::new(false),
        }
    }
}

impl Tracker {
    /// An empty tracker, ready to be shared.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Tells every loop that watches [`Tracker::stopping`] to come to its end.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
        self.tasks.close();
    }

    /// True once [`Tracker::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits until the process is told to stop.
    pub async fn stopping(&self) {
        let mut signal = self.stopping.subscribe();
        // The sender lives as long as `self`, so this ends only by the signal.
        let _ = signal.wait_for(|stop| *stop).await;
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
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.iter()
            .filter(|(_, count)| **count > 0)
            .map(|(name, count)| (*name, *count))
            .collect()
    }
}

/// Takes a task out of the count even when it panics.
struct Leave {
    name: &'static str,
    live: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = live.get_mut(self.name) {
            *count = count.saturating_sub(1);
        }
    }
}

impl Spawner for Tracker {
    fn spawn(&self, name: &'static str, work: Pin<Box<dyn Future<Output = ()> + Send>>) {
        *self
            .live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name)
            .or_default() += 1;
        let leave = Leave {
            name,
            live: Arc::clone(&self.live),
        };
        self.tasks.spawn(async move {
            let _leave = leave;
            work.await;
        });
    }
}
