//! Backfill of columns that the kernel's migrations added, in the background lane, range by range.
//!
//! Every start looks once at each table that is to be filled, which is one read where that was done
//! before. A range is one short transaction, so that filling holds up no writer.

use std::time::Duration;

use seawall_meta::{Backfill, BackfillKey};
use seawall_types::Result;
use serde::{Deserialize, Serialize};

use crate::catalog::store;
use crate::jobs::{Job, JobOutcome};
use crate::op::Op;

/// How long after the start.
pub(crate) const FIRST: Duration = Duration::from_secs(10);
/// So many rows a transaction fills.
const ROWS: u32 = 200;
/// So many transactions one run makes before other jobs get their turn.
const TURNS: usize = 40;
/// The pause after that.
const PAUSE: Duration = Duration::from_millis(500);

/// What is to be filled. An entry may go when no older release has to be upgraded from any more.
static TABLES: [Backfill; 1] = [
    // A namespace that was here before the mark counts as showing something public.
    Backfill {
        name: "namespace.shows_public",
        key: BackfillKey::Id,
        next: &store::MARKS_NEXT,
        lock: Some(&store::MARKS_LOCK),
        fill: &store::MARKS_FILL,
    },
];

/// Fills all of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FillColumns {}

impl Job for FillColumns {
    const KIND: &'static str = "columns.fill";
}

/// Runs [`FillColumns`].
pub(crate) async fn run(op: &Op) -> Result<JobOutcome> {
    let mut turns = 0;
    for table in &TABLES {
        loop {
            let step = op.transaction((), move |tx, _op, ()| {
                Box::pin(async move { Ok(tx.backfill(table, ROWS).await?) })
            });
            if step.await? {
                break;
            }
            turns += 1;
            if turns == TURNS {
                return Ok(JobOutcome::Again(PAUSE));
            }
        }
    }
    Ok(JobOutcome::Done)
}
