//! The workers of one process: they look for due jobs, claim them, run them in their lanes, and
//! book the outcomes.
//!
//! One task reads the queue for all of them, so that looking costs the same however many there are:
//! once a second, and at once when the bell rings, because a job was queued here or a worker has
//! become free. It never waits for a job. Each lane has so many workers, and each kind takes so
//! many of them at most, so a job of hours holds up neither another lane nor another kind. A
//! recurring kind, which is in the queue only once, has a worker of its own: what keeps the house
//! in order waits for no other job.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use metrics::{Gauge, counter, gauge};
use parking_lot::Mutex;
use seawall_limit::{Limit, Limiter, Permit};
use seawall_meta::{args, list};
use seawall_types::lane::Lane;
use seawall_types::work::Spawner;
use seawall_types::{Error, Reason, Result};

use super::booking::{book, millis};
use super::claim::{ClaimTerms, JobClaim};
use super::store;
use super::worker::{JobOutcome, Worker};
use crate::kernel::Kernel;
use crate::op::Op;

/// How often the queue is read when nothing rings.
const IDLE: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_mins(10);
/// How many jobs of a lane run at once, beside its recurring ones.
const WORKERS: usize = 2;

/// Runs due jobs until the process stops.
pub fn run(kernel: &Arc<Kernel>, workers: Vec<Worker>) {
    let workers = Arc::new(Workers::new(kernel, workers));
    let tracker = Arc::clone(kernel.tracker());
    let kernel = Arc::clone(kernel);
    tracker.spawn("job-queue", {
        let tracker = Arc::clone(&tracker);
        Box::pin(async move {
            let mut failing = false;
            while !tracker.is_stopping() {
                match workers.begin().await {
                    Ok(true) => continue,
                    Ok(false) => failing = false,
                    Err(error) if !std::mem::replace(&mut failing, true) => {
                        tracing::warn!(%error, "the job queue cannot be read");
                    }
                    Err(_) => {}
                }
                tokio::select! {
                    () = tokio::time::sleep(IDLE) => {}
                    () = kernel.changes().job_bell().notified() => {}
                    () = tracker.stopping() => {}
                }
            }
        })
    });
}

/// Lets jobs run again that an earlier release gave up.
pub(crate) async fn revive(op: &Op) -> Result<()> {
    book(op, &store::REVIVE, args![]).await?;
    Ok(())
}

/// The workers of a process, by kind.
pub(crate) struct Workers {
    kernel: Arc<Kernel>,
    by_kind: HashMap<&'static str, KindWorkers>,
    lanes: [Limiter; Lane::ALL.len()],
    terms: ClaimTerms,
    /// Kinds of which it was logged that a payload is of an unknown shape.
    told: Mutex<HashSet<&'static str>>,
}

/// What runs one kind, and how much of it runs.
struct KindWorkers {
    worker: Worker,
    running: Limiter,
}

/// A job that may begin; its worker is free for others when this is dropped.
struct Due {
    id: i64,
    kind: &'static str,
    _running: Permit,
    _lane: Option<Permit>,
    _counted: RunningJob,
}

/// A job that is counted as running until this is dropped.
struct RunningJob(Gauge);

