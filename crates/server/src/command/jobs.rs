//! `seawall jobs`: the queue of jobs, and trying again what has failed.

use anyhow::Result;
use clap::{Args, Subcommand};
use seawall_kernel::jobs::{self, JobSummary};
use serde::Serialize;

use super::{Common, Output};
use crate::desk::Desk;
use crate::terminal::Terminal;

/// Look after the queue of jobs.
#[derive(Debug, Clone, Subcommand)]
pub enum JobsCommand {
    /// List the jobs that wait, run or fail
    List(JobsList),
    /// Have a job tried again now that waits after a failure
    Retry(JobsRetry),
}

/// List the jobs.
#[derive(Debug, Clone, Args)]
pub struct JobsList {
    /// How to write the list.
    #[command(flatten)]
    pub output: Output,
}

/// Have jobs tried again.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct JobsRetry {
    /// The job's id
    pub id: Option<i64>,

    /// All jobs whose last run failed
    #[arg(long)]
    pub failing: bool,
}

/// A job with what runs it in this release; nothing for a kind that it does not know.
#[derive(Debug, Serialize)]
struct ListedJob {
    #[serde(flatten)]
    job: JobSummary,
    feature: Option<&'static str>,
    lane: Option<&'static str>,
}

impl ListedJob {
    fn of(desk: &Desk, job: JobSummary) -> Self {
        let worker = desk.house.worker_of(&job.kind);
        Self {
            job,
            feature: worker.map(|(feature, _)| feature),
            lane: worker.map(|(_, lane)| lane.name()),
        }
    }
}

impl JobsCommand {
    /// Does it.
    pub async fn run(&self, common: &Common, terminal: Terminal) -> Result<()> {
        Desk::work(common, terminal, async |desk| self.act(desk).await).await
    }

    async fn act(&self, desk: &Desk) -> Result<()> {
        match self {
            Self::List(list) => {
                let listed = jobs::list(&desk.op, &desk.installation()?).await?;
                let listed: Vec<_> = listed
                    .into_iter()
                    .map(|job| ListedJob::of(desk, job))
                    .collect();
                let head = [
                    "ID",
                    "KIND",
                    "FEATURE",
                    "LANE",
                    "STATE",
                    "DUE",
                    "FAILURES",
                    "LAST ERROR",
                ];
                let row = |listed: &ListedJob| {
                    let job = &listed.job;
                    vec![
                        job.id.to_string(),
                        job.kind.clone(),
                        listed.feature.unwrap_or("-").to_owned(),
                        listed.lane.unwrap_or("-").to_owned(),
                        job.state.as_str().to_owned(),
                        job.due_at.to_string(),
                        job.failures.to_string(),
                        job.last_error.clone().unwrap_or_default(),
                    ]
                };
                desk.terminal.list(list.output, &listed, (&head, row))?;
            }
            Self::Retry(JobsRetry { id: Some(id), .. }) => {
                jobs::retry(&desk.op, &desk.installation()?, *id).await?;
                desk.terminal.say(format_args!("job {id} is due now"))?;
            }
            Self::Retry(JobsRetry { id: None, .. }) => {
                let due = jobs::retry_failing(&desk.op, &desk.installation()?).await?;
                desk.terminal
                    .say(format_args!("{due} failing jobs are due now"))?;
            }
        }
        Ok(())
    }
}
