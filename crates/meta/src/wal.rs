//! Keeps SQLite's write-ahead log from growing without end.
//!
//! SQLite copies the log into the file by itself and never waits for a reader while it does. It
//! begins the log anew only when all of it was copied and nothing reads in it, a moment that may
//! not come where readers always overlap; and a file that has grown stays as long as it is. So the
//! writer checks its length, and where it is twice its limit, waits a little for readers, each of
//! which is in one statement, and truncates it. Readers never wait.

use std::path::Path;
use std::time::Duration;

use crate::dialect::errors::Failure;
use crate::pools::SQLITE_LOG_PAGES;
use crate::shared::SharedDatabase;

/// Bytes of a page, with what the log says of it.
const PAGE: u64 = 4096 + 24;

/// How long the writer waits for readers, in milliseconds.
const PATIENCE_MS: u64 = 500;

/// How long no further attempt is made when readers stayed.
const PAUSE: Duration = Duration::from_secs(10);

/// Truncates the log if it is too long. The writer calls it once its callers have their answers.
pub(crate) async fn shorten(shared: &SharedDatabase) {
    let now = shared.clock.elapsed();
    let due = || shared.wal_check_due.lock();
    if now < *due() || !is_long(&shared.address.url) {
        return;
    }
    *due() = now + PAUSE;
    match cut_off(shared).await {
        Ok(true) => *due() = now,
        Ok(false) => {
            tracing::warn!("readers keep SQLite's write-ahead log from being truncated");
        }
        Err(failure) => {
            let error = failure.error;
            tracing::warn!(%error, "SQLite's write-ahead log cannot be truncated");
        }
    }
}

/// Reads the file's length, on the disk that has just been written to.
fn is_long(file: &str) -> bool {
    let pages = SQLITE_LOG_PAGES
        .parse::<u64>()
        .unwrap_or(u64::MAX / PAGE / 2);
    let log = format!("{file}-wal");
    std::fs::metadata(Path::new(&log)).is_ok_and(|log| log.len() > 2 * pages * PAGE)
}

/// Says whether no reader prevented it.
async fn cut_off(shared: &SharedDatabase) -> Result<bool, Failure> {
    let mut connection = shared.pools.writer().await?;
    let patience = |milliseconds| format!("PRAGMA busy_timeout = {milliseconds}");
    connection.command(&patience(PATIENCE_MS)).await?;
    let rows = connection.ask("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    connection
        .command(&patience(shared.config.sqlite_busy_timeout_ms()))
        .await?;
    connection.finish().await;
    Ok(rows.first().map_or(Ok(1), |row| row.int(0))? == 0)
}
