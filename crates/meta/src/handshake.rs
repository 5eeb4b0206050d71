//! The turn to open a connection: one handshake at a time for the whole process, whichever pool it
//! is for.
//!
//! A handshake has the turn until the server has answered it, also when its caller gave up: a
//! server that stood still would otherwise meet all abandoned attempts when it wakes. One that is
//! not answered ends all the same, since its server may never come back: after [`LIMIT`] at first,
//! and after twice as long each time. After a refusal there is a pause, in which all who want a
//! connection get that refusal at once.
//!
//! It also knows which connections are trusted: when one falls silent, those that are as old most
//! likely have, too, and each would cost a request its whole timeout to find out.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use seawall_types::Clock;
use tokio::sync::OwnedMutexGuard;

use crate::dialect::errors::Failure;
use crate::error::Error;
use crate::random;

/// How long a handshake may take at first, and at most.
const LIMIT: Duration = Duration::from_secs(5);
pub(crate) const LONGEST_LIMIT: Duration = Duration::from_secs(30);

/// The first and the longest pause after a refusal.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(crate) struct ConnectRefusal {
    pub(crate) failure: Failure,
    /// The server answered, and most likely will have a place in a moment: it is starting, or full.
    pub(crate) passes: bool,
}

/// The turn to open a connection, and how the last attempts ended.
pub(crate) struct Handshakes {
    turn: Arc<tokio::sync::Mutex<()>>,
    clock: Arc<dyn Clock>,
    /// Whether an attempt ends that is not answered. A file has no server behind it that could be
    /// asked again, and what waits for it waits in a thread that cannot be ended.
    limited: bool,
    state: Mutex<State>,
    epoch: AtomicU64,
}

struct State {
    refused: Option<LastRefusal>,
    pause: Duration,
    limit: Duration,
}

struct LastRefusal {
    refusal: ConnectRefusal,
    /// When the next attempt may be made, by our clock.
    until: Duration,
}

impl Handshakes {
    /// Nothing was tried yet.
    pub(crate) fn new(clock: Arc<dyn Clock>, limited: bool) -> Arc<Self> {
        Arc::new(Self {
            turn: Arc::default(),
            clock,
            limited,
            state: Mutex::new(State {
                refused: None,
                pause: PAUSE,
                limit: LIMIT,
            }),
            epoch: AtomicU64::new(0),
        })
    }

    /// Waits for the turn.
    pub(crate) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// The outcome of the last attempt, and how long no other may be made.
    pub(crate) fn refused(&self) -> Option<(ConnectRefusal, Duration)> {
        let now = self.clock.elapsed();
        let state = self.state();
        let refused = state.refused.as_ref().filter(|last| now < last.until)?;
        Some((refused.refusal.clone(), refused.until.saturating_sub(now)))
    }

    /// Makes an attempt, whose turn it must be, and remembers how it ended.
    pub(crate) async fn attempt<C>(
        &self,
        opening: impl Future<Output = Result<C, ConnectRefusal>>,
    ) -> Result<C, ConnectRefusal> {
        let limit = self.limited.then(|| self.state().limit);
        let (opened, in_time) = match limit {
            None => (opening.await, true),
            Some(limit) => match tokio::time::timeout(limit, opening).await {
                Ok(opened) => (opened, true),
                Err(_) => (Err(unanswered(limit)), false),
            },
        };
        let now = self.clock.elapsed();
        let mut state = self.state();
        if in_time {
            state.limit = LIMIT;
        } else {
            state.limit = LONGEST_LIMIT.min(state.limit * 2);
        }
        match &opened {
            Ok(_) => {
                state.refused = None;
                state.pause = PAUSE;
            }
            Err(refusal) => {
                let until = now + random::jitter(state.pause);
                state.pause = LONGEST_PAUSE.min(state.pause * 2);
                state.refused = Some(LastRefusal {
                    refusal: refusal.clone(),
                    until,
                });
            }
        }
        opened
    }

    /// Which connections are trusted: those opened in this epoch.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// No connection that is open now is used again.
    pub(crate) fn distrust(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// A handshake that had no end.
pub(crate) fn unanswered(limit: Duration) -> ConnectRefusal {
    let text = format!("no answer to a new connection within {limit:?}");
    ConnectRefusal {
        failure: Failure {
            error: Error::Unavailable(text),
            retry: false,
            lost: true,
        },
        passes: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::TestClock;

    fn refusal() -> Result<(), ConnectRefusal> {
        Err(ConnectRefusal {
            failure: Error::Unavailable("refused".into()).into(),
            passes: false,
        })
    }

    #[tokio::test]
    async fn pauses_after_refusals_grow_to_their_bound_and_end_with_success() {
        let clock = TestClock::new();
        let handshakes = Handshakes::new(clock.clone(), true);
        assert!(handshakes.refused().is_none());
        for _ in 0..20 {
            assert!(handshakes.attempt(async { refusal() }).await.is_err());
        }
        let (_, left) = handshakes.refused().unwrap();
        assert!(left <= LONGEST_PAUSE * 3 / 2, "{left:?}");
        clock.advance(LONGEST_PAUSE * 3 / 2);
        assert!(handshakes.refused().is_none());
        assert!(handshakes.attempt(async { Ok(()) }).await.is_ok());
        assert!(handshakes.attempt(async { refusal() }).await.is_err());
        assert!(handshakes.refused().unwrap().1 <= PAUSE * 3 / 2);
    }

    #[tokio::test]
    async fn an_attempt_that_is_never_answered_ends_and_the_next_has_longer() {
        let handshakes = Handshakes::new(TestClock::new(), true);
        handshakes.state().limit = Duration::from_millis(10);
        for limit in [20, 40] {
            let never = std::future::pending::<Result<(), ConnectRefusal>>();
            assert!(handshakes.attempt(never).await.is_err());
            assert_eq!(handshakes.state().limit, Duration::from_millis(limit));
        }
        assert!(handshakes.attempt(async { Ok(()) }).await.is_ok());
        assert_eq!(handshakes.state().limit, LIMIT);
    }
}
