//! The arithmetic: medians, percentiles, and when the requests of an open loop are due.
//!
//! Percentiles are of the nearest rank: a figure that was really measured, never one in between.
//! Nothing here measures or prints.

use std::time::Duration;

/// The median; of an even number, the mean of the two in the middle. `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(middle.checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

/// The smallest measured duration that `per_mille` of a thousand do not exceed. `sorted` ascends.
pub(crate) fn percentile(sorted: &[Duration], per_mille: usize) -> Option<Duration> {
    let rank = (sorted.len() * per_mille.min(1000)).div_ceil(1000);
    sorted.get(rank.max(1) - 1).copied()
}

/// How far the figures lie apart: the range, as a share of the median. `None` of nothing.
pub(crate) fn spread(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    let least = values.iter().copied().min_by(f64::total_cmp)?;
    let most = values.iter().copied().max_by(f64::total_cmp)?;
    (middle > 0.0).then(|| (most - least) / middle)
}

/// How far two sets of durations can be told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Overlap {
    /// The largest distance of their distribution functions (Kolmogorov and Smirnov): 0 if they are
    /// the same, 1 if they do not overlap.
    pub(crate) distance: f64,
    /// How often one of the first is shorter than one of the second, equal ones counted half: 0.5
    /// if neither tends to be shorter.
    pub(crate) shorter: f64,
}

/// Compares two sets, in any order; `None` if one is empty.
#[expect(
    clippy::cast_precision_loss,
    reason = "products of two counts of measurements are far below 2^52"
)]
pub(crate) fn overlap(first: &[Duration], second: &[Duration]) -> Option<Overlap> {
    let (mut one, mut two) = (first.to_vec(), second.to_vec());
    one.sort_unstable();
    two.sort_unstable();
    let (all_one, all_two) = (one.len() as f64, two.len() as f64);
    let (mut at_one, mut at_two) = (0, 0);
    let (mut distance, mut shorter) = (0.0_f64, 0.0);
    // In steps of equal values: all of one value are taken at once.
    while let (Some(a), Some(b)) = (one.get(at_one), two.get(at_two)) {
        let value = *a.min(b);
        let same = |rest: &[Duration]| rest.iter().take_while(|found| **found == value).count();
        let of_one = same(one.get(at_one..).unwrap_or_default());
        let of_two = same(two.get(at_two..).unwrap_or_default());
        at_one += of_one;
        at_two += of_two;
        let behind = two.len() - at_two;
        shorter += of_one as f64 * (behind as f64 + of_two as f64 / 2.0);
        distance = distance.max((at_one as f64 / all_one - at_two as f64 / all_two).abs());
    }
    (!one.is_empty() && !two.is_empty()).then(|| Overlap {
        distance,
        shorter: shorter / (all_one * all_two),
    })
}

/// How far apart in time requests begin at least; those due in between begin together. A generator
/// that woke for each request would spend the cores that it shares with the server on waking.
const GRAIN: u64 = 1_000_000;

/// When the requests of an open loop are due: evenly, whatever the server does, by the millisecond.
///
/// Latency counts from the moment a request was due, not from the moment it could be sent. So a
/// server that stalls is charged with every request that had to wait meanwhile: coordinated
/// omission would count the stall once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start: Duration,
    nanos: u64,
}

impl Schedule {
    /// `rate` requests per second, at least one in a thousand seconds, from `start` on.
    pub(crate) fn new(start: Duration, rate: f64) -> Self {
        let between = Duration::from_secs_f64(1.0 / rate.max(0.001));
        let nanos = u64::try_from(between.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self { start, nanos }
    }

    /// When the request with this number, from 0, is due.
    pub(crate) fn due(self, number: u64) -> Duration {
        let even = self.nanos.saturating_mul(number).div_ceil(GRAIN);
        self.start + Duration::from_nanos(even.saturating_mul(GRAIN))
    }

    /// How many requests are due within `window` of the start.
    pub(crate) fn count(self, window: Duration) -> u64 {
        u64::try_from(window.as_nanos()).unwrap_or(u64::MAX) / self.nanos
    }

    /// The latency of a request that was answered at `answered`.
    pub(crate) fn latency(self, number: u64, answered: Duration) -> Duration {
        answered.saturating_sub(self.due(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_what_was_measured() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let millis: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        let at = |per_mille| percentile(&millis, per_mille).unwrap().as_millis();
        assert_eq!(
            [at(0), at(500), at(990), at(999), at(1000), at(5000)],
            [1, 100, 198, 200, 200, 200]
        );
        assert_eq!(percentile(&[], 500), None);
    }

    #[test]
    fn the_spread_is_the_range_over_the_median() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[2.0, 2.0]), Some(0.0));
        assert_eq!(spread(&[1.0, 2.0, 4.0]), Some(1.5));
        assert_eq!(spread(&[0.0]), None);
    }

