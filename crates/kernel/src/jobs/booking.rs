//! Writing down what became of a job: one statement in a transaction of its own.

use std::time::Duration;

use seawall_types::Result;

use crate::op::Op;

/// Runs one statement; says whether it found what it was to change.
pub(super) async fn book(
    op: &Op,
    statement: &'static seawall_meta::Statement,
    arguments: seawall_meta::Args,
) -> Result<bool> {
    op.transaction((statement, arguments), |tx, _op, (statement, arguments)| {
        Box::pin(async move { Ok(tx.execute(statement, arguments.clone()).await? > 0) })
    })
    .await
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
