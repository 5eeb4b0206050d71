//! The workers of one process: they claim due jobs, run them in their lane, and book the outcome.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use seawall_meta::{args, list};
use seawall_types::lane::Lane;
use seawall_types::work::Spawn;
use seawall_types::{Error, Reason, Result};

use super::booking::{book, millis};
use super::claim::{Claim, Terms};
use super::{Job, store};
use crate::kernel::Kernel;
use crate::op::Op;

const IDLE: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_mins(10);

/// What a job's run comes to, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done and leaves the queue; a recurring one only waits for its next turn.
    Done,
    /// It is to run again after this time.
    Again(Duration),
}

type Run = Arc<dyn Fn(Op, &str) -> Option<BoxFuture<'static, Result<Outcome>>> + Send + Sync>;

/// What runs jobs of one kind.
#[derive(Clone)]
pub struct Worker {
    /// The kind.
    pub kind: &'static str,
    /// The lane that all its work runs in.
    pub lane: Lane,
    run: Run,
    /// This release's payload, if the kind is a recurring one.
    recurring: Option<String>,
}

impl Worker {
    /// Runs jobs of type `J` in `lane`.
    pub fn new<J, F, R>(lane: Lane, run: F) -> Self
    where
        J: Job,
        F: Fn(Op, J) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Outcome>> + Send + 'static,
    {
        let run = Arc::new(run);
        let run: Run = Arc::new(move |op, payload| {
            let job = serde_json::from_str::<J>(payload).ok()?;
            let run = Arc::clone(&run);
            Some(async move { run(op, job).await }.boxed())
        });
        Self {
            kind: J::KIND,
            lane,
            run,
            recurring: None,
        }
    }

    /// Says that this kind runs again and again, with `payload` where the queue has one that is not
    /// of this release.
    pub(crate) fn recurring(mut self, payload: &str) -> Self {
        self.recurring = Some(payload.to_owned());
        self
    }

    /// The work of a job; `None` if its payload is of a shape that this release does not know.
    fn work(&self, op: &Op, payload: &str) -> Option<BoxFuture<'static, Result<Outcome>>> {
        let own = || (self.run)(op.clone(), self.recurring.as_deref()?);
        (self.run)(op.clone(), payload).or_else(own)
    }
}

/// Runs due jobs until the process stops, one at a time, so that jobs never crowd out requests.
pub fn run(kernel: &Arc<Kernel>, workers: Vec<Worker>) {
    let mut workers = Workers::new(kernel, workers);
    let tracker = Arc::clone(kernel.tracker());
    kernel.tracker().spawn(
        "job-worker",
        Box::pin(async move {
            let mut failing = false;
            while !tracker.is_stopping() {
                match workers.step().await {
                    Ok(true) => continue,
                    Ok(false) => failing = false,
                    Err(error) if !std::mem::replace(&mut failing, true) => {
                        tracing::warn!(%error, "the job queue cannot be read");
                    }
                    Err(_) => {}
                }
                tokio::select! {
                    () = tokio::time::sleep(IDLE) => {}
                    () = tracker.stopping() => {}
                }
            }
        }),
    );
}

/// Lets jobs run again that an earlier release gave up.
pub(crate) async fn revive(op: &Op) -> Result<()> {
    book(op, &store::REVIVE, args![]).await?;
    Ok(())
}

/// The workers of a process, by kind.
pub(crate) struct Workers {
    kernel: Arc<Kernel>,
    by_kind: HashMap<&'static str, Worker>,
    kinds: Vec<&'static str>,
    terms: Terms,
    /// Kinds of which it was logged that a payload is of an unknown shape.
    told: HashSet<&'static str>,
}

impl Workers {
    pub(crate) fn new(kernel: &Arc<Kernel>, workers: Vec<Worker>) -> Self {
        let kinds = workers.iter().map(|worker| worker.kind).collect();
        let by_kind = workers.into_iter().map(|worker| (worker.kind, worker));
        Self {
            kernel: Arc::clone(kernel),
            by_kind: by_kind.collect(),
            kinds,
            terms: Terms::default(),
            told: HashSet::new(),
        }
    }

    /// The same with other times, so that a test need not wait for a minute.
    #[cfg(test)]
    pub(crate) fn with(mut self, terms: Terms) -> Self {
        self.terms = terms;
        self
    }

    /// Runs one due job, if there is one; says whether there was.
    pub(crate) async fn step(&mut self) -> Result<bool> {
        let op = self.kernel.internal_op(Lane::Background, "jobs");
        let kinds = list(self.kinds.iter().copied());
        let mut due = Vec::new();
        for row in op.sql().all(&store::DUE, args![kinds]).await? {
            due.push((row.int(0)?, row.int(1)?, row.string(2)?));
        }
        let longest = due.into_iter().min();
        let Some((id, worker)) =
            longest.and_then(|(_, id, kind)| Some((id, self.by_kind.get(kind.as_str())?)))
        else {
            return Ok(false);
        };
        // Another process may have been faster.
        let Some(claim) = Claim::take(&op, id, self.terms).await? else {
            return Ok(false);
        };
        let op = self.kernel.internal_op(worker.lane, worker.kind);
        let Some(work) = worker.work(&op, &claim.payload) else {
            if self.told.insert(worker.kind) {
                tracing::warn!(
                    job = claim.id,
                    kind = worker.kind,
                    "a job of an unknown shape waits for a release that knows it"
                );
            }
            return put_off(&op, &claim).await;
        };
        let work = AssertUnwindSafe(work).catch_unwind();
        let Some(ended) = claim.hold(&op, work).await else {
            tracing::warn!(
                job = claim.id,
                kind = worker.kind,
                "a job was stopped: its claim was lost, and another worker may run it"
            );
            return Ok(true);
        };
        let panicked = |_| Err(Error::new(Reason::Internal, "the job panicked"));
        let outcome = ended.unwrap_or_else(panicked);
        conclude(&op, worker, &claim, outcome).await?;
        Ok(true)
    }
}

async fn conclude(op: &Op, worker: &Worker, claim: &Claim, outcome: Result<Outcome>) -> Result<()> {
    let (id, fence) = (claim.id, claim.fence());
    match outcome {
        Ok(Outcome::Done) if worker.recurring.is_none() => {
            book(op, &store::DONE, args![id, fence]).await?;
        }
        Ok(outcome) => {
            let after = match outcome {
                Outcome::Again(after) => after,
                Outcome::Done => LONGEST_BACKOFF,
            };
            book(op, &store::AGAIN, args![id, fence, millis(after)]).await?;
        }
        Err(error) => {
            let failures = claim.failures.saturating_add(1);
            tracing::warn!(job = id, kind = worker.kind, failures, %error, "a job failed");
            let delay = millis(backoff(failures));
            let words: String = error.to_string().chars().take(1000).collect();
            book(op, &store::FAILED, args![id, fence, delay, words]).await?;
        }
    }
    Ok(())
}

/// How long a job waits after so many failures in a row.
fn backoff(failures: i64) -> Duration {
    let exponent = u32::try_from(failures).unwrap_or(16).min(16);
    let delay = Duration::from_secs(1).saturating_mul(1 << exponent);
    delay.min(LONGEST_BACKOFF)
}

async fn put_off(op: &Op, claim: &Claim) -> Result<bool> {
    let arguments = args![claim.id, claim.fence(), millis(LONGEST_BACKOFF)];
    book(op, &store::PUT_OFF, arguments).await?;
    Ok(true)
}
