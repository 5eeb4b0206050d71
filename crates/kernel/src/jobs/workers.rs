//! The workers of one process: they look for due jobs, claim them, run them in their lanes, and
//! book the outcomes.
//!
//! One task reads the queue for all of them, so that looking costs the same however many there are:
//! once a second, and at once when the bell rings, because a job was queued here or a worker has
//! become free. It never waits for a job. Each feature has a worker of its own in each lane, and
//! all share some more, of which each kind takes so many at most. So a job of hours holds up
//! neither another lane, nor another feature, nor another kind. A recurring kind, which is in the
//! queue only once, has a worker of its own: maintenance waits for no other job.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use metrics::{Gauge, counter, gauge};
use parking_lot::Mutex;
use seawall_limit::{KeyedLimiter, KeyedPermit, Limit, Limiter, Permit};
use seawall_meta::{args, list};
use seawall_types::lane::Lane;
use seawall_types::work::Spawner;
use seawall_types::{Error, Reason, Result};

use super::booking::{book, millis};
use super::claim::{ClaimTerms, JobClaim};
use super::gauges::Gauges;
use super::store;
use super::worker::{JobOutcome, Worker};
use crate::kernel::Kernel;
use crate::op::Op;

/// How often the queue is read when nothing rings.
const IDLE: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_mins(10);
/// How many workers of a lane its features share, beside the one that each has and those of
/// recurring jobs.
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
            let mut gauges = Gauges::default();
            while !tracker.is_stopping() {
                match workers.begin(&mut gauges).await {
                    Ok(true) => continue,
                    Ok(false) => failing = false,
                    Err(error) if !std::mem::replace(&mut failing, true) => {
                        tracing::warn!(%error, "the job queue cannot be read, retrying");
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
    shared: [Limiter; Lane::ALL.len()],
    own: KeyedLimiter<(&'static str, Lane)>,
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
struct DueJob {
    id: i64,
    kind: &'static str,
    _running: Permit,
    _worker: Option<WorkerPermit>,
    _counted: RunningJob,
}

/// The worker that a job occupies: its feature's own in its lane, or one that all share.
enum WorkerPermit {
    Own {
        _permit: KeyedPermit<(&'static str, Lane)>,
    },
    Shared {
        _permit: Permit,
    },
}

/// A job that is counted as running until this is dropped.
struct RunningJob(Gauge);

impl RunningJob {
    fn new(worker: &Worker) -> Self {
        let (kind, feature) = (worker.kind, worker.feature());
        let running = gauge!("seawall_jobs_running", "kind" => kind, "feature" => feature);
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
            shared: Lane::ALL.map(|lane| Limiter::new(lane.name(), Limit::of(WORKERS))),
            own: KeyedLimiter::new("workers", 1),
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
    async fn begin(self: &Arc<Self>, gauges: &mut Gauges) -> Result<bool> {
        self.count(gauges).await?;
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
                    Err(error) => {
                        tracing::warn!(%error, "the outcome of a job could not be recorded");
                    }
                }
            };
            self.kernel.tracker().spawn("job", Box::pin(job));
        }
        Ok(more)
    }

    /// Counts what waits, if it is time.
    pub(crate) async fn count(&self, gauges: &mut Gauges) -> Result<()> {
        let op = self.kernel.internal_op(Lane::Background, "jobs");
        let workers = self.by_kind.values().map(|kind| &kind.worker);
        gauges.update(&op, workers).await
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
    async fn due(&self) -> Result<Vec<DueJob>> {
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
            .is_some_and(|kind| {
                let worker = &kind.worker;
                let shared = || self.shared.get(worker.lane.index()).is_some_and(free);
                let own = || self.own.in_use(&(worker.feature(), worker.lane)) == 0;
                free(&kind.running) && (worker.is_recurring() || own() || shared())
            })
    }

    /// Takes a worker of its feature's, or else one that all share.
    fn worker_for(&self, worker: &Worker) -> Option<WorkerPermit> {
        if let Ok(permit) = self.own.try_acquire((worker.feature(), worker.lane)) {
            return Some(WorkerPermit::Own { _permit: permit });
        }
        let permit = self.shared.get(worker.lane.index())?.try_acquire().ok()?;
        Some(WorkerPermit::Shared { _permit: permit })
    }

    /// Takes a worker for a job, if one is free.
    fn reserve(&self, id: i64, kind: &str) -> Option<DueJob> {
        let kind = self.by_kind.get(kind)?;
        let running = kind.running.try_acquire().ok()?;
        let worker = match &kind.worker {
            recurring if recurring.is_recurring() => None,
            worker => Some(self.worker_for(worker)?),
        };
        Some(DueJob {
            id,
            kind: kind.worker.kind,
            _running: running,
            _worker: worker,
            _counted: RunningJob::new(&kind.worker),
        })
    }

    /// Claims a job and runs it, with a seat in its lane; says whether it was free still.
    async fn run(&self, due: &DueJob) -> Result<bool> {
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
                    "a job waits: its payload is unknown to this release"
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
    let (kind, feature) = (worker.kind, worker.feature());
    counter!("seawall_jobs_total", "kind" => kind, "feature" => feature, "outcome" => ended)
        .increment(1);
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
