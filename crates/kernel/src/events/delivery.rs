//! Delivery: each consumer follows the event log behind a leased, fenced cursor of its own.
//!
//! The cursor only moves to below the first hole, so an event whose transaction commits late is not
//! missed; what lies above the hole is delivered, and may be delivered again after a restart.
//!
//! **An event of an unknown kind or shape** was written by a later release. The consumer stops
//! before it, gives its cursor back and comes again every half minute, so that a process of that
//! release, which asks more often, takes the cursor and goes on. It is logged once. Each consumer
//! stops for itself. If there is no such process any more (the later release was taken back), an
//! event is waited for a day from when it was written, and then passed over: so a cursor stands
//! still for a day at most, and does not hold up pruning for longer than that.
//!
//! Cursors are registered before anything can prune: what is not known to be followed is not kept.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use seawall_meta::args;
use seawall_meta::log::{Follower, LogRow};
use seawall_types::Result;
use seawall_types::lane::Lane;
use seawall_types::time::Millis;
use seawall_types::work::Spawner;

use super::kind::EventTypes;
use super::store::{self, log};
use super::{Event, RecordedEvent};
use crate::kernel::Kernel;
use crate::op::Op;
use crate::switch::Switch;

/// At most so many events are handed over at once.
pub const BATCH: usize = 256;

/// A cursor that was not held for so long belongs to a feature that is switched off.
const FORGOTTEN: Duration = Duration::from_hours(24);
/// How long an event waits for a release that knows it, from when it was written.
const UNKNOWN: Duration = Duration::from_hours(24);
const LEASE: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

type ConsumeFn =
    Arc<dyn Fn(Op, Arc<[RecordedEvent]>) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// A consumer of events.
#[derive(Clone)]
pub struct Consumer {
    /// Its name, under which its cursor is kept.
    pub name: &'static str,
    lane: Lane,
    consume: ConsumeFn,
    /// Whether its feature is on; it leaves its cursor where it is otherwise.
    switch: Option<Switch>,
}

