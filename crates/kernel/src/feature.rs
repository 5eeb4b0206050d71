//! `Feature`: the value by which a feature tells the program what it brings.
//!
//! Routes, jobs, consumers, watchers and health checks come from here and nowhere else, each with
//! its lane. All of them ask the feature's [`Switch`], which turns it off within the process; one
//! that the configuration switches off is a value that was never made.

use std::sync::Arc;
use std::time::Duration;

use seawall_types::Result;
use seawall_types::lane::Lane;

use crate::events::{Consumer, PullWatcher, RecordedEvent};
use crate::health::HealthCheck;
use crate::http::{DialectMount, ErrorDialect, Route};
use crate::jobs::{Job, JobOutcome, Worker};
use crate::op::Op;
use crate::switch::Switch;

/// Work that is in the queue once, again and again.
#[derive(Clone)]
pub struct RecurringJob {
    /// The job's kind, which is its key in the queue, too.
    pub kind: &'static str,
    /// Its payload.
    pub payload: String,
    /// How long after the start it runs for the first time.
    pub first: Duration,
}

/// What one feature brings.
pub struct Feature {
    /// Its name in logs and metrics.
    pub name: &'static str,
    /// Its run-time state.
    pub switch: Switch,
    /// Its routes.
    pub routes: Vec<Route>,
    /// Where it mounts dialects of errors.
    pub mounts: Vec<DialectMount>,
    /// What runs its jobs.
    pub workers: Vec<Worker>,
    /// What is to be in the queue from the start.
    pub recurring: Vec<RecurringJob>,
    /// What hears events.
    pub consumers: Vec<Consumer>,
    /// What sees what is served.
    pub watchers: Vec<Arc<dyn PullWatcher>>,
    /// What it says of its health.
    pub checks: Vec<HealthCheck>,
}

impl Feature {
    /// A feature that brings nothing yet.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            switch: Switch::new(name),
            routes: Vec::new(),
            mounts: Vec::new(),
            workers: Vec::new(),
            recurring: Vec::new(),
            consumers: Vec::new(),
            watchers: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// A feature without which there is no registry: it cannot be switched off.
    pub fn required(name: &'static str) -> Self {
        Self {
            switch: Switch::required(name),
            ..Self::new(name)
        }
    }

    /// Its routes as they are served: each asks the switch, unless that stays on.
    pub fn served(&self) -> impl Iterator<Item = Route> {
        let gate = |route: &Route| {
            if self.switch.is_required() {
                route.clone()
            } else {
                route.clone().gated(&self.switch)
            }
        };
        self.routes.iter().map(gate)
    }

    /// Adds routes.
    pub fn routes(mut self, routes: impl IntoIterator<Item = Route>) -> Self {
        let feature = self.name;
        let routes = routes.into_iter();
        self.routes
            .extend(routes.map(|route| route.brought_by(feature)));
        self
    }

    /// Says the errors of all paths below `prefix` in `dialect`, also of those that no route is
    /// for.
    pub fn mount(mut self, prefix: &'static str, dialect: &'static dyn ErrorDialect) -> Self {
        self.mounts.push(DialectMount {
            prefix,
            feature: self.name,
            dialect,
        });
        self
    }

    /// Runs jobs of type `J` in `lane`.
    pub fn job<J, F, R>(mut self, lane: Lane, run: F) -> Self
    where
        J: Job,
        F: Fn(Op, J) -> R + Send + Sync + 'static,
        R: Future<Output = Result<JobOutcome>> + Send + 'static,
    {
        self.workers.push(Worker::new::<J, F, R>(lane, run));
        self
    }

    /// Says how many jobs of type `J` may run at once in one process, where there are workers for
    /// them; one, if nothing is said. A feature has a worker of its own in each lane, and all
    /// features share two more.
    pub fn at_once<J: Job>(mut self, jobs: usize) -> Self {
        for worker in &mut self.workers {
            if worker.kind == J::KIND {
                *worker = worker.clone().at_once(jobs);
            }
        }
        self
    }

    /// Keeps `job` in the queue from the start on; it says by [`JobOutcome::Again`] when it runs
    /// next.
    pub fn always<J: Job>(mut self, job: &J, first: Duration) -> Self {
        if let Ok(payload) = serde_json::to_string(job) {
            self.recurring.push(RecurringJob {
                kind: J::KIND,
                payload,
                first,
            });
        }
        self
    }

    /// Hears events, in batches, at least once, in the order of their ids.
    pub fn on_events<F, R>(mut self, lane: Lane, consume: F) -> Self
    where
        F: Fn(Op, Arc<[RecordedEvent]>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<()>> + Send + 'static,
    {
        self.consumers.push(Consumer::new(self.name, lane, consume));
        self
    }

    /// Sees what is served.
    pub fn watch(mut self, watcher: Arc<dyn PullWatcher>) -> Self {
        self.watchers.push(watcher);
        self
    }

    /// Adds a health check.
    pub fn check(mut self, check: HealthCheck) -> Self {
        self.checks.push(check);
        self
    }
}
