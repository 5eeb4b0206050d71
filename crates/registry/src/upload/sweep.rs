//! Removes uploads that were abandoned, and those of a repository that is going.

use std::collections::HashSet;
use std::time::Duration;

use seawall_blob::UploadState;
use seawall_kernel::Op;
use seawall_kernel::jobs::{Job, JobOutcome};
use seawall_meta::{Tx, args, list};
use seawall_types::{Millis, RepositoryId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{session, store};
use crate::Content;

/// How long after the start the sweep runs for the first time: not while everything else starts.
pub(crate) const SWEEP_FIRST: Duration = Duration::from_mins(5);
const SWEEP_AGAIN: Duration = Duration::from_hours(1);

/// Uploads of one read, and reads of one run.
const BATCH: u32 = 100;
const MOST_BATCHES: u32 = 1000;

/// The job that removes expired uploads (protocol §7.20). It has no input: it reconciles.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SweepUploads {}

impl Job for SweepUploads {
    const KIND: &'static str = "uploads.sweep";
}

/// Removes uploads without a request for longer than the expiry, by the database's clock, then
/// files that no row names and that were not touched for as long.
pub(crate) async fn sweep(content: &Content, op: &Op) -> Result<JobOutcome> {
    let expiry = content.config().uploads.expiry();
    let rows = expire(op, expiry).await?;
    let swept = sweep_files(op, expiry).await?;
    if rows > 0 || swept.files > 0 {
        tracing::info!(
            uploads = rows,
            files = swept.files,
            "expired uploads were removed"
        );
    }
    Ok(JobOutcome::Again(SWEEP_AGAIN))
}

async fn expire(op: &Op, expiry: Duration) -> Result<u64> {
    let age = i64::try_from(expiry.as_millis()).unwrap_or(i64::MAX / 4);
    let mut from = Millis(0);
    let mut removed = 0;
    for _ in 0..MOST_BATCHES {
        let rows = op
            .sql()
            .all(&store::EXPIRED, args![age, from, i64::from(BATCH)])
            .await?;
        for row in &rows {
            removed += u64::from(expire_one(op, row.text(0)?, row.bytes(1)?, age).await?);
        }
        match rows.last() {
            // A row that shares its millisecond with the last of a batch waits for the next run.
            Some(last) if rows.len() == BATCH as usize => from = Millis(last.millis(2)?.0 + 1),
            _ => break,
        }
    }
    Ok(removed)
}

/// Removes one upload, unless a request works on it or has come back to it.
async fn expire_one(op: &Op, uuid: &str, state: &[u8], age: i64) -> Result<bool> {
    let Ok(id) = Uuid::try_parse(uuid) else {
        return Ok(false);
    };
    let Ok(hold) = op.transfers().hold(id).await else {
        return Ok(false);
    };
    let gone = op
        .transaction((uuid.to_owned(), age), |tx, _op, (uuid, age)| {
            Box::pin(async move { Ok(tx.execute(&store::EXPIRE, args![uuid, *age]).await? > 0) })
        })
        .await?;
    // A state that this release cannot read leaves its file to the sweep of files.
    if let (true, Ok(state)) = (gone, UploadState::from_bytes(state)) {
        session::discard(op, &hold, &state).await;
    }
    Ok(gone)
}

async fn sweep_files(op: &Op, expiry: Duration) -> Result<seawall_blob::SweepOutcome> {
    let transfers = op.transfers();
    let mut idle: HashSet<Uuid> = transfers.idle_uploads(expiry).await?.into_iter().collect();
    let names: Vec<String> = idle.iter().map(Uuid::to_string).collect();
    for row in op.sql().all(&store::KNOWN, args![list(names)]).await? {
        if let Ok(known) = Uuid::try_parse(row.text(0)?) {
            idle.remove(&known);
        }
    }
    // Only what the database was asked about may go.
    Ok(transfers
        .sweep(move |id| !idle.contains(&id), expiry)
        .await?)
}

/// Takes at most `limit` uploads from a repository that is going; says how many there were to take.
/// Their files are left to the sweep, which finds no row that names them.
pub(crate) async fn clear(tx: &mut Tx, repository: RepositoryId, limit: u32) -> Result<u64> {
    Ok(tx.execute(&store::CLEAR, args![repository, limit]).await?)
}
