//! The report: a table of figures, ratios and goals, and below it what is needed to judge them.
//!
//! It hides nothing: a missed goal says so, a failed row gives its reason, an absent registry is
//! named. The same text goes to the terminal and to the file.

mod parts;
mod table;
mod text;

use std::fmt::Write;
use std::time::Duration;

use crate::machine::Machine;
use crate::measure::Sample;
use crate::options::Options;
use crate::results::{Cell, Competitor, Results};
use crate::rows::{BenchPlan, Row, Workload, Yardstick};
use crate::statistics::{median, spread};
use crate::target::RegistryProduct;
use table::{Table, figure, verdict};
use text::{DETAILS, LATE, METHOD, READING};

/// Everything the report is made of.
pub(crate) struct Report<'a> {
    /// How it was run.
    pub(crate) options: &'a Options,
    /// What was measured.
    pub(crate) plan: &'a BenchPlan,
    /// What was found.
    pub(crate) results: &'a Results,
    /// On what.
    pub(crate) machine: &'a Machine,
    /// How busy the machine was before and after.
    pub(crate) load: [String; 2],
    /// When it ended, in UTC.
    pub(crate) date: String,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Report<'_> {
    /// The text of the report.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        if !self.plan.rows.is_empty() {
            let _ = write!(
                text,
                "\n## Beside other registries\n\n{}",
                self.goals().render()
            );
            text.push_str(READING);
        }
        self.parts(&mut text);
        if !self.plan.rows.is_empty() {
            let _ = write!(
                text,
                "\n## How it came about\n\n{}{DETAILS}\n## What the machine can do\n\n{}",
                self.details().render(),
                self.limits().render()
            );
        }
        self.generator(&mut text);
        self.surroundings(&mut text);
        self.remarks(&mut text);
        text.push_str(METHOD);
        let [met, missed] = [true, false].map(|met| text.matches(&said(verdict(met))).count());
        format!(
            "# Benchmarks\n\nWritten by `make bench` ({}); everything here is measured, nothing is \
             edited. Of {} goals {met} are met and {missed} MISSED.\n{text}",
            self.date,
            met + missed
        )
    }

    fn cell(&self, row: &Row, place: usize) -> Option<&Cell> {
        self.results.cells.get(&(row.id, place))
    }

    fn median_of(&self, row: &Row, place: usize) -> Option<f64> {
        self.cell(row, place)?.median()
    }

    fn title(&self, row: &Row) -> String {
        let rate = figure(self.results.rate);
        row.title
            .replace("{N}", &self.options.entries().to_string())
            .replace("{R}", &rate)
            .replace("{C}", &self.options.connections().to_string())
    }

    fn shown(&self, row: &Row, place: usize) -> String {
        match self.cell(row, place) {
            Some(Cell::Failed(_)) => "failed".to_owned(),
            Some(Cell::NotApplicable) | None => "n/a".to_owned(),
            Some(cell) => cell.median().map_or_else(|| "n/a".to_owned(), figure),
        }
    }

    /// How many times as good Seawall is, and whether that is the goal. What could not be measured
    /// at Seawall misses its goal.
    fn ratio(&self, row: &Row, place: usize, kind: RegistryProduct) -> String {
        let goal = match kind {
            RegistryProduct::Two => row.two,
            RegistryProduct::Three => row.three,
            _ => None,
        };
        let Some(theirs) = self.median_of(row, place) else {
            return "n/a".to_owned();
        };
        let ratio = self.median_of(row, 0).and_then(|ours| {
            let (over, under) = if row.less_is_better() {
                (theirs, ours)
            } else {
                (ours, theirs)
            };
            (under > 0.0).then(|| over / under)
        });
        let shown = ratio.map_or_else(|| "n/a".to_owned(), |ratio| format!("{}x", figure(ratio)));
        let met = |goal| said(verdict(ratio.is_some_and(|ratio| ratio >= goal)));
        goal.map_or_else(
            || shown.clone(),
            |goal| format!("{shown} of {goal}x{}", met(goal)),
        )
    }

    /// What share of the machine Seawall reaches, or whether it is within its bound.
    fn share(&self, row: &Row) -> String {
        let ours = self.median_of(row, 0);
        if let Some(most) = row.most {
            let met = said(verdict(ours.is_some_and(|ours| ours <= most)));
            return format!("at most {most} {}{met}", row.unit);
        }
        let Some((yardstick, goal)) = row.machine else {
            return String::new();
        };
        let all = self.results.yardsticks.get(&yardstick);
        let all = all.and_then(Cell::median).filter(|all| *all > 0.0);
        let share = ours.zip(all).map(|(ours, all)| ours / all);
        let shown = share.map_or_else(|| "n/a".to_owned(), whole);
        let met = said(verdict(share.is_some_and(|share| share >= goal)));
        format!("{shown} of {}{met}", whole(goal))
    }

    fn goals(&self) -> Table {
        let mut table = Table::default();
        let peers = || self.results.contestants.iter().enumerate().skip(1);
        let mut head = vec!["row".to_owned(), "unit".to_owned()];
        head.extend(self.results.contestants.first().map(name));
        for (_, peer) in peers() {
            head.extend([name(peer), "ratio, goal".to_owned()]);
        }
        head.push("of the machine, goal".to_owned());
        table.row(head);
        for row in &self.plan.rows {
            let mut cells = vec![self.title(row), row.unit.to_owned(), self.shown(row, 0)];
            for (place, peer) in peers() {
                let ratio = self.ratio(row, place, peer.target.kind);
                cells.extend([self.shown(row, place), ratio]);
            }
            cells.push(self.share(row));
            table.row(cells);
        }
        table
    }

    fn details(&self) -> Table {
        let mut table = Table::default();
        let heads = [
            "row",
            "registry",
            "median ms",
            "p99 ms",
            "server's cores",
            "server's µs per step",
            "generator's cores",
            "spread",
        ];
        table.head(heads);
        for row in &self.plan.rows {
            for (place, one) in self.results.contestants.iter().enumerate() {
                let Some(cell) = self
                    .cell(row, place)
                    .filter(|cell| !cell.samples().is_empty())
                else {
                    continue;
                };
                let mut cells = vec![row.id.to_owned(), one.target.name.clone()];
                cells.extend(costs(cell));
                table.row(cells);
            }
        }
        table
    }

    fn limits(&self) -> Table {
        let mut table = Table::default();
        let heads = [
            "what",
            "figure",
            "median ms",
            "p99 ms",
            "server's cores",
            "server's µs per step",
            "generator's cores",
            "spread",
        ];
        table.head(heads);
        for (yardstick, cell) in &self.results.yardsticks {
            let unit = match yardstick {
                Yardstick::Ceiling | Yardstick::EmptyRoute => "/s",
                _ => " MiB/s",
            };
            let value = cell.median().map_or_else(|| "failed".to_owned(), figure);
            let mut cells = vec![yardstick.title().to_owned(), format!("{value}{unit}")];
            cells.extend(costs(cell));
            table.row(cells);
        }
        table
    }

    /// What shows whether the generator held things up.
    fn generator(&self, text: &mut String) {
        let _ = write!(text, "\n## Whether the generator held things up\n\n");
        text.push_str(&self.headroom());
        let mut table = Table::default();
        table.head([
            "open loop",
            "due/s",
            "done in time",
            "median ms",
            "p99 ms",
            "generator late, p99 ms",
        ]);
        for row in self
            .plan
            .rows
            .iter()
            .filter(|row| row.work == Workload::ManifestPaced)
        {
            for (place, one) in self.results.contestants.iter().enumerate() {
                let samples = self.cell(row, place).map_or(&[][..], Cell::samples);
                let mut cells = vec![one.target.name.clone(), figure(self.results.rate)];
                cells.extend(punctuality(samples));
                table.row(cells);
            }
        }
        self.attacks_punctuality(&mut table);
        let _ = write!(text, "{}{LATE}", table.render());
    }

    /// How far the fastest small requests stay below what the generator can make.
    fn headroom(&self) -> String {
        let small = self.plan.rows.iter();
        let small = small.filter(|row| row.clients == 0 && row.unit == "/s");
        let places = 0..self.results.contestants.len();
        let best = small
            .flat_map(|row| {
                let places = places.clone();
                places.filter_map(|place| self.median_of(row, place))
            })
            .max_by(f64::total_cmp);
        let ceiling = self.results.yardsticks.get(&Yardstick::Ceiling);
        let (Some(best), Some(ceiling)) = (best, ceiling.and_then(Cell::median)) else {
            return String::new();
        };
        format!(
            "The generator makes {} requests per second where the server does nothing, though that \
             server takes its share of the same cores; the fastest row here has {}: {}x below.\n\n",
            figure(ceiling),
            figure(best),
            figure(ceiling / best.max(1e-9))
        )
    }

    fn surroundings(&self, text: &mut String) {
        let machine = self.machine;
        let _ = write!(
            text,
            "\n## Machine and versions\n\n* {} cores ({}), {} of memory, Linux {}\n* data on {}; 4 KiB \
             durable in {:.2} ms\n* load averages before: {}; after: {}\n* {} rounds, {} s for each \
             measurement, {} clients where no number is given; {} minutes in all\n",
            machine.cores,
            machine.processor,
            machine.memory,
            machine.kernel,
            machine.disk,
            machine.sync.as_secs_f64() * 1e3,
            self.load[0],
            self.load[1],
            self.options.rounds(),
            self.options.window().as_secs_f64(),
            self.options.clients,
            self.took.as_secs().div_ceil(60),
        );
        for one in &self.results.contestants {
            let memory = one
                .memory_after
                .map(|bytes| format!("; {} MB of memory after all of this", bytes / 1_000_000));
            let _ = writeln!(text, "* {}{}", name(one), memory.unwrap_or_default());
        }
        for (name, reason) in &self.results.absent {
            let _ = writeln!(text, "* ABSENT: {name} ({reason})");
        }
    }

    fn remarks(&self, text: &mut String) {
        let mut lines = Vec::new();
        for (place, one) in self.results.contestants.iter().enumerate() {
            let name = &one.target.name;
            lines.extend(
                one.fixture
                    .remarks
                    .iter()
                    .map(|remark| format!("* {name}: {remark}")),
            );
            for row in &self.plan.rows {
                if let Some(Cell::Failed(why)) = self.cell(row, place) {
                    lines.push(format!("* {name}: {} failed: {why}", row.id));
                }
            }
        }
        lines.extend(self.failed_pages());
        for (part, why) in &self.results.failed {
            lines.push(format!("* {part:?} failed: {why}"));
        }
        if !lines.is_empty() {
            let _ = write!(text, "\n## Remarks\n\n{}\n", lines.join("\n"));
        }
    }
}

