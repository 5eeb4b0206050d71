//! Follows the change log for what other processes do.

use std::sync::Arc;
use std::time::Duration;

use seawall_meta::CHANGES;
use seawall_meta::log::{Follower, LogRow};
use seawall_types::Result;
use seawall_types::work::Spawner;

use super::ChangeNotice;
use crate::kernel::Kernel;

/// How often the log is asked when nothing says "sooner".
const PERIOD: Duration = Duration::from_millis(200);

/// Follows the change log until the process stops.
///
/// Starts at the log's stored floor, never at its highest id. A poll that fails is logged once per
/// outage and tried again; what the caches hold is not fresh meanwhile, and they know its age.
pub async fn follow(kernel: &Arc<Kernel>) -> Result<()> {
    let floor = kernel.meta().log_floor(&CHANGES).await?;
    let mut follower = kernel.meta().changes(floor).await?;
    let kernel = Arc::clone(kernel);
    let tracker = Arc::clone(kernel.tracker());
    tracker.spawn("change-follower", {
        let tracker = Arc::clone(&tracker);
        Box::pin(async move {
            let mut failing = false;
            while !tracker.is_stopping() {
                if poll(&kernel, &mut follower, &mut failing).await {
                    continue;
                }
                tokio::select! {
                    () = tokio::time::sleep(PERIOD) => {}
                    () = kernel.changes().bell.notified() => {}
                    () = tracker.stopping() => {}
                }
            }
        })
    });
    Ok(())
}

/// Polls the log once; says whether there is more to see at once.
async fn poll(kernel: &Kernel, follower: &mut Follower, failing: &mut bool) -> bool {
    let poll = match follower.poll().await {
        Ok(poll) => poll,
        Err(error) => {
            if !std::mem::replace(failing, true) {
                tracing::warn!(%error, "the change log cannot be read, retrying");
            }
            return false;
        }
    };
    if std::mem::take(failing) {
        tracing::info!("the change log can be read again");
    }
    if poll.history_changed {
        kernel.changes().publish(ChangeNotice::Everything);
    }
    for row in &poll.rows {
        kernel.changes().publish(notice(row));
    }
    if !poll.more {
        kernel.changes().polled(poll.began);
    }
    poll.more
}

/// What a row says. What cannot be read may mean anything.
fn notice(row: &LogRow) -> ChangeNotice<'_> {
    let read = || -> seawall_meta::Result<ChangeNotice<'_>> {
        Ok(ChangeNotice::Change {
            kind: row.kind,
            a: row.row.int(0)?,
            b: row.row.int(1)?,
            name: row.row.opt_text(2)?,
        })
    };
    read().unwrap_or(ChangeNotice::Everything)
}
