//! The ids below the highest that were not seen yet, as ranges.

use std::collections::BTreeMap;
use std::time::Duration;

/// Ranges of missing ids, each with the moment it was noticed.
#[derive(Debug, Default)]
pub(super) struct Holes {
    /// First id → last id and since when.
    ranges: BTreeMap<i64, (i64, Duration)>,
}

impl Holes {
    /// Notes that `first..=last` is missing; nothing when that is empty.
    pub(super) fn open(&mut self, first: i64, last: i64, now: Duration) {
        if first <= last {
            self.ranges.insert(first, (last, now));
        }
    }

    /// Notes that an id was seen; whether it was missing.
    pub(super) fn fill(&mut self, id: i64) -> bool {
        let Some((&first, &(last, since))) = self.ranges.range(..=id).next_back() else {
            return false;
        };
        if id > last {
            return false;
        }
        self.ranges.remove(&first);
        self.open(first, id - 1, since);
        self.open(id + 1, last, since);
        true
    }

    /// Whether an id is missing.
    pub(super) fn has(&self, id: i64) -> bool {
        let below = self.ranges.range(..=id).next_back();
        below.is_some_and(|(_, (last, _))| id <= *last)
    }

    /// The lowest missing id.
    pub(super) fn first(&self) -> Option<i64> {
        self.ranges.first_key_value().map(|(first, _)| *first)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// All ranges as (first, last).
    pub(super) fn ranges(&self) -> impl Iterator<Item = (i64, i64)> {
        self.ranges.iter().map(|(first, (last, _))| (*first, *last))
    }

    /// The lowest `count` ids that have been missing for `age`.
    pub(super) fn aged(&self, now: Duration, age: Duration, count: usize) -> Vec<i64> {
        let aged = self
            .ranges
            .iter()
            .filter(|(_, (_, since))| now.saturating_sub(*since) >= age);
        aged.flat_map(|(first, (last, _))| *first..=*last)
            .take(count)
            .collect()
    }

    pub(super) fn clear(&mut self) {
        self.ranges.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_range_falls_apart_as_it_fills() {
        let mut holes = Holes::default();
        holes.open(5, 9, Duration::ZERO);
        holes.open(12, 11, Duration::ZERO);
        assert!(holes.fill(7));
        assert!(!holes.fill(7));
        assert!(!holes.fill(4));
        assert!(!holes.fill(12));
        assert!(holes.fill(5));
        assert!(holes.fill(9));
        assert_eq!(holes.ranges().collect::<Vec<_>>(), [(6, 6), (8, 8)]);
        assert_eq!(holes.first(), Some(6));
        assert!(holes.fill(6) && holes.fill(8) && holes.is_empty());
    }

    #[test]
    fn age_is_kept_by_the_parts() {
        let mut holes = Holes::default();
        holes.open(5, 7, Duration::ZERO);
        holes.open(10, 1_000_000, SECOND * 2);
        holes.fill(6);
        assert_eq!(holes.aged(SECOND * 2, SECOND * 2, 10), [5, 7]);
        assert_eq!(holes.aged(SECOND * 4, SECOND * 2, 4), [5, 7, 10, 11]);
    }
}
