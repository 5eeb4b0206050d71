//! Delivery: each consumer follows the event log behind a leased, fenced cursor of its own.
//!
//! The cursor only moves to below the first hole, so an event whose transaction commits late is not
//! missed; what lies above the hole is delivered, and may be delivered again after a restart.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use seawall_meta::args;
use seawall_meta::log::{Follower, LogRow};
use seawall_types::Result;
use seawall_types::lane::Lane;
use seawall_types::work::Spawn;

use super::store::{self, log};
use super::{Event, EventKind, Recorded};
use crate::kernel::Kernel;
use crate::op::Op;

/// At most so many events are handed over at once.
pub const BATCH: usize = 256;

/// A cursor that nobody has held for so long belongs to a feature that is switched off.
const FORGOTTEN: Duration = Duration::from_hours(24);
const LEASE: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

type Consume = Arc<dyn Fn(Op, Arc<[Recorded]>) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Someone who hears events.
#[derive(Clone)]
pub struct Consumer {
    /// Its name, under which its cursor is kept.
    pub name: &'static str,
    lane: Lane,
    consume: Consume,
}

impl Consumer {
    /// A consumer; it must bear hearing an event twice.
    pub fn new<F, R>(name: &'static str, lane: Lane, consume: F) -> Self
    where
        F: Fn(Op, Arc<[Recorded]>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<()>> + Send + 'static,
    {
        Self {
            name,
            lane,
            consume: Arc::new(move |op, events| consume(op, events).boxed()),
        }
    }
}

/// Delivers events to `consumer` until the process stops.
pub fn run(kernel: &Arc<Kernel>, consumer: Consumer) {
    let kernel = Arc::clone(kernel);
    let tracker = Arc::clone(kernel.tracker());
    tracker.spawn("event-consumer", {
        let tracker = Arc::clone(&tracker);
        Box::pin(async move {
            let mut failures = 0u32;
            while !tracker.is_stopping() {
                let wait = match hold(&kernel, &consumer).await {
                    Ok(()) => {
                        failures = 0;
                        LEASE / 6
                    }
                    Err(error) => {
                        tracing::warn!(consumer = consumer.name, %error, "events wait");
                        failures = failures.saturating_add(1).min(8);
                        IDLE.saturating_mul(1 << failures).min(LONGEST_WAIT)
                    }
                };
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = tracker.stopping() => {}
                }
            }
        })
    });
}

/// The id up to which every consumer has heard that anybody still runs.
///
/// A consumer that was switched off does not renew its lease, and after [`FORGOTTEN`] it holds up
/// nothing; without any consumer, everything counts as heard.
pub async fn heard_by_all(op: &Op) -> Result<i64> {
    let rows = op
        .sql()
        .all(&store::POSITIONS, args![millis(FORGOTTEN)])
        .await?;
    let mut heard = i64::MAX;
    for row in rows {
        heard = heard.min(row.int(0)?);
    }
    Ok(heard)
}

/// Takes the cursor if it is free, and delivers for as long as it is held.
async fn hold(kernel: &Arc<Kernel>, consumer: &Consumer) -> Result<()> {
    let op = kernel.internal_op(consumer.lane, consumer.name);
    let Some((position, fence)) = take(&op, consumer.name).await? else {
        return Ok(());
    };
    let mut follower = kernel.meta().follow(&log::EVENTS, position).await?;
    let delivered = deliver(kernel, consumer, &mut follower, fence).await;
    let arguments = args![consumer.name, fence];
    op.transaction(arguments, |tx, _op, arguments| {
        Box::pin(async move {
            tx.execute(&store::CURSOR_FREE, arguments.clone()).await?;
            Ok(())
        })
    })
    .await?;
    delivered
}

async fn take(op: &Op, consumer: &'static str) -> Result<Option<(i64, i64)>> {
    op.transaction((), move |tx, _op, ()| {
        Box::pin(async move {
            tx.execute(&store::CURSOR_INSERT, args![consumer]).await?;
            let lease = millis(LEASE);
            if tx
                .execute(&store::CURSOR_TAKE, args![consumer, lease])
                .await?
                == 0
            {
                return Ok(None);
            }
            let row = tx.one(&store::CURSOR, args![consumer]).await?;
            Ok(Some((row.int(0)?, row.int(1)?)))
        })
    })
    .await
}

async fn deliver(
    kernel: &Arc<Kernel>,
    consumer: &Consumer,
    follower: &mut Follower,
    fence: i64,
) -> Result<()> {
    let tracker = kernel.tracker();
    let mut renewed = kernel.clock().elapsed();
    while !tracker.is_stopping() {
        let poll = follower.poll().await?;
        let events: Vec<Recorded> = poll.rows.iter().filter_map(read).collect();
        for batch in events.chunks(BATCH) {
            let op = kernel.internal_op(consumer.lane, consumer.name);
            (consumer.consume)(op, batch.into()).await?;
        }
        let due = kernel.clock().elapsed().saturating_sub(renewed) > LEASE / 3;
        if !poll.rows.is_empty() || due {
            renewed = kernel.clock().elapsed();
            if !advance(kernel, consumer, fence, poll.low_water).await? {
                tracing::info!(consumer = consumer.name, "another process delivers now");
                return Ok(());
            }
        }
        if !poll.more {
            tokio::select! {
                () = tokio::time::sleep(IDLE) => {}
                () = tracker.stopping() => {}
            }
        }
    }
    Ok(())
}

/// Moves the cursor; says `false` when another holder has taken it.
async fn advance(
    kernel: &Arc<Kernel>,
    consumer: &Consumer,
    fence: i64,
    position: i64,
) -> Result<bool> {
    let op = kernel.internal_op(consumer.lane, consumer.name);
    let arguments = args![consumer.name, millis(LEASE), fence, position];
    op.transaction(arguments, |tx, _op, arguments| {
        Box::pin(async move { Ok(tx.execute(&store::CURSOR_MOVE, arguments.clone()).await? > 0) })
    })
    .await
}

/// An event as it was written; `None` for a void row, and for a kind or shape of a later release,
/// which a later release will read from its own cursor.
fn read(row: &LogRow) -> Option<Recorded> {
    EventKind::from_code(row.kind)?;
    let event: Event = row
        .row
        .text(0)
        .ok()
        .and_then(|payload| serde_json::from_str(payload).ok())
        .or_else(|| {
            tracing::warn!(
                event = row.id,
                "an event of an unknown shape is passed over"
            );
            None
        })?;
    Some(Recorded {
        id: row.id.into(),
        at: row.at,
        event,
    })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
