//! Closes holes by taking their ids.
//!
//! The primary key makes it safe: while the transaction that may hold the id is
//! alive, our insert waits for it (and gives up soon); once ours is in, a late
//! insert of that id fails and its transaction is run again.

use super::table::LogTable;
use crate::args;
use crate::args::list;
use crate::dialect::errors::Failure;
use crate::error::Error;
use crate::meta::Meta;
use crate::random;
use crate::statement::SIZES;

/// How long to wait for a transaction that holds an id. MariaDB counts in seconds.
const LOCK_TIMEOUT_MS: u64 = 100;
/// How many ids are tried one by one after a batch met a live transaction.
const SINGLES: usize = 16;

/// Tries to take these ids. Whether it worked, the next poll sees.
pub(super) async fn close(meta: &Meta, table: &'static LogTable, ids: &[i64]) {
    for batch in ids.chunks(SIZES[SIZES.len() - 1]) {
        match void(meta, table, batch).await {
            Ok(()) => tracing::debug!(
                log = table.name,
                ids = batch.len(),
                "closed ids that were never committed"
            ),
            Err(error) if batch.len() == 1 => {
                tracing::debug!(log = table.name, %error, "an id is still in use");
            }
            Err(_) => {
                for id in batch.iter().take(SINGLES) {
                    if let Err(error) = void(meta, table, &[*id]).await {
                        tracing::debug!(log = table.name, id, %error, "an id is still in use");
                    }
                }
            }
        }
    }
}

async fn void(meta: &Meta, table: &'static LogTable, ids: &[i64]) -> Result<(), Error> {
    close_locally(meta, table, ids)
        .await
        .map_err(|failure| failure.error)
}

async fn close_locally(meta: &Meta, table: &'static LogTable, ids: &[i64]) -> Result<(), Failure> {
    let shared = &meta.shared;
    let dialect = shared.pools.dialect();
    let rendered = table.void.for_len(dialect, ids.len())?;
    let args = args![list(ids.iter().copied()), random::nonce()];
    let mut connection = shared.pools.writer().await?;
    if let Some(setting) = dialect.lock_timeout(LOCK_TIMEOUT_MS) {
        connection.command(&setting).await?;
    }
    // One statement is a transaction of its own.
    let execution = shared.execution(rendered, &args);
    let result = connection.execute(&execution).await;
    if let Some(setting) = dialect.lock_timeout(shared.config.lock_timeout_ms) {
        connection.command(&setting).await?;
    }
    connection.finish().await;
    match result {
        // Another process's row: just as good.
        Err(failure) if failure.error.is_unique() => Ok(()),
        other => other.map(drop),
    }
}
