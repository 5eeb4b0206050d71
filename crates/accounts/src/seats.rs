//! Who may compute at once, and who waits: a flood of passwords or tokens costs its own seats and nothing else.
//!
//! A seat is a thread that is busy (and, for a password, the 19 MiB that argon2 fills). The queue before them has an
//! end, and so has the time in it. Of many who ask the same question at once one computes, and the others hear its
//! answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use seawall_types::{Error, Reason, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::recent::Key;

/// So many wait at most; whoever comes then is told at once.
const MOST_WAITING: usize = 256;

/// How long one waits for a seat.
const WAIT: Duration = Duration::from_secs(3);
const RETRY_SECONDS: u32 = 3;

/// The seats, and the queue before them.
pub(crate) struct Seats {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    load: Arc<Load>,
}

/// How busy the seats are, and ever were.
#[derive(Default)]
struct Load {
    taken: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

/// A seat that is taken; it is free again when this is dropped.
pub(crate) struct Seat {
    load: Arc<Load>,
    _permit: OwnedSemaphorePermit,
}

impl Seats {
    /// Half of the cores, and one at least.
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new((cores / 2).max(1))),
            waiting: AtomicUsize::new(0),
            load: Arc::default(),
        }
    }

    /// Waits in the queue for what `asking` waits for, which is mostly a seat. Errors: `TooMany` when the queue is full
    /// and when the wait is too long.
    pub(crate) async fn wait<T>(&self, asking: impl Future<Output = T>) -> Result<T> {
        let _waiting = Waiting::join(&self.waiting).ok_or_else(busy)?;
        timeout(WAIT, asking).await.map_err(|_| busy())
    }

    /// The next seat that is free.
    pub(crate) async fn take(&self) -> Result<Seat> {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        let load = Arc::clone(&self.load);
        let taken = load.taken.fetch_add(1, Ordering::Relaxed) + 1;
        load.most.fetch_max(taken, Ordering::Relaxed);
        load.all.fetch_add(1, Ordering::Relaxed);
        Ok(Seat {
            load,
            _permit: permit.map_err(|_| busy())?,
        })
    }

    /// The most that were ever taken at once, and how often one was.
    #[cfg(test)]
    pub(crate) fn load(&self) -> (usize, usize) {
        let number = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        (number(&self.load.most), number(&self.load.all))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.load.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

fn busy() -> Error {
    Error::new(Reason::TooMany, "too many logins at the moment").retry_after(RETRY_SECONDS)
}

/// One of those who wait for a seat.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize) -> Option<Self> {
        let joined = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < MOST_WAITING).then_some(joined)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A question's turn: one asks at a time.
pub(crate) type Turn = Arc<tokio::sync::Mutex<()>>;

/// The questions that are being answered.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Key, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// The turn of a question, shared by all who ask it now.
    pub(crate) fn of(&self, question: Key) -> Turn {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = open.get(&question).and_then(Weak::upgrade) {
            return turn;
        }
        // No more can be asked at once than wait; the rest has been answered.
        if open.len() > 2 * MOST_WAITING {
            open.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Turn::default();
        open.insert(question, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded() {
        let count = AtomicUsize::new(MOST_WAITING - 1);
        let last = Waiting::join(&count);
        assert!(last.is_some());
        assert!(Waiting::join(&count).is_none());
        drop(last);
        assert_eq!(count.load(Ordering::Relaxed), MOST_WAITING - 1);
    }

    #[test]
    fn half_of_the_cores_and_one_at_least() {
        let seats = [1, 2, 3, 64].map(|cores| Seats::new(cores).free.available_permits());
        assert_eq!(seats, [1, 1, 1, 32]);
    }

    #[test]
    fn a_turn_is_shared_while_somebody_has_it() {
        let turns = Turns::default();
        let (one, same) = (turns.of([1; 32]), turns.of([1; 32]));
        assert!(Arc::ptr_eq(&one, &same));
        for number in 0..2_000_u32 {
            let mut question = [0; 32];
            question[..4].copy_from_slice(&number.to_be_bytes());
            turns.of(question);
        }
        let kept = turns.0.lock().unwrap().len();
        assert!(kept <= 2 * MOST_WAITING + 1, "{kept}");
        assert!(Arc::ptr_eq(&one, &turns.of([1; 32])));
    }
}
