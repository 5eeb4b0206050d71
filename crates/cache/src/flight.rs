//! Loads under way: one for each key, whose outcome everybody who waits for it shares.
//!
//! A failure is shared as well: a thousand callers who wait for a database that is ill must not ask
//! it one after the other. If the caller who loads goes away, the next one begins anew.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// What came of a load, once there is something.
type Outcome<T> = Option<T>;

/// The loads under way.
pub(crate) struct Flights<K, T>(Mutex<HashMap<K, watch::Receiver<Outcome<T>>>>);

/// Whether a caller loads, or waits for somebody who does.
pub(crate) enum Seat<'f, K: Eq + Hash, T> {
    /// This caller loads.
    Pilot(Pilot<'f, K, T>),
    /// Somebody else does.
    Passenger(watch::Receiver<Outcome<T>>),
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
    /// Joins the load of `key`, or begins it.
    pub(crate) fn board(&self, key: &K) -> Seat<'_, K, T> {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(key) {
            return Seat::Passenger(flight.clone());
        }
        let (outcome, waiting) = watch::channel(None);
        flights.insert(key.clone(), waiting);
        Seat::Pilot(Pilot {
            flights: self,
            key: key.clone(),
            outcome,
        })
    }
}

impl<K, T> Flights<K, T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, watch::Receiver<Outcome<T>>>> {
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

/// The outcome of somebody else's load; `None` if they went away.
pub(crate) async fn arrival<T: Clone>(mut waiting: watch::Receiver<Outcome<T>>) -> Option<T> {
    let outcome = waiting.wait_for(Option::is_some).await.ok()?;
    outcome.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passengers_share_what_the_pilot_found() {
        let flights = Flights::<u8, &str>::default();
        let Seat::Pilot(pilot) = flights.board(&1) else {
            panic!("the first caller loads");
        };
        let Seat::Passenger(waiting) = flights.board(&1) else {
            panic!("the second caller waits");
        };
        assert!(matches!(flights.board(&2), Seat::Pilot(_)));
        pilot.land("found");
        assert_eq!(arrival(waiting).await, Some("found"));
        assert!(matches!(flights.board(&1), Seat::Pilot(_)));
    }

    #[tokio::test]
    async fn a_pilot_who_goes_away_leaves_the_load_to_the_next() {
        let flights = Flights::<u8, &str>::default();
        let pilot = flights.board(&1);
        let Seat::Passenger(waiting) = flights.board(&1) else {
            panic!("the second caller waits");
        };
        drop(pilot);
        assert_eq!(arrival(waiting).await, None);
        assert!(matches!(flights.board(&1), Seat::Pilot(_)));
    }
}
