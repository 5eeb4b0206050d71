//! The claim on a job: taken for a minute, renewed while the job runs, and given up the moment it
//! is lost.
//!
//! A claim counts from the moment before it was asked for, on the process's own clock, so it is
//! over here before the database lets another worker have the job. The hard part is a process that
//! stood still: it must not take one more step when it wakes, whichever of its timers fires first.
//! So the clock is read before each step. A renewal that fails proves nothing, and is tried again
//! for as long as the claim lasts.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures::future::poll_fn;
use seawall_meta::args;
use seawall_types::Result;
use seawall_types::time::Clock;

use super::booking::{book, millis};
use super::store;
use crate::op::Op;

/// How long a claim lasts, how often it is renewed, and how soon a renewal that failed is repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClaimTerms {
    pub(crate) lease: Duration,
    pub(crate) beat: Duration,
    pub(crate) retry: Duration,
}

impl Default for ClaimTerms {
    fn default() -> Self {
        Self {
            lease: Duration::from_mins(1),
            beat: Duration::from_secs(20),
            retry: Duration::from_secs(2),
        }
    }
}

/// A job that this process has taken.
pub(super) struct JobClaim {
    pub(super) id: i64,
    pub(super) payload: String,
    /// How often it has failed in a row.
    pub(super) failures: i64,
    fence: i64,
    terms: ClaimTerms,
    clock: Arc<dyn Clock>,
    /// Until when it lasts, in milliseconds of our clock.
    until: AtomicU64,
}

impl JobClaim {
    /// Takes the job `id`, if it is due and free still.
    pub(super) async fn take(op: &Op, id: i64, terms: ClaimTerms) -> Result<Option<Self>> {
        let clock = Arc::clone(op.kernel().clock());
        let begun = clock.elapsed();
        let lease = millis(terms.lease);
        let row = op
            .transaction((id, lease), |tx, _op, (id, lease)| {
                Box::pin(async move {
                    let row = tx.optional(&store::CLAIM, args![*id]).await?;
                    if row.is_some() {
                        tx.execute(&store::LEASE, args![*id, *lease]).await?;
                    }
                    Ok(row)
                })
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        let claim = Self {
            id: row.int(0)?,
            payload: row.string(1)?,
            failures: row.int(2)?,
            fence: row.int(3)? + 1,
            terms,
            clock,
            until: AtomicU64::new(0),
        };
        claim.lasts_from(begun);
        Ok(Some(claim))
    }

    /// The number that makes sure that only the holder books.
    pub(super) fn fence(&self) -> i64 {
        self.fence
    }

    /// Runs `work` for as long as the claim lasts; `None` if it was lost, and then `work` has taken
    /// no step since.
    pub(super) async fn hold<W: Future>(&self, op: &Op, work: W) -> Option<W::Output> {
        let mut work = pin!(work);
        let stepping = poll_fn(|cx| {
            if self.is_over() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        });
        tokio::select! {
            // What the database has said comes before another step.
            biased;
            () = self.renew(op) => None,
            done = stepping => done,
        }
    }

    /// Renews the claim again and again; ends when it is lost.
    async fn renew(&self, op: &Op) {
        loop {
            tokio::time::sleep(self.terms.beat).await;
            let mut told = false;
            loop {
                let begun = self.clock.elapsed();
                let arguments = args![self.id, self.fence, millis(self.terms.lease)];
                let renewing = book(op, &store::RENEW, arguments);
                match tokio::time::timeout(self.terms.lease, renewing).await {
                    Ok(Ok(true)) => {
                        self.lasts_from(begun);
                        break;
                    }
                    Ok(Ok(false)) => return,
                    Ok(Err(error)) if !std::mem::replace(&mut told, true) => {
                        tracing::warn!(job = self.id, %error, "a job's claim could not be renewed yet");
                    }
                    Ok(Err(_)) | Err(_) => {}
                }
                if self.is_over() {
                    return;
                }
                tokio::time::sleep(self.terms.retry).await;
            }
        }
    }

    fn lasts_from(&self, begun: Duration) {
        let until = begun.saturating_add(self.terms.lease).as_millis();
        let until = u64::try_from(until).unwrap_or(u64::MAX);
        self.until.store(until, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        self.clock.elapsed() >= Duration::from_millis(self.until.load(Ordering::Acquire))
    }
}
