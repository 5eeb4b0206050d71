//! The workers of one process: they claim due jobs, run them in their lane, and book the outcome.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use seawall_meta::args;
use seawall_types::lane::Lane;
use seawall_types::work::Spawn;
use seawall_types::{Error, Reason, Result};
use tokio::sync::Notify;

use super::{Job, store};
use crate::kernel::Kernel;
use crate::op::Op;

const LEASE: Duration = Duration::from_mins(1);
const IDLE: Duration = Duration::from_secs(1);
const ATTEMPTS: i64 = 10;
const LONGEST_BACKOFF: Duration = Duration::from_mins(10);

/// What a job's run comes to, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done and leaves the queue.
    Done,
    /// It is to run again after this time.
    Again(Duration),
}

/// Wakes the workers of this process when a job was enqueued here.
#[derive(Default)]
pub struct Bell(Notify);

impl Bell {
    /// A job may be due.
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

type Run = Arc<dyn Fn(Op, String) -> BoxFuture<'static, Result<Outcome>> + Send + Sync>;

/// What runs jobs of one kind.
#[derive(Clone)]
pub struct Worker {
    /// The kind.
    pub kind: &'static str,
    /// The lane that all its work runs in.
    pub lane: Lane,
    run: Run,
}

impl Worker {
    /// Runs jobs of type `J` in `lane`.
    pub fn new<J, F, R>(lane: Lane, run: F) -> Self
    where
        J: Job,
        F: Fn(Op, J) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Outcome>> + Send + 'static,
    {
        let run: Run = Arc::new(
            move |op, payload| match serde_json::from_str::<J>(&payload) {
                Ok(job) => run(op, job).boxed(),
                Err(error) => {
                    let refusal = Error::new(Reason::Internal, "a job of an unknown shape");
                    futures::future::ready(Err(refusal.with_source(error))).boxed()
                }
            },
        );
        Self {
            kind: J::KIND,
            lane,
            run,
        }
    }
}

struct Claim {
    id: i64,
    kind: String,
    payload: String,
    attempts: i64,
    fence: i64,
}

/// Runs due jobs until the process stops, one at a time, so that jobs never crowd out requests.
///
/// A kind that no worker here knows (a later release's, or a feature's that is switched off) stays
/// where it is: it is put back, not failed.
pub fn run(kernel: &Arc<Kernel>, workers: Vec<Worker>) {
    let workers: HashMap<&'static str, Worker> = workers
        .into_iter()
        .map(|worker| (worker.kind, worker))
        .collect();
    let kernel = Arc::clone(kernel);
    let tracker = Arc::clone(kernel.tracker());
    tracker.spawn("job-worker", {
        let tracker = Arc::clone(&tracker);
        Box::pin(async move {
            while !tracker.is_stopping() {
                match step(&kernel, &workers).await {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "the job queue cannot be read"),
                }
                tokio::select! {
                    () = tokio::time::sleep(IDLE) => {}
                    () = kernel.bell().0.notified() => {}
                    () = tracker.stopping() => {}
                }
            }
        })
    });
}

/// Runs one due job, if there is one; says whether there was.
async fn step(kernel: &Arc<Kernel>, workers: &HashMap<&'static str, Worker>) -> Result<bool> {
    let op = kernel.internal_op(Lane::Background, "jobs");
    if op.sql().optional(&store::DUE, args![]).await?.is_none() {
        return Ok(false);
    }
    let Some(claim) = claim(&op).await? else {
        return Ok(false);
    };
    let Some(worker) = workers.get(claim.kind.as_str()) else {
        let later = millis(LONGEST_BACKOFF);
        book(&op, &store::AGAIN, args![claim.id, claim.fence, later]).await?;
        return Ok(true);
    };
    let outcome = attempt(kernel, worker, &claim).await;
    conclude(&op, &claim, outcome).await?;
    Ok(true)
}

async fn claim(op: &Op) -> Result<Option<Claim>> {
    op.transaction((), |tx, _op, ()| {
        Box::pin(async move {
            let Some(row) = tx.optional(&store::CLAIM, args![]).await? else {
                return Ok(None);
            };
            let claim = Claim {
                id: row.int(0)?,
                kind: row.string(1)?,
                payload: row.string(2)?,
                attempts: row.int(3)? + 1,
                fence: row.int(4)? + 1,
            };
            tx.execute(&store::LEASE, args![claim.id, millis(LEASE)])
                .await?;
            Ok(Some(claim))
        })
    })
    .await
}

/// Runs the job beside a beat that renews its lease; a panic is a failure like any other.
async fn attempt(kernel: &Arc<Kernel>, worker: &Worker, claim: &Claim) -> Result<Outcome> {
    let op = kernel.internal_op(worker.lane, worker.kind);
    let work = std::panic::AssertUnwindSafe((worker.run)(op.clone(), claim.payload.clone()));
    let mut work = Box::pin(work.catch_unwind());
    loop {
        tokio::select! {
            done = &mut work => {
                return done.unwrap_or_else(|_| Err(Error::new(Reason::Internal, "the job panicked")));
            }
            () = tokio::time::sleep(LEASE / 3) => {
                book(&op, &store::RENEW, args![claim.id, claim.fence, millis(LEASE)]).await?;
            }
        }
    }
}

async fn conclude(op: &Op, claim: &Claim, outcome: Result<Outcome>) -> Result<()> {
    match outcome {
        Ok(Outcome::Done) => book(op, &store::DONE, args![claim.id, claim.fence]).await,
        Ok(Outcome::Again(after)) => {
            book(
                op,
                &store::AGAIN,
                args![claim.id, claim.fence, millis(after)],
            )
            .await
        }
        Err(error) => {
            tracing::warn!(job = claim.id, kind = claim.kind, attempt = claim.attempts, %error, "a job failed");
            let state = if claim.attempts >= ATTEMPTS {
                store::DEAD
            } else {
                store::QUEUED
            };
            let exponent = u32::try_from(claim.attempts).unwrap_or(16).min(16);
            let delay = Duration::from_secs(1)
                .saturating_mul(1 << exponent)
                .min(LONGEST_BACKOFF);
            let words: String = error.to_string().chars().take(1000).collect();
            let arguments = args![claim.id, claim.fence, millis(delay), state, words];
            book(op, &store::FAILED, arguments).await
        }
    }
}

async fn book(
    op: &Op,
    statement: &'static seawall_meta::Statement,
    arguments: seawall_meta::Args,
) -> Result<()> {
    op.transaction((statement, arguments), |tx, _op, (statement, arguments)| {
        Box::pin(async move {
            tx.execute(statement, arguments.clone()).await?;
            Ok(())
        })
    })
    .await
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
