//! The queue as an operator sees it: what waits, what runs, what fails and why, and the means to
//! have a job tried again before its time.

use seawall_meta::args;
use seawall_types::time::{Millis, as_text};
use seawall_types::{Error, Reason, Result};
use serde::Serialize;

use super::store;
use crate::auth::{Administer, Inspect};
use crate::catalog::Installation;
use crate::op::Op;

/// A job as it stands in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobSummary {
    /// Its id; never reused.
    pub id: i64,
    /// Its kind.
    pub kind: String,
    /// Whether a worker of any process has it.
    pub state: JobState,
    /// When it is due, or was when it began.
    #[serde(serialize_with = "as_text")]
    pub due_at: Millis,
    /// How often it has failed in a row.
    pub failures: i64,
    /// What the last failure was, even if the job has succeeded since.
    pub last_error: Option<String>,
}

/// What becomes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for its time or for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// Its last run failed, and it waits for the next.
    Failing,
}

impl JobState {
    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Failing => "failing",
        }
    }
}

/// All jobs, by their ids.
pub async fn list(op: &Op, _installation: &Installation<Inspect>) -> Result<Vec<JobSummary>> {
    all(op).await
}

/// Makes the job `id` due now. Errors: `NotFound` for one that is not there or runs at this moment.
pub async fn retry(op: &Op, _installation: &Installation<Administer>, id: i64) -> Result<()> {
    if due_now(op, vec![id]).await? == 0 {
        let words = format!("no job {id} waits; it has ended, or runs at this moment");
        return Err(Error::new(Reason::NotFound, words));
    }
    Ok(())
}

/// Makes all failing jobs due now; says how many.
pub async fn retry_failing(op: &Op, _installation: &Installation<Administer>) -> Result<u64> {
    let jobs = all(op).await?.into_iter();
    let failing = jobs.filter(|job| job.state == JobState::Failing);
    due_now(op, failing.map(|job| job.id).collect()).await
}

async fn all(op: &Op) -> Result<Vec<JobSummary>> {
    let mut jobs: Vec<JobSummary> = Vec::new();
    loop {
        let last = jobs.last().map_or(0, |job| job.id);
        let rows = op.sql().all(&store::LIST, args![last]).await?;
        if rows.is_empty() {
            return Ok(jobs);
        }
        for row in rows {
            let failures = row.int(3)?;
            let state = match failures {
                _ if row.millis(5)? >= op.now() => JobState::Running,
                0 => JobState::Queued,
                _ => JobState::Failing,
            };
            jobs.push(JobSummary {
                id: row.int(0)?,
                kind: row.string(1)?,
                state,
                due_at: row.millis(2)?,
                failures,
                last_error: row.opt_string(4)?,
            });
        }
    }
}

/// One short transaction each, so that nothing waits for a long one.
async fn due_now(op: &Op, ids: Vec<i64>) -> Result<u64> {
    let mut due = 0;
    for id in ids {
        let retrying = op.transaction(id, |tx, _op, id| {
            Box::pin(async move { Ok(tx.execute(&store::RETRY, args![*id]).await?) })
        });
        due += retrying.await?;
    }
    Ok(due)
}
