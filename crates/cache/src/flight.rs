//! Single flight: work under way, one run for each key, whose outcome all that wait for it share.
//!
//! A failure is shared as well: a thousand callers that wait for a database that is ill must not
//! ask it one after the other. If the caller that does the work goes away, the next one begins
//! anew.
//!
//! Callers to whom an outcome is of no use go on to the next run together. The hard part is the one
//! that wakes up late: the next run may be over by then, and is the right one all the same. So each
//! run knows which came after it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

/// The runs under way, by key.
#[derive(Debug)]
pub struct SingleFlight<K, T>(Mutex<HashMap<K, Arc<FlightWaiter<T>>>>);

/// One run, as those that wait for it hold it.
#[derive(Debug)]
pub struct FlightWaiter<T> {
    /// What came of it, once there is something.
    outcome: watch::Receiver<Option<T>>,
    /// The run that those share that could not use this one.
    next: OnceLock<Arc<FlightWaiter<T>>>,
}

/// Whether a caller does the work, or waits for another that does.
#[derive(Debug)]
pub enum FlightRole<'f, K: Eq + Hash, T> {
    /// This caller does it.
    Leader(Leader<'f, K, T>),
    /// Another does, or did.
    Waiter(Arc<FlightWaiter<T>>),
}

/// The caller that does the work. Dropped without an outcome, it leaves the work to the next
/// caller.
#[derive(Debug)]
#[must_use = "dropped without an outcome, it leaves the work to the next caller"]
pub struct Leader<'f, K: Eq + Hash, T> {
    flights: &'f SingleFlight<K, T>,
    key: K,
    outcome: watch::Sender<Option<T>>,
}

impl<K, T> Default for SingleFlight<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, T> SingleFlight<K, T> {
    /// Joins the run of `key`, or begins it.
    pub fn join(&self, key: &K) -> FlightRole<'_, K, T> {
        self.join_after(key, None)
    }

    /// The same for a caller that has waited for `before` already: the run after that one, even if
    /// it is over.
    pub fn join_after(&self, key: &K, before: Option<&FlightWaiter<T>>) -> FlightRole<'_, K, T> {
        let mut flights = self.lock();
        let after = before.and_then(|before| before.next.get());
        if let Some(flight) = after.or_else(|| flights.get(key)) {
            let flight = Arc::clone(flight);
            if let Some(before) = before {
                let _ = before.next.set(Arc::clone(&flight));
            }
            return FlightRole::Waiter(flight);
        }
        let (sender, outcome) = watch::channel(None);
        let next = OnceLock::new();
        let flight = Arc::new(FlightWaiter { outcome, next });
        if let Some(before) = before {
            let _ = before.next.set(Arc::clone(&flight));
        }
        flights.insert(key.clone(), flight);
        FlightRole::Leader(Leader {
            flights: self,
            key: key.clone(),
            outcome: sender,
        })
    }
}

impl<K, T> SingleFlight<K, T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<FlightWaiter<T>>>> {
        self.0.lock()
    }
}

impl<K: Eq + Hash, T> Leader<'_, K, T> {
    /// Tells all that wait; a caller that comes later begins a run of its own.
    pub fn complete(self, outcome: T) {
        self.flights.lock().remove(&self.key);
        self.outcome.send_replace(Some(outcome));
    }
}

impl<K: Eq + Hash, T> Drop for Leader<'_, K, T> {
    fn drop(&mut self) {
        // Once it is complete, the key may be another run's already.
        if self.outcome.borrow().is_none() {
            self.flights.lock().remove(&self.key);
        }
    }
}

impl<T: Clone> FlightWaiter<T> {
    /// The outcome of another caller's run; `None` if that caller went away.
    pub async fn outcome(&self) -> Option<T> {
        let mut waiting = self.outcome.clone();
        let outcome = waiting.wait_for(Option::is_some).await.ok()?;
        outcome.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiters_share_what_the_leader_found() {
        let flights = SingleFlight::<u8, &str>::default();
        let FlightRole::Leader(leader) = flights.join(&1) else {
            panic!("the first caller leads");
        };
        let FlightRole::Waiter(waiting) = flights.join(&1) else {
            panic!("the second caller waits");
        };
        assert!(matches!(flights.join(&2), FlightRole::Leader(_)));
        leader.complete("found");
        assert_eq!(waiting.outcome().await, Some("found"));
        assert!(matches!(flights.join(&1), FlightRole::Leader(_)));
    }

    #[tokio::test]
    async fn a_leader_that_goes_away_leaves_the_work_to_the_next() {
        let flights = SingleFlight::<u8, &str>::default();
        let leader = flights.join(&1);
        let FlightRole::Waiter(waiting) = flights.join(&1) else {
            panic!("the second caller waits");
        };
        drop(leader);
        assert_eq!(waiting.outcome().await, None);
        assert!(matches!(flights.join(&1), FlightRole::Leader(_)));
    }

    #[tokio::test]
    async fn a_waiter_that_wakes_up_late_finds_the_run_that_came_next() {
        let flights = SingleFlight::<u8, &str>::default();
        let FlightRole::Leader(first) = flights.join(&1) else {
            panic!("the first caller leads");
        };
        let FlightRole::Waiter(waiting) = flights.join(&1) else {
            panic!("the second caller waits");
        };
        first.complete("old");
        let FlightRole::Leader(second) = flights.join_after(&1, Some(&waiting)) else {
            panic!("one of those that waited leads");
        };
        second.complete("new");
        for _ in 0..2 {
            let FlightRole::Waiter(next) = flights.join_after(&1, Some(&waiting)) else {
                panic!("the others find what was loaded");
            };
            assert_eq!(next.outcome().await, Some("new"));
        }
        assert!(matches!(flights.join(&1), FlightRole::Leader(_)));
    }
}
