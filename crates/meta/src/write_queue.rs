//! The queue of transactions that wait for SQLite's one writer.
//!
//! One caller at a time leads: it takes members from the front, runs them and commits for all of
//! them (`group_commit.rs`). The queue is bounded, and a caller that has waited for too long takes
//! its member out again, unless a leader has it already.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::MutexGuard;

use crate::connection::Connection;
use crate::dialect::errors::Failure;
use crate::error::Error;

/// How many may wait.
const MOST_WAITING: usize = 1024;

/// Transactions that wait to be written, in the order in which they came; `S` is what they run
/// with.
pub(crate) struct WriteQueue<S> {
    waiting: Mutex<VecDeque<QueuedMember<S>>>,
    leading: tokio::sync::Mutex<()>,
    /// How many have come so far.
    count: AtomicU64,
}

/// A member in its place.
struct QueuedMember<S> {
    number: u64,
    member: Box<dyn Member<S>>,
}

/// One transaction of a group that shares a commit.
pub(crate) trait Member<S>: Send {
    /// Runs the body; gives the connection back, and whether what was written is to stay.
    fn run<'r>(
        &'r mut self,
        shared: &'r S,
        connection: Connection,
    ) -> BoxFuture<'r, (Connection, bool)>;

    /// Takes note of how the statements ended that the body had left deferred; says whether what
    /// was written is to stay.
    fn settle(&mut self, flushed: Result<Option<i64>, Failure>) -> bool;

    /// Tells the caller how it ended: as its body did, or because the whole group was rolled back.
    fn end(self: Box<Self>, group: Result<(), Failure>);
}

impl<S> Default for WriteQueue<S> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            leading: tokio::sync::Mutex::default(),
            count: AtomicU64::new(0),
        }
    }
}

impl<S> WriteQueue<S> {
    /// Takes the last place; says which it is. A full queue refuses.
    pub(crate) fn join(&self, member: Box<dyn Member<S>>) -> Result<u64, Failure> {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MOST_WAITING {
            return Err(Error::Busy("the queue of SQLite's writer is full".into()).into());
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        waiting.push_back(QueuedMember { number, member });
        Ok(number)
    }

    /// Gives a place up; false when a leader has taken its member.
    pub(crate) fn leave(&self, number: u64) -> bool {
        let mut waiting = self.waiting.lock();
        let place = waiting.binary_search_by_key(&number, |waiting| waiting.number);
        place.is_ok_and(|place| waiting.remove(place).is_some())
    }

    /// Waits to lead; the leader is the only one that takes members out to run them.
    pub(crate) async fn lead(&self) -> MutexGuard<'_, ()> {
        self.leading.lock().await
    }

    /// The member at the front.
    pub(crate) fn next(&self) -> Option<Box<dyn Member<S>>> {
        let first = self.waiting.lock().pop_front();
        first.map(|waiting| waiting.member)
    }

    /// All members that wait.
    pub(crate) fn take_all(&self) -> impl Iterator<Item = Box<dyn Member<S>>> + use<S> {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().map(|waiting| waiting.member)
    }
}
