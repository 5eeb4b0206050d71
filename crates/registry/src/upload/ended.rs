//! The uploads that this process has ended: committed, cancelled or refused for good.
//!
//! An upload token outlives the upload that it was written for, so the process remembers which
//! uploads are over: a replayed or racing request then finds none, as it did when every upload had
//! a row. The memory is bounded, and is neither kept nor shared: where it has nothing to say, a
//! token begins with an empty upload of its owner's again, where they may push anyhow. Nothing that
//! was committed changes by that, and nothing that was thrown away comes back.

use std::collections::{HashSet, VecDeque};

use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

/// How many are remembered; some 3 MB at most, and the longest ago is forgotten first.
const MOST: usize = 65_536;

/// Uploads that are over.
#[derive(Debug, Default)]
pub(crate) struct EndedUploads(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    known: HashSet<Uuid>,
    order: VecDeque<Uuid>,
}

impl EndedUploads {
    /// Ends an upload; says whether it was not over before. Of all who try, one gets `true`.
    pub(super) fn claim(&self, uuid: Uuid) -> bool {
        let mut inner = self.inner();
        if !inner.known.insert(uuid) {
            return false;
        }
        inner.order.push_back(uuid);
        if inner.order.len() > MOST
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.known.remove(&oldest);
        }
        true
    }

    /// Takes a claim back: what was to end the upload failed.
    pub(super) fn release(&self, uuid: Uuid) {
        let mut inner = self.inner();
        if inner.known.remove(&uuid) {
            // It was claimed a moment ago, so it is found at once.
            if let Some(at) = inner.order.iter().rposition(|other| *other == uuid) {
                inner.order.remove(at);
            }
        }
    }

    /// Whether an upload is over.
    pub(super) fn has(&self, uuid: Uuid) -> bool {
        self.inner().known.contains(&uuid)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_ends_once_and_a_claim_can_be_taken_back() {
        let ended = EndedUploads::default();
        let uuid = Uuid::from_u128(1);
        assert!(ended.claim(uuid) && ended.has(uuid) && !ended.claim(uuid));
        ended.release(uuid);
        assert!(!ended.has(uuid) && ended.claim(uuid));
    }

    #[test]
    fn the_memory_is_bounded() {
        let ended = EndedUploads::default();
        for number in 0..=MOST as u128 {
            ended.claim(Uuid::from_u128(number));
        }
        let inner = ended.inner();
        assert_eq!((inner.known.len(), inner.order.len()), (MOST, MOST));
        assert!(!inner.known.contains(&Uuid::from_u128(0)));
    }
}