impl RunningJob {
    fn new(kind: &'static str) -> Self {
        let running = gauge!("seawall_jobs_running", "kind" => kind);
        running.increment(1.0);
        Self(running)
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Workers {
    pub(crate) fn new(kernel: &Arc<Kernel>, workers: Vec<Worker>) -> Self {
        let by_kind = workers.into_iter().map(|worker| {
            let running = Limiter::new(worker.kind, Limit::of(worker.at_once));
            (worker.kind, KindWorkers { worker, running })
        });
        Self {
            kernel: Arc::clone(kernel),
            by_kind: by_kind.collect(),
            lanes: Lane::ALL.map(|lane| Limiter::new(lane.name(), Limit::of(WORKERS))),
            terms: ClaimTerms::default(),
            told: Mutex::default(),
        }
    }

    /// The same with other times, so that a test need not wait for a minute.
    #[cfg(test)]
    pub(crate) fn with(mut self, terms: ClaimTerms) -> Self {
        self.terms = terms;
        self
    }

    /// Begins the due jobs that workers are free for; says whether there may be more to begin at
    /// once.
    async fn begin(self: &Arc<Self>) -> Result<bool> {
        let mut more = false;
        for due in self.due().await? {
            more |= self.is_free(due.kind);
            let workers = Arc::clone(self);
            let job = async move {
                let ran = workers.run(&due).await;
                drop(due);
                match ran {
                    // A worker is free, and the next job of this kind may be due.
                    Ok(true) => workers.kernel.changes().job_bell().notify_one(),
                    // Another process has it: it is free again when that process has ended it.
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "a job could not be booked"),
                }
            };
            self.kernel.tracker().spawn("job", Box::pin(job));
        }
        Ok(more)
    }

    /// Runs one due job, if there is one; says whether there was.
    #[cfg(test)]
    pub(crate) async fn step(&self) -> Result<bool> {
        match self.due().await?.first() {
            Some(due) => self.run(due).await,
            None => Ok(false),
        }
    }

    /// The due jobs that workers are free for, one of each kind at most, those first that have
    /// waited for longest. One read, or none if no worker is free.
    async fn due(&self) -> Result<Vec<Due>> {
        let free: Vec<_> = self
            .by_kind
            .keys()
            .filter(|kind| self.is_free(kind))
            .collect();
        if free.is_empty() {
            return Ok(Vec::new());
        }
        let op = self.kernel.internal_op(Lane::Background, "jobs");
        let kinds = list(free.into_iter().copied());
        let mut waiting = Vec::new();
        for row in op.sql().all(&store::DUE, args![kinds]).await? {
            waiting.push((row.int(0)?, row.int(1)?, row.string(2)?));
        }
        // A short list of kinds is padded, so a job may be found more than once.
        waiting.sort_unstable();
        waiting.dedup();
        let due = |(_, id, kind): (i64, i64, String)| self.reserve(id, &kind);
        Ok(waiting.into_iter().filter_map(due).collect())
    }

    /// Whether a job of this kind could begin now: its feature is on, and a worker is free.
    fn is_free(&self, kind: &str) -> bool {
        let free = |limiter: &Limiter| Some(limiter.in_use()) < limiter.limit().seats;
        self.by_kind
            .get(kind)
            .filter(|kind| kind.worker.is_on())
            .is_some_and(|kind| free(&kind.running) && self.lane_of(&kind.worker).is_none_or(free))
    }

    /// The workers that a kind shares with others; `None` if it has one of its own.
    fn lane_of(&self, worker: &Worker) -> Option<&Limiter> {
        if worker.is_recurring() {
            return None;
        }
        self.lanes.get(worker.lane.index())
    }

    /// Takes a worker for a job, if one is free.
    fn reserve(&self, id: i64, kind: &str) -> Option<Due> {
        let kind = self.by_kind.get(kind)?;
        let running = kind.running.try_acquire().ok()?;
        let lane = match self.lane_of(&kind.worker) {
            Some(lane) => Some(lane.try_acquire().ok()?),
            None => None,
        };
        Some(Due {
            id,
            kind: kind.worker.kind,
            _running: running,
            _lane: lane,
            _counted: RunningJob::new(kind.worker.kind),
        })
    }

    /// Claims a job and runs it, with a seat in its lane; says whether it was free still.
    async fn run(&self, due: &Due) -> Result<bool> {
        let Some(KindWorkers { worker, .. }) = self.by_kind.get(due.kind) else {
            return Ok(false);
        };
        let op = self.kernel.internal_op(worker.lane, worker.kind);
        // Another process may have been faster.
        let Some(claim) = JobClaim::take(&op, due.id, self.terms).await? else {
            return Ok(false);
        };
        let _seat = self.kernel.lanes().take(worker.lane);
        let Some(work) = worker.work(&op, &claim.payload) else {
            if self.told.lock().insert(worker.kind) {
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

async fn conclude(
    op: &Op,
    worker: &Worker,
    claim: &JobClaim,
    outcome: Result<JobOutcome>,
) -> Result<()> {
    let (id, fence) = (claim.id, claim.fence());
    let ended = if outcome.is_ok() { "done" } else { "failed" };
    counter!("seawall_jobs_total", "kind" => worker.kind, "outcome" => ended).increment(1);
    match outcome {
        Ok(JobOutcome::Done) if !worker.is_recurring() => {
            book(op, &store::DONE, args![id, fence]).await?;
        }
        Ok(outcome) => {
            let after = match outcome {
                JobOutcome::Again(after) => after,
                JobOutcome::Done => LONGEST_BACKOFF,
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

async fn put_off(op: &Op, claim: &JobClaim) -> Result<bool> {
    let arguments = args![claim.id, claim.fence(), millis(LONGEST_BACKOFF)];
    book(op, &store::PUT_OFF, arguments).await?;
    Ok(true)
}
