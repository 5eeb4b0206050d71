//! All that a run finds out, and nothing that is only needed to find it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use crate::fixture::Fixture;
use crate::lists::Pages;
use crate::measure::Sample;
use crate::output::note;
use crate::rows::{Part, Row, Yardstick};
use crate::statistics::median;
use crate::target::BenchTarget;
use crate::timing_leak::Timings;
use crate::under_attack::AttackFindings;

/// What came of a row at a registry.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// Figures, one for each round.
    Samples(Vec<Sample>),
    /// There is nothing to measure.
    NotApplicable,
    /// It could not be measured, for this reason.
    Failed(String),
}

impl Default for Cell {
    fn default() -> Self {
        Self::Samples(Vec::new())
    }
}

impl Cell {
    /// Adds what a round gave. One failure fails the row.
    pub(crate) fn add(&mut self, measured: Result<Option<Sample>>) {
        match (measured, &mut *self) {
            (Ok(Some(sample)), Self::Samples(samples)) => samples.push(sample),
            (Ok(None), Self::Samples(_)) => *self = Self::NotApplicable,
            (Err(error), _) => *self = Self::Failed(format!("{error:#}")),
            _ => {}
        }
    }

    /// The figures; none unless every round gave one.
    pub(crate) fn values(&self) -> Vec<f64> {
        self.samples().iter().map(|sample| sample.value).collect()
    }

    /// The median of the figures.
    pub(crate) fn median(&self) -> Option<f64> {
        median(&self.values())
    }

    /// What was measured; none unless every round gave something.
    pub(crate) fn samples(&self) -> &[Sample] {
        match self {
            Self::Samples(samples) => samples,
            _ => &[],
        }
    }

    /// The last figure, for the progress.
    pub(crate) fn last(&self) -> String {
        match self {
            Self::Samples(samples) => samples.last().map_or_else(String::new, |sample| {
                format!(
                    "{:.1}, median {:.2} ms, p99 {:.2} ms",
                    sample.value,
                    sample.half.as_secs_f64() * 1e3,
                    sample.tail.as_secs_f64() * 1e3
                )
            }),
            Self::NotApplicable => "n/a".to_owned(),
            Self::Failed(why) => format!("failed: {why}"),
        }
    }
}

/// A registry that takes part.
pub(crate) struct Competitor {
    /// Where it is.
    pub(crate) target: Arc<BenchTarget>,
    /// What was prepared in it.
    pub(crate) fixture: Fixture,
    /// Its resident memory after all the load, in bytes.
    pub(crate) memory_after: Option<u64>,
}

/// All that was found.
#[derive(Default)]
pub(crate) struct Results {
    /// Who took part, Seawall first.
    pub(crate) contestants: Vec<Competitor>,
    /// Who did not, and why.
    pub(crate) absent: Vec<(String, String)>,
    /// By the row's name and the contestant's place.
    pub(crate) cells: BTreeMap<(&'static str, usize), Cell>,
    /// What the machine can do.
    pub(crate) yardsticks: BTreeMap<Yardstick, Cell>,
    /// The rate of the paced row.
    pub(crate) rate: f64,
    /// Pages of short and of long lists.
    pub(crate) pages: Pages,
    /// Pulls beside attackers.
    pub(crate) besieged: AttackFindings,
    /// Hidden and missing repositories.
    pub(crate) timings: Timings,
    /// Parts that could not be measured, and why.
    pub(crate) failed: Vec<(Part, String)>,
}

impl Results {
    /// Adds what a round gave for a row at the contestant in this place.
    pub(crate) fn add(&mut self, row: &Row, place: usize, measured: Result<Option<Sample>>) {
        let cell = self.cells.entry((row.id, place)).or_default();
        cell.add(measured);
        let name = self.contestants.get(place).map(|one| &*one.target.name);
        note(format_args!(
            "  {} {}: {}",
            row.id,
            name.unwrap_or("?"),
            cell.last()
        ));
    }

    /// The median of a row at the contestant in this place.
    pub(crate) fn median(&self, row: &str, place: usize) -> Option<f64> {
        self.cells.get(&(row, place))?.median()
    }

    /// Notes that a part could not be measured.
    pub(crate) fn fail(&mut self, part: Part, error: &anyhow::Error) {
        note(format_args!("{part:?} failed: {error:#}"));
        self.failed.push((part, format!("{error:#}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_not_forgotten_in_the_next_round() {
        let mut cell = Cell::default();
        cell.add(Ok(Some(Sample::plain(1.0))));
        assert_eq!(cell.median(), Some(1.0));
        cell.add(Err(anyhow::anyhow!("broken")));
        cell.add(Ok(Some(Sample::plain(1.0))));
        cell.add(Ok(None));
        assert_eq!(cell.median(), None);
        assert_eq!(cell.last(), "failed: broken");
    }
}
