//! `seawall jobs`: the queue of jobs, and trying again what has failed.

use anyhow::Result;
use clap::{Args, Subcommand};
use seawall_kernel::jobs::{self, JobSummary};
use serde::Serialize;

use super::{CommonOptions, OutputOptions};
use crate::command_context::CommandContext;
use crate::terminal::Terminal;

/// Inspect the queue of jobs and retry failing ones.
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
    pub output: OutputOptions,
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
    fn of(context: &CommandContext, job: JobSummary) -> Self {
        let worker = context.app.worker_of(&job.kind);
        Self {
            job,
            feature: worker.map(|(feature, _)| feature),
            lane: worker.map(|(_, lane)| lane.name()),
        }
    }
}

impl JobsCommand {
    /// Does it.
    pub async fn run(&self, common: &CommonOptions, terminal: Terminal) -> Result<()> {
        CommandContext::work(common, terminal, async |context| self.act(context).await).await
    }

    async fn act(&self, context: &CommandContext) -> Result<()> {
        match self {
            Self::List(list) => {
                let listed = jobs::list(&context.op, &context.installation()?).await?;
                let listed: Vec<_> = listed
                    .into_iter()
                    .map(|job| ListedJob::of(context, job))
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
                context.terminal.list(list.output, &listed, (&head, row))?;
            }
            Self::Retry(JobsRetry { id: Some(id), .. }) => {
                jobs::retry(&context.op, &context.installation()?, *id).await?;
                context.terminal.say(format_args!("job {id} is due now"))?;
            }
            Self::Retry(JobsRetry { id: None, .. }) => {
                let due = jobs::retry_failing(&context.op, &context.installation()?).await?;
                context
                    .terminal
                    .say(format_args!("{due} failing jobs are due now"))?;
            }
        }
        Ok(())
    }
}
