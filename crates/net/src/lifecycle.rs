//! The phases of the process, and the one signal to stop: it runs, it is not ready any more, it
//! drains, its connections are closed, its background work ends.
//!
//! Phases only ever advance. The server drives them (see [`crate::Server::run`]); the signals begin
//! and shorten it; health, the accept loops and the loops of background work watch. Nothing here
//! knows what the others do in a phase.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// A phase of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// All is served.
    Running,
    /// All is served, but readiness tells load balancers to send nothing more.
    Unready,
    /// Nothing new is taken; what runs may end.
    Draining,
    /// Connections that are still open are cut off.
    Closed,
    /// No request is left; background work comes to its end.
    Ending,
}

/// The phase and its watchers. A clone is the same lifecycle.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    phase: Arc<watch::Sender<Phase>>,
    reload: Arc<Notify>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// A process that runs.
    pub fn new() -> Self {
        Self {
            phase: Arc::new(watch::Sender::new(Phase::Running)),
            reload: Arc::new(Notify::new()),
        }
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Begins to stop, as a first signal does.
    pub fn stop(&self) {
        self.advance(Phase::Unready);
    }

    /// Stops at once, as a second signal does.
    pub fn abort(&self) {
        self.advance(Phase::Closed);
    }

    /// Goes on to a phase; does nothing if it was reached already.
    pub fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let later = *phase < to;
            if later {
                *phase = to;
            }
            later
        });
    }

    /// Waits until a phase is reached.
    pub async fn reached(&self, wanted: Phase) {
        let mut watcher = self.phase.subscribe();
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _ = watcher.wait_for(|phase| *phase >= wanted).await;
    }

    /// Asks for files that may change to be read again, as SIGHUP does.
    pub fn reload(&self) {
        self.reload.notify_waiters();
    }

    /// Waits until the next such wish.
    pub async fn reload_wanted(&self) {
        self.reload.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_only_advance() {
        let lifecycle = Lifecycle::new();
        lifecycle.advance(Phase::Draining);
        lifecycle.stop();
        assert_eq!(lifecycle.phase(), Phase::Draining);
        lifecycle.reached(Phase::Unready).await;
        lifecycle.abort();
        lifecycle.reached(Phase::Closed).await;
    }
}
