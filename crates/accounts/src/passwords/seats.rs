//! Who may hash at once, and who waits: a flood of logins costs its own seats and nothing else.
//!
//! A seat is a thread that is busy and the memory that argon2 fills (19 MiB). The queue before them has an end,
//! and so has the time in it. Of many who ask the same question at once one computes, and the others hear its answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::recent::Key;

/// So many wait at most; whoever comes then is told at once.
const MOST_WAITING: usize = 256;

/// The seats, and the queue before them.
pub(super) struct Seats {
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
pub(super) struct Seat {
    load: Arc<Load>,
    _permit: OwnedSemaphorePermit,
}

impl Seats {
    /// Half of the cores, and one at least.
    pub(super) fn new(cores: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new((cores / 2).max(1))),
            waiting: AtomicUsize::new(0),
            load: Arc::default(),
        }
    }

    /// A place in the queue; none when it is full.
    pub(super) fn queue(&self) -> Option<Waiting<'_>> {
        Waiting::join(&self.waiting)
    }

    /// The next seat that is free.
    pub(super) async fn take(&self) -> Option<Seat> {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        let load = Arc::clone(&self.load);
        let taken = load.taken.fetch_add(1, Ordering::Relaxed) + 1;
        load.most.fetch_max(taken, Ordering::Relaxed);
        load.all.fetch_add(1, Ordering::Relaxed);
        Some(Seat {
            load,
            _permit: permit,
        })
    }

    /// The most that were ever taken at once, and how often one was.
    #[cfg(test)]
    pub(super) fn load(&self) -> (usize, usize) {
        let number = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        (number(&self.load.most), number(&self.load.all))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.load.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One of those who wait for a seat.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

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
pub(super) type Turn = Arc<tokio::sync::Mutex<()>>;

/// The questions that are being answered.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Key, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// The turn of a question, shared by all who ask it now.
    pub(super) fn of(&self, question: Key) -> Turn {
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
