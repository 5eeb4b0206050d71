//! Loads under way: one for each key, whose outcome everybody who waits for it shares.
//!
//! A failure is shared as well: a thousand callers who wait for a database that is ill must not ask
//! it one after the other. If the caller who loads goes away, the next one begins anew.
//!
//! Those to whom an outcome is of no use go on to the next load together. The hard part is the one
//! who wakes up late: the next load may be over by then, and is the right one all the same. So each
//! load knows which came after it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;

/// What came of a load, once there is something.
type Outcome<T> = Option<T>;

/// The loads under way.
pub(crate) struct Flights<K, T>(Mutex<HashMap<K, Arc<Flight<T>>>>);

/// One load.
pub(crate) struct Flight<T> {
    outcome: watch::Receiver<Outcome<T>>,
    /// The load that those share who could not use this one.
    next: OnceLock<Arc<Flight<T>>>,
}

/// Whether a caller loads, or waits for somebody who does.
pub(crate) enum Seat<'f, K: Eq + Hash, T> {
    /// This caller loads.
    Pilot(Pilot<'f, K, T>),
    /// Somebody else does, or did.
    Passenger(Arc<Flight<T>>),
}

/// Whoever loads. Dropped without a word, it leaves the load to the next caller.
pub(crate) struct Pilot<'f, K: Eq + Hash, T> {
    flights: &'f Flights<K, T>,
    key: K,
    outcome: watch::Sender<Outcome<T>>,
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, T> Flights<K, T> {
    /// Joins the load of `key`, or begins it; for one who waited for `before` already, the load after
    /// that one, even if it is over.
    pub(crate) fn board(&self, key: &K, before: Option<&Flight<T>>) -> Seat<'_, K, T> {
        let mut flights = self.lock();
        let after = before.and_then(|before| before.next.get());
        if let Some(flight) = after.or_else(|| flights.get(key)) {
            let flight = Arc::clone(flight);
            if let Some(before) = before {
                let _ = before.next.set(Arc::clone(&flight));
            }
            return Seat::Passenger(flight);
        }
        let (sender, outcome) = watch::channel(None);
        let next = OnceLock::new();
        let flight = Arc::new(Flight { outcome, next });
        if let Some(before) = before {
            let _ = before.next.set(Arc::clone(&flight));
        }
        flights.insert(key.clone(), flight);
        Seat::Pilot(Pilot {
            flights: self,
            key: key.clone(),
            outcome: sender,
        })
    }
}

impl<K, T> Flights<K, T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Flight<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, T> Pilot<'_, K, T> {
    /// Tells all passengers; who comes later begins a load of their own.
    pub(crate) fn land(self, outcome: T) {
        self.flights.lock().remove(&self.key);
        self.outcome.send_replace(Some(outcome));
    }
}

impl<K: Eq + Hash, T> Drop for Pilot<'_, K, T> {
    fn drop(&mut self) {
        // After a landing, the key may be another flight's already.
        if self.outcome.borrow().is_none() {
            self.flights.lock().remove(&self.key);
        }
    }
}

impl<T: Clone> Flight<T> {
    /// The outcome of somebody else's load; `None` if they went away.
    pub(crate) async fn arrival(&self) -> Option<T> {
        let mut waiting = self.outcome.clone();
        let outcome = waiting.wait_for(Option::is_some).await.ok()?;
        outcome.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passengers_share_what_the_pilot_found() {
        let flights = Flights::<u8, &str>::default();
        let Seat::Pilot(pilot) = flights.board(&1, None) else {
            panic!("the first caller loads");
        };
        let Seat::Passenger(waiting) = flights.board(&1, None) else {
            panic!("the second caller waits");
        };
        assert!(matches!(flights.board(&2, None), Seat::Pilot(_)));
        pilot.land("found");
        assert_eq!(waiting.arrival().await, Some("found"));
        assert!(matches!(flights.board(&1, None), Seat::Pilot(_)));
    }

    #[tokio::test]
    async fn a_pilot_who_goes_away_leaves_the_load_to_the_next() {
        let flights = Flights::<u8, &str>::default();
        let pilot = flights.board(&1, None);
        let Seat::Passenger(waiting) = flights.board(&1, None) else {
            panic!("the second caller waits");
        };
        drop(pilot);
        assert_eq!(waiting.arrival().await, None);
        assert!(matches!(flights.board(&1, None), Seat::Pilot(_)));
    }

    #[tokio::test]
    async fn who_wakes_up_late_finds_the_load_that_came_next() {
        let flights = Flights::<u8, &str>::default();
        let Seat::Pilot(first) = flights.board(&1, None) else {
            panic!("the first caller loads");
        };
        let Seat::Passenger(waiting) = flights.board(&1, None) else {
            panic!("the second caller waits");
        };
        first.land("old");
        let Seat::Pilot(second) = flights.board(&1, Some(&waiting)) else {
            panic!("one of those who waited loads");
        };
        second.land("new");
        for _ in 0..2 {
            let Seat::Passenger(next) = flights.board(&1, Some(&waiting)) else {
                panic!("the others find what was loaded");
            };
            assert_eq!(next.arrival().await, Some("new"));
        }
        assert!(matches!(flights.board(&1, None), Seat::Pilot(_)));
    }
}