    fn millis(values: &[u64]) -> Vec<Duration> {
        values.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn sets_that_are_the_same_cannot_be_told_apart_and_those_that_do_not_meet_can() {
        let (low, high) = (millis(&[1, 2, 3, 4]), millis(&[5, 6, 7]));
        let told = |first: &[Duration], second: &[Duration]| {
            let found = overlap(first, second).unwrap();
            (found.distance, found.shorter)
        };
        assert_eq!(told(&low, &low), (0.0, 0.5));
        assert_eq!(told(&low, &high), (1.0, 1.0));
        assert_eq!(told(&high, &low), (1.0, 0.0));
        assert_eq!(overlap(&low, &[]), None);
    }

    #[test]
    fn half_an_overlap_is_half_a_distance() {
        // Of nine pairs the first is shorter in six (1<2, 1<3, 1<9, 2<3, 2<9, 3<9), and equal in
        // two.
        let found = overlap(&millis(&[3, 1, 2]), &millis(&[2, 9, 3])).unwrap();
        assert!((found.shorter - 7.0 / 9.0).abs() < 1e-9, "{found:?}");
        assert!((found.distance - 1.0 / 3.0).abs() < 1e-9, "{found:?}");
        // The same middle but another width: neither tends to be shorter, yet they differ.
        let found = overlap(&millis(&[1, 9]), &millis(&[5, 5])).unwrap();
        assert_eq!((found.distance, found.shorter), (0.5, 0.5));
    }

    #[test]
    fn a_schedule_does_not_wait_for_the_server() {
        let schedule = Schedule::new(Duration::from_secs(10), 100.0);
        assert_eq!(schedule.due(0), Duration::from_secs(10));
        assert_eq!(schedule.due(50), Duration::from_millis(10_500));
        assert_eq!(schedule.count(Duration::from_secs(2)), 200);
    }

    #[test]
    fn requests_of_the_same_millisecond_are_due_together_and_none_before_its_time() {
        let schedule = Schedule::new(Duration::ZERO, 2500.0);
        let due = [0, 1, 2, 3, 4, 5, 6].map(|number| schedule.due(number).as_micros());
        assert_eq!(due, [0, 1000, 1000, 2000, 2000, 2000, 3000]);
        assert_eq!(schedule.count(Duration::from_secs(1)), 2500);
    }

    #[test]
    fn a_stall_is_charged_to_every_request_that_waited() {
        let schedule = Schedule::new(Duration::ZERO, 100.0);
        // One connection; every answer takes a millisecond, but the first takes a second.
        let mut free = Duration::ZERO;
        let mut latencies = Vec::new();
        for number in 0..200 {
            let service = if number == 0 { 1000 } else { 1 };
            let answered = schedule.due(number).max(free) + Duration::from_millis(service);
            free = answered;
            latencies.push(schedule.latency(number, answered));
        }
        latencies.sort_unstable();
        // From the moment of sending, 199 of 200 would have taken a millisecond.
        let median = percentile(&latencies, 500).unwrap();
        assert!(median > Duration::from_millis(50), "{median:?}");
        assert_eq!(
            percentile(&latencies, 1000).unwrap(),
            Duration::from_secs(1)
        );
    }

    #[test]
    fn rates_without_sense_do_not_break_a_schedule() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            let schedule = Schedule::new(Duration::ZERO, rate);
            assert!(schedule.due(1) > Duration::ZERO, "{rate}");
        }
    }
}
