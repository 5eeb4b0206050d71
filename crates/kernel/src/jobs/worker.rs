//! What runs jobs of one kind: its lane, how many at once, and how a payload becomes work.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use seawall_types::Result;
use seawall_types::lane::Lane;

use super::Job;
use crate::op::Op;
use crate::switch::Switch;

/// What a job's run comes to, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOutcome {
    /// It is done and leaves the queue; a recurring one only waits for its next turn.
    Done,
    /// It is to run again after this time.
    Again(Duration),
}

type JobRun = Arc<dyn Fn(Op, &str) -> Option<BoxFuture<'static, Result<JobOutcome>>> + Send + Sync>;

/// What runs jobs of one kind.
#[derive(Clone)]
pub struct Worker {
    /// The kind.
    pub kind: &'static str,
    /// The lane that all its work runs in.
    pub lane: Lane,
    /// How many jobs of this kind run at once in one process.
    pub(super) at_once: usize,
    run: JobRun,
    /// This release's payload, if the kind is a recurring one.
    recurring: Option<String>,
    /// Whether its feature is on; its jobs wait in the queue otherwise.
    switch: Option<Switch>,
}

impl Worker {
    /// Runs jobs of type `J` in `lane`.
    pub fn new<J, F, R>(lane: Lane, run: F) -> Self
    where
        J: Job,
        F: Fn(Op, J) -> R + Send + Sync + 'static,
        R: Future<Output = Result<JobOutcome>> + Send + 'static,
    {
        let run = Arc::new(run);
        let run: JobRun = Arc::new(move |op, payload| {
            let job = serde_json::from_str::<J>(payload).ok()?;
            let run = Arc::clone(&run);
            Some(async move { run(op, job).await }.boxed())
        });
        Self {
            kind: J::KIND,
            lane,
            at_once: 1,
            run,
            recurring: None,
            switch: None,
        }
    }

    /// Says that this kind is not claimed while its feature is not on.
    pub(crate) fn switched(mut self, switch: &Switch) -> Self {
        self.switch = Some(switch.clone());
        self
    }

    /// The feature that brings it; empty for a worker that no feature has brought.
    pub(super) fn feature(&self) -> &'static str {
        self.switch.as_ref().map_or("", Switch::feature)
    }

    /// Whether its feature is on.
    pub(super) fn is_on(&self) -> bool {
        self.switch.as_ref().is_none_or(Switch::is_on)
    }

    /// Says that this kind runs again and again, with `payload` where the queue has one that is not
    /// of this release.
    pub(crate) fn recurring(mut self, payload: &str) -> Self {
        self.recurring = Some(payload.to_owned());
        self
    }

    /// Says how many jobs of this kind may run at once in one process, if its lane has workers for
    /// them; one, if nothing is said, so that a feature with many jobs leaves room for others.
    pub fn at_once(mut self, jobs: usize) -> Self {
        self.at_once = jobs.max(1);
        self
    }

    /// Whether this kind runs again and again.
    pub(super) fn is_recurring(&self) -> bool {
        self.recurring.is_some()
    }

    /// The work of a job; `None` if its payload is of a shape that this release does not know.
    pub(super) fn work(
        &self,
        op: &Op,
        payload: &str,
    ) -> Option<BoxFuture<'static, Result<JobOutcome>>> {
        let own = || (self.run)(op.clone(), self.recurring.as_deref()?);
        (self.run)(op.clone(), payload).or_else(own)
    }
}
