//! Coherence of cached values: a fixed table of marks, and how far the change log was followed.
//!
//! The hard part is the load that races with a change. A load notes the position at which it began.
//! A change is committed first, then takes the next position, then writes it to its mark. So a
//! position taken before a change's means that the load may have read too early, and the value does
//! not hold; a position taken after it means that the load began after the commit. Two subjects may
//! share a mark, which costs a read now and then and is never wrong.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A value is fresh while the last complete poll of the change log began less than this ago.
pub const FRESH: Duration = Duration::from_millis(500);

/// The number of marks; a power of two.
const MARKS: usize = 1 << 16;

/// Something that values depend on, as a place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u32);

/// A moment in the order in which changes were applied in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

/// The order of changes in this process, and what each of them invalidated last.
pub struct Coherence {
    applied: AtomicU64,
    everything: AtomicU64,
    marks: Box<[AtomicU64]>,
    hasher: RandomState,
    /// When the last complete poll of the log began, in nanoseconds on the clock's `elapsed`, plus
    /// one; 0 if there was none yet.
    polled: AtomicU64,
}

impl std::fmt::Debug for Coherence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coherence").finish_non_exhaustive()
    }
}

impl Default for Coherence {
    fn default() -> Self {
        Self {
            applied: AtomicU64::new(0),
            everything: AtomicU64::new(0),
            marks: std::iter::repeat_with(|| AtomicU64::new(0))
                .take(MARKS)
                .collect(),
            hasher: RandomState::new(),
            polled: AtomicU64::new(0),
        }
    }
}

impl Coherence {
    /// The mark of a subject. Equal subjects have equal marks.
    pub fn mark(&self, subject: &impl Hash) -> Mark {
        let hash = self.hasher.hash_one(subject);
        let place = usize::try_from(hash).unwrap_or_default() & (MARKS - 1);
        Mark(u32::try_from(place).unwrap_or_default())
    }

    /// The position at which a load begins. To be taken before anything is read.
    pub fn begin(&self) -> Position {
        Position(self.applied.load(Ordering::SeqCst))
    }

    /// Ends every value that depends on `mark` and whose load began before this. To be called when
    /// the change is committed, and before its caller is answered.
    pub fn invalidate(&self, mark: Mark) {
        let position = self.applied.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(place) = self.marks.get(mark.0 as usize) {
            place.fetch_max(position, Ordering::SeqCst);
        }
    }

    /// Ends every value whose load began before this.
    pub fn invalidate_all(&self) {
        let position = self.applied.fetch_add(1, Ordering::SeqCst) + 1;
        self.everything.fetch_max(position, Ordering::SeqCst);
    }

    /// Whether what was loaded from `since` on still holds, given what it depends on.
    pub fn holds(&self, since: Position, on: &[Mark]) -> bool {
        let untouched = |place: &AtomicU64| place.load(Ordering::Acquire) <= since.0;
        untouched(&self.everything)
            && on
                .iter()
                .all(|mark| self.marks.get(mark.0 as usize).is_some_and(untouched))
    }

    /// Notes a complete poll of the log that began at `began`, once all that it found was
    /// invalidated.
    pub fn polled(&self, began: Duration) {
        let nanos = u64::try_from(began.as_nanos()).unwrap_or(u64::MAX - 1);
        self.polled.fetch_max(nanos + 1, Ordering::Release);
    }

    /// How long ago the last complete poll began; `None` if there was none.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        let polled = self.polled.load(Ordering::Acquire).checked_sub(1)?;
        Some(now.saturating_sub(Duration::from_nanos(polled)))
    }

    /// Whether what holds here is what the log says.
    pub fn is_fresh(&self, now: Duration) -> bool {
        self.age(now).is_some_and(|age| age < FRESH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalidation_ends_what_began_before_it_and_nothing_else() {
        let coherence = Coherence::default();
        let (tag, other) = (coherence.mark(&("tag", 1)), coherence.mark(&("tag", 2)));
        assert_ne!(tag, other);
        let before = coherence.begin();
        assert!(coherence.holds(before, &[tag, other]));
        coherence.invalidate(tag);
        assert!(!coherence.holds(before, &[tag]));
        assert!(!coherence.holds(before, &[other, tag]));
        assert!(coherence.holds(before, &[other]));
        assert!(coherence.holds(coherence.begin(), &[tag]));
        coherence.invalidate_all();
        assert!(!coherence.holds(before, &[]));
        assert!(coherence.holds(coherence.begin(), &[tag, other]));
    }

    #[test]
    fn nothing_is_fresh_before_the_first_poll_or_long_after_the_last() {
        let coherence = Coherence::default();
        let at = Duration::from_millis;
        assert!(!coherence.is_fresh(at(0)));
        coherence.polled(at(1000));
        assert!(coherence.is_fresh(at(1499)));
        assert!(!coherence.is_fresh(at(1500)));
        // An older poll that ends later tells nothing new.
        coherence.polled(at(900));
        assert_eq!(coherence.age(at(1100)), Some(at(100)));
    }
}
