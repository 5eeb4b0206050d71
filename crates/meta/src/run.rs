//! Runs a transaction until it commits, fails for good, or its time is over.
//!
//! On a server each transaction has a connection and a commit of its own; on SQLite, with its one
//! writer, those that wait share a commit (`group_commit.rs`).

use std::sync::Arc;
use std::time::Duration;

use seawall_types::Context;

use crate::dialect::SqlDialect;
use crate::error::Error;
use crate::shared::SharedDatabase;
use crate::start::StartGate;
use crate::tx::{CommitOutcome, TransactionBody};
use crate::{commit, group_commit, random};

/// How often a transaction is run at most.
const ATTEMPTS: u32 = 8;
/// No further attempt begins after so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// The first pause between attempts; doubled each time.
const PAUSE: Duration = Duration::from_millis(5);

/// Runs the body until it commits, fails for good, or there is no time for another attempt: by the
/// deadline of its operation, or by our own patience.
pub(crate) async fn run<T, E, F>(
    shared: &Arc<SharedDatabase>,
    context: &Context,
    gate: &Arc<StartGate>,
    body: F,
) -> Result<CommitOutcome<T>, E>
where
    F: TransactionBody<T, E>,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    if shared.is_past_deadline(context) {
        return Err(commit::past_deadline().error.into());
    }
    let begun = shared.clock.elapsed();
    let body = Arc::new(body);
    let in_groups = shared.pools.dialect() == SqlDialect::Sqlite;
    let mut attempt = 1;
    loop {
        let ended = if in_groups {
            group_commit::attempt(shared, context, gate, &body).await
        } else {
            commit::attempt(shared, context, gate, &*body).await
        };
        let abort = match ended {
            Ok(committed) => return Ok(committed),
            Err(abort) => abort,
        };
        let waited = shared.clock.elapsed().saturating_sub(begun);
        if !abort.retry || attempt >= ATTEMPTS || waited >= PATIENCE {
            return Err(abort.error);
        }
        gate.undone();
        // No connection is held during the pause.
        tokio::time::sleep(random::jitter(PAUSE * 2_u32.pow(attempt))).await;
        if shared.is_past_deadline(context) {
            return Err(abort.error);
        }
        attempt += 1;
    }
}
