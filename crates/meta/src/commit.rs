//! How a transaction begins and ends on its connection.
//!
//! What fails before `COMMIT` was sent is certainly not done; what fails after it, for want of an
//! answer, is told as uncertain and nothing else. A connection whose rollback fails is closed.

use std::sync::Arc;
use std::time::Duration;

use seawall_types::Context;

use crate::connection::Connection;
use crate::dialect::SqlDialect;
use crate::dialect::errors::Failure;
use crate::error::Error;
use crate::shared::{ReconnectBudget, SharedDatabase};
use crate::start::StartGate;
use crate::tx::{AttemptError, AttemptResult, TransactionBody, run_body};

/// Runs a body in a transaction of its own, once.
pub(crate) async fn attempt<T, E, F>(
    shared: &Arc<SharedDatabase>,
    context: &Context,
    gate: &StartGate,
    body: &F,
) -> AttemptResult<T, E>
where
    F: TransactionBody<T, E>,
    E: From<Error>,
{
    let left = context.remaining(&*shared.clock);
    let (connection, since) = begin(shared, left).await?;
    let (connection, attempt) = if gate.begin() {
        run_body(shared, context, connection, body).await
    } else {
        (connection, Err(AttemptError::from(past_deadline())))
    };
    let ended = end(connection, attempt).await;
    context
        .cost
        .charge_db(shared.clock.elapsed().saturating_sub(since));
    ended
}

/// A connection in a new transaction, and since when it is on loan; for a caller that has only so
/// much time left.
pub(crate) async fn begin(
    shared: &SharedDatabase,
    left: Option<Duration>,
) -> Result<(Connection, Duration), Failure> {
    let mut broken = ReconnectBudget::new(shared);
    loop {
        let mut connection = shared.pools.writer_within(left).await?;
        let since = shared.clock.elapsed();
        if shared.pools.dialect() == SqlDialect::Sqlite {
            connection.defer_control(SqlDialect::Sqlite.begin());
            return Ok((connection, since));
        }
        match connection.command(shared.pools.dialect().begin()).await {
            Ok(()) => return Ok((connection, since)),
            // Broken while idle: nothing has happened yet.
            Err(failure) if failure.lost && broken.one_more() => {}
            Err(failure) if failure.lost => return Err(failure),
            Err(failure) => {
                connection.finish().await;
                return Err(failure);
            }
        }
    }
}

async fn end<T, E: From<Error>>(
    mut connection: Connection,
    attempt: AttemptResult<T, E>,
) -> AttemptResult<T, E> {
    match attempt {
        Ok(committed) => commit(connection)
            .await
            .map(|()| committed)
            .map_err(AttemptError::from),
        Err(abort) => {
            if connection.roll_back().await.is_ok() {
                connection.finish().await;
            }
            Err(abort)
        }
    }
}

/// Commits, or rolls back if that fails.
pub(crate) async fn commit(mut connection: Connection) -> Result<(), Failure> {
    if connection.is_unused() {
        // Nothing was sent, so there is nothing to commit, and nothing is waited for.
        connection.roll_back().await?;
        connection.finish().await;
        return Ok(());
    }
    match connection.command("COMMIT").await {
        Ok(()) => {
            connection.finish().await;
            Ok(())
        }
        Err(failure) => not_committed(connection, failure).await,
    }
}

/// Rolls back after a commit that failed, and says how it failed.
pub(crate) async fn not_committed(
    mut connection: Connection,
    failure: Failure,
) -> Result<(), Failure> {
    if failure.lost {
        return Err(failure.error.of_unknown_end().into());
    }
    if connection.roll_back().await.is_ok() {
        connection.finish().await;
    }
    Err(failure)
}

/// What a transaction ends with that has not begun by its deadline; it certainly did nothing.
pub(crate) fn past_deadline() -> Failure {
    Error::Unavailable("the deadline passed before the transaction began".into()).into()
}