fn name(one: &Competitor) -> String {
    format!("{} {}", one.target.name, one.target.version)
}

/// A verdict as it stands behind a goal.
fn said(verdict: &str) -> String {
    format!(": {verdict}")
}

/// Of an open loop: what was kept, latencies, and how late the generator was.
fn punctuality(samples: &[Sample]) -> Vec<String> {
    let middle = |of: fn(&Sample) -> Option<f64>| {
        let values: Vec<_> = samples.iter().filter_map(of).collect();
        median(&values)
    };
    let millis = |of: fn(&Sample) -> Option<f64>| {
        middle(of).map_or_else(|| "n/a".to_owned(), |seconds| figure(seconds * 1e3))
    };
    let kept = middle(|sample| sample.kept);
    vec![
        kept.map_or_else(|| "n/a".to_owned(), percent),
        millis(|sample| Some(sample.half.as_secs_f64())),
        millis(|sample| Some(sample.tail.as_secs_f64())),
        millis(|sample| sample.lag.map(|lag| lag.as_secs_f64())),
    ]
}

/// A share, as a percentage without a fraction.
fn whole(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A share, as a percentage.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Latencies, cores and spread.
fn costs(cell: &Cell) -> Vec<String> {
    let samples = cell.samples();
    let middle = |of: fn(&Sample) -> Option<f64>| {
        let values: Vec<_> = samples.iter().filter_map(of).collect();
        median(&values).map_or_else(|| "n/a".to_owned(), figure)
    };
    let apart = spread(&cell.values());
    // What was not timed has no latency.
    let timed = |of: fn(&Sample) -> Option<f64>| {
        let is_timed = samples.iter().any(|sample| !sample.half.is_zero());
        if is_timed { middle(of) } else { String::new() }
    };
    vec![
        timed(|sample| Some(sample.half.as_secs_f64() * 1e3)),
        timed(|sample| Some(sample.tail.as_secs_f64() * 1e3)),
        timed(|sample| sample.server),
        timed(|sample| sample.cost.map(f64::round)),
        timed(|sample| Some(sample.own)),
        apart.map_or_else(String::new, |apart| format!("{:.0} %", apart * 100.0)),
    ]
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::fixture::Fixture;
    use crate::target::BenchTarget;

    fn results(ours: &[(&'static str, f64)], theirs: &[(&'static str, f64)]) -> Results {
        let contestant = |kind| Competitor {
            target: BenchTarget::new("one", kind, "127.0.0.1:1", None).into(),
            fixture: Fixture::default(),
            memory_after: None,
        };
        let mut results = Results {
            contestants: [RegistryProduct::Seawall, RegistryProduct::Two]
                .map(contestant)
                .into(),
            ..Results::default()
        };
        for (place, figures) in [ours, theirs].into_iter().enumerate() {
            for (row, value) in figures {
                let cell = results.cells.entry((row, place)).or_default();
                cell.add(Ok(Some(Sample::plain(*value))));
            }
        }
        let empty = results.yardsticks.entry(Yardstick::EmptyRoute).or_default();
        empty.add(Ok(Some(Sample::plain(1000.0))));
        results
    }

    fn rendered(results: &Results) -> String {
        let rows = "manifest-tag,manifest-digest,blob-head,memory";
        let options = Options::parse_from(["bench", "--rows", rows]);
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::look(folder.path()).unwrap();
        let report = Report {
            plan: &BenchPlan::chosen(&options.rows).unwrap(),
            options: &options,
            results,
            machine: &machine,
            load: ["before".to_owned(), "after".to_owned()],
            date: "today".to_owned(),
            took: Duration::from_secs(61),
        };
        report.render()
    }

    #[test]
    fn a_goal_is_met_by_the_figure_and_not_by_less() {
        let ours = [
            ("manifest-tag", 600.0),
            ("manifest-digest", 590.0),
            ("blob-head", 349.0),
            ("memory", 40.0),
        ];
        let theirs = [
            ("manifest-tag", 15.0),
            ("blob-head", 10.0),
            ("memory", 20.0),
        ];
        let text = rendered(&results(&ours, &theirs));
        for wanted in [
            "40.0x of 40x: met",
            "60 % of 60 %: met",
            "59 % of 60 %: MISSED",
            "34.9x of 35x: MISSED",
            "at most 40 MB: met",
            "| 0.50x ",
            "Of 5 goals 3 are met and 2 MISSED.",
            "; 2 minutes in all",
        ] {
            assert!(text.contains(wanted), "{wanted} is not in\n{text}");
        }
    }

    #[test]
    fn what_could_not_be_measured_is_missed_and_says_why() {
        let mut results = results(&[("blob-head", 350.0)], &[("manifest-tag", 1.0)]);
        let cell = results.cells.entry(("manifest-tag", 0)).or_default();
        cell.add(Err(anyhow::anyhow!("no answer")));
        let text = rendered(&results);
        for wanted in [
            "n/a of 40x: MISSED",
            "n/a of 60 %: MISSED",
            "at most 40 MB: MISSED",
            "manifest-tag failed: no answer",
            "Of 4 goals 0 are met and 4 MISSED.",
        ] {
            assert!(text.contains(wanted), "{wanted} is not in\n{text}");
        }
    }
}
