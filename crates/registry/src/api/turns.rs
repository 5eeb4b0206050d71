//! Few at once, some waiting, and the rest is told to come again.
//!
//! For reads that are long and seldom wanted: they may be slow beside each other, and must not take
//! the connections that pulls need.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use seawall_types::{Error, Reason, Result};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// So many run at once.
const AT_ONCE: usize = 2;
/// So many run or wait.
const HERE: usize = 64;
/// How long one waits.
const WAIT: Duration = Duration::from_secs(5);
const RETRY_SECONDS: u32 = 5;

/// The permits, and the queue before them.
pub(crate) struct Turns {
    free: Semaphore,
    here: AtomicUsize,
}

/// A permit in use; free again when it is dropped.
pub(crate) struct Turn<'a> {
    _permit: SemaphorePermit<'a>,
    _here: Here<'a>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            free: Semaphore::new(AT_ONCE),
            here: AtomicUsize::new(0),
        }
    }
}

impl Turns {
    /// Waits for a permit. Errors: `TooMany` when the queue is full and when the wait is too long.
    pub(crate) async fn take(&self) -> Result<Turn<'_>> {
        let before = self.here.fetch_add(1, Ordering::Relaxed);
        let here = Here(&self.here);
        if before >= HERE {
            return Err(busy());
        }
        let permit = timeout(WAIT, self.free.acquire()).await;
        Ok(Turn {
            _permit: permit.map_err(|_| busy())?.map_err(|_| busy())?,
            _here: here,
        })
    }
}

fn busy() -> Error {
    Error::new(Reason::TooMany, "too many listings at the moment").retry_after(RETRY_SECONDS)
}

/// One that runs or waits.
struct Here<'a>(&'a AtomicUsize);

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn few_run_some_wait_and_the_rest_is_put_off() {
        let turns = Turns::default();
        let running = [turns.take().await.unwrap(), turns.take().await.unwrap()];
        let mut waiting: Vec<_> = (AT_ONCE..HERE).map(|_| Box::pin(turns.take())).collect();
        for one in &mut waiting {
            assert!(futures::poll!(one).is_pending());
        }
        let refused = turns.take().await.err().unwrap();
        assert_eq!(refused.reason, Reason::TooMany);
        drop(waiting);
        drop(running);
        assert!(turns.take().await.is_ok());
        assert_eq!(turns.here.load(Ordering::Relaxed), 0);
    }
}