impl Consumer {
    /// A consumer; it must be idempotent by event id.
    pub fn new<F, R>(name: &'static str, lane: Lane, consume: F) -> Self
    where
        F: Fn(Op, Arc<[RecordedEvent]>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<()>> + Send + 'static,
    {
        Self {
            name,
            lane,
            consume: Arc::new(move |op, events| consume(op, events).boxed()),
            switch: None,
        }
    }

    /// Suspends it while its feature is not on.
    pub(crate) fn switched(mut self, switch: &Switch) -> Self {
        self.switch = Some(switch.clone());
        self
    }

    fn is_on(&self) -> bool {
        self.switch.as_ref().is_none_or(Switch::is_on)
    }
}

/// How a delivery came to its end, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryEnd {
    /// The cursor is another's, or the process stops.
    Elsewhere,
    /// The feature of the consumer is not on.
    Off,
    /// The next event is of a kind or shape that this release does not know.
    Before(i64),
}

/// Makes the cursors of these consumers known as followed, wherever they stand.
pub(crate) async fn register(op: &Op, consumers: Vec<&'static str>) -> Result<()> {
    op.transaction(consumers, |tx, _op, consumers| {
        Box::pin(async move {
            for consumer in consumers {
                tx.execute(&store::CURSOR_INSERT, args![*consumer]).await?;
                tx.execute(&store::CURSOR_TOUCH, args![*consumer]).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Delivers events to `consumer` until the process stops.
pub fn run(kernel: &Arc<Kernel>, consumer: Consumer) {
    let kernel = Arc::clone(kernel);
    let tracker = Arc::clone(kernel.tracker());
    tracker.spawn("event-consumer", {
        let tracker = Arc::clone(&tracker);
        Box::pin(async move {
            let (mut failures, mut told) = (0u32, None);
            while !tracker.is_stopping() {
                let held = if consumer.is_on() {
                    hold(&kernel, &consumer).await
                } else {
                    Ok(DeliveryEnd::Off)
                };
                let wait = match held {
                    Ok(DeliveryEnd::Off) => IDLE,
                    Ok(ended) => {
                        failures = 0;
                        pause(&consumer, ended, &mut told)
                    }
                    Err(error) => {
                        tracing::warn!(consumer = consumer.name, %error, "event delivery failed, retrying");
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

/// How long to wait before the cursor is asked for again.
fn pause(consumer: &Consumer, ended: DeliveryEnd, told: &mut Option<i64>) -> Duration {
    let DeliveryEnd::Before(event) = ended else {
        return LEASE / 6;
    };
    if told.replace(event) != Some(event) {
        tracing::warn!(
            consumer = consumer.name,
            event,
            "event delivery waits: this release does not know the next event's type"
        );
    }
    LONGEST_WAIT
}

/// The id up to which every consumer that still runs has consumed.
///
/// A consumer that was switched off does not renew its lease, and after [`FORGOTTEN`] it holds up
/// nothing; without any consumer, everything counts as consumed.
pub async fn delivered_to_all(op: &Op) -> Result<i64> {
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
pub(crate) async fn hold(kernel: &Arc<Kernel>, consumer: &Consumer) -> Result<DeliveryEnd> {
    let op = kernel.internal_op(consumer.lane, consumer.name);
    let renewed = kernel.clock().elapsed();
    let Some((position, fence)) = take(&op, consumer.name).await? else {
        return Ok(DeliveryEnd::Elsewhere);
    };
    let mut held = HeldCursor {
        kernel,
        consumer,
        fence,
        position,
        renewed,
    };
    let mut follower = kernel.meta().follow(&log::EVENTS, position).await?;
    let delivered = held.deliver(&mut follower).await;
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

/// A cursor that this process holds.
struct HeldCursor<'k> {
    kernel: &'k Arc<Kernel>,
    consumer: &'k Consumer,
    fence: i64,
    /// What was stored last.
    position: i64,
    /// When the lease began at the latest, by our clock.
    renewed: Duration,
}

impl HeldCursor<'_> {
    async fn deliver(&mut self, follower: &mut Follower) -> Result<DeliveryEnd> {
        let tracker = self.kernel.tracker();
        while !tracker.is_stopping() {
            if !self.consumer.is_on() {
                return Ok(DeliveryEnd::Off);
            }
            let poll = follower.poll().await?;
            let more = poll.more;
            let (events, unknown) =
                readable(self.kernel.event_types(), &poll.rows, self.kernel.now());
            for batch in events.chunks(BATCH) {
                if !self.keep().await? {
                    return Ok(DeliveryEnd::Elsewhere);
                }
                let op = self
                    .kernel
                    .internal_op(self.consumer.lane, self.consumer.name);
                let _seat = self.kernel.lanes().take(self.consumer.lane);
                (self.consumer.consume)(op, batch.into()).await?;
            }
            let reached = unknown.map_or(poll.low_water, |id| poll.low_water.min(id - 1));
            let moved = !poll.rows.is_empty() && reached != self.position;
            let kept = if moved {
                self.advance(reached).await?
            } else {
                self.keep().await?
            };
            if !kept {
                tracing::info!(
                    consumer = self.consumer.name,
                    "event delivery was taken over by another process"
                );
                return Ok(DeliveryEnd::Elsewhere);
            }
            if let Some(event) = unknown {
                return Ok(DeliveryEnd::Before(event));
            }
            if !more {
                tokio::select! {
                    () = tokio::time::sleep(IDLE) => {}
                    () = tracker.stopping() => {}
                }
            }
        }
        Ok(DeliveryEnd::Elsewhere)
    }

    /// Renews the lease if it has run for a while; says whether the cursor is held.
    async fn keep(&mut self) -> Result<bool> {
        let since = self.kernel.clock().elapsed().saturating_sub(self.renewed);
        if since <= LEASE / 3 {
            return Ok(true);
        }
        self.advance(self.position).await
    }

    /// Moves the cursor; says `false` when another holder has taken it.
    async fn advance(&mut self, position: i64) -> Result<bool> {
        let begun = self.kernel.clock().elapsed();
        let op = self
            .kernel
            .internal_op(self.consumer.lane, self.consumer.name);
        let arguments = args![self.consumer.name, millis(LEASE), self.fence, position];
        let moving = op.transaction(arguments, |tx, _op, arguments| {
            Box::pin(
                async move { Ok(tx.execute(&store::CURSOR_MOVE, arguments.clone()).await? > 0) },
            )
        });
        let moved = moving.await?;
        (self.position, self.renewed) = (position, begun);
        Ok(moved)
    }
}

/// The events that may be delivered now, in the order of their ids, and the first that may not.
fn readable(types: &EventTypes, rows: &[LogRow], now: Millis) -> (Vec<RecordedEvent>, Option<i64>) {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_unstable_by_key(|row| row.id);
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        match read(types, row) {
            Some(event) => events.push(event),
            None if row.at + UNKNOWN > now => return (events, Some(row.id)),
            None => tracing::error!(
                event = row.id,
                kind = row.kind,
                "an event of an unknown type was skipped after a day"
            ),
        }
    }
    (events, None)
}

/// An event as it was written; `None` for a type, version or shape of a later release.
fn read(types: &EventTypes, row: &LogRow) -> Option<RecordedEvent> {
    Some(RecordedEvent {
        id: row.id.into(),
        at: row.at,
        event: Event::from_json(types, row.kind, row.row.text(0).ok()?)?,
    })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
