//! The report: a table of figures, ratios and goals, and below it what is needed to judge them.
//!
//! It hides nothing: a missed goal says so, a failed row gives its reason, an absent registry is
//! named. The same text goes to the terminal and to the file.

use std::fmt::Write;

use crate::machine::Machine;
use crate::options::Options;
use crate::rounds::{Cell, Contestant, Results};
use crate::rows::{Row, Yardstick};
use crate::statistics::{median, spread};
use crate::target::Kind;

/// A table in Markdown, its columns aligned.
#[derive(Default)]
struct Table(Vec<Vec<String>>);

impl Table {
    fn row<I: IntoIterator<Item = String>>(&mut self, cells: I) {
        self.0.push(cells.into_iter().collect());
    }

    fn render(&self) -> String {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.0.iter().enumerate() {
            let cells = row.iter().zip(&widths);
            let line: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            let _ = writeln!(text, "| {} |", line.join(" | ").trim_end());
            if number == 0 {
                let rules: Vec<_> = widths
                    .iter()
                    .map(|width| "-".repeat((*width).max(3)))
                    .collect();
                let _ = writeln!(text, "| {} |", rules.join(" | "));
            }
        }
        text
    }
}

/// A figure with three digits that count.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

/// Everything the report is made of.
pub(crate) struct Report<'a> {
    /// How it was run.
    pub(crate) options: &'a Options,
    /// What was measured.
    pub(crate) rows: &'a [&'static Row],
    /// What was found.
    pub(crate) results: &'a Results,
    /// On what.
    pub(crate) machine: &'a Machine,
    /// How busy the machine was before and after.
    pub(crate) load: [String; 2],
    /// When it ended, in UTC.
    pub(crate) date: String,
}

impl Report<'_> {
    /// The text of the report.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let _ = write!(
            text,
            "# Benchmarks\n\nWritten by `make bench` ({}); everything here is measured, nothing is \
             edited.\n\n{}",
            self.date,
            self.goals().render()
        );
        text.push_str(READING);
        let _ = write!(
            text,
            "\n## How it came about\n\n{}",
            self.details().render()
        );
        text.push_str(DETAILS);
        let _ = write!(
            text,
            "\n## What the machine can do\n\n{}\n",
            self.limits().render()
        );
        text.push_str(&self.headroom());
        self.surroundings(&mut text);
        self.remarks(&mut text);
        text.push_str(METHOD);
        text
    }

    fn cell(&self, row: &Row, place: usize) -> Option<&Cell> {
        self.results.cells.get(&(row.id, place))
    }

    fn median_of(&self, row: &Row, place: usize) -> Option<f64> {
        median(&self.cell(row, place)?.values())
    }

    fn title(&self, row: &Row) -> String {
        let rate = figure(self.results.rate);
        row.title
            .replace("{N}", &self.options.entries().to_string())
            .replace("{R}", &rate)
            .replace("{C}", &self.options.connections.to_string())
    }

    fn shown(&self, row: &Row, place: usize) -> String {
        match self.cell(row, place) {
            Some(Cell::Failed(_)) => "failed".to_owned(),
            Some(Cell::NotApplicable) | None => "n/a".to_owned(),
            Some(cell) => median(&cell.values()).map_or_else(|| "n/a".to_owned(), figure),
        }
    }

    /// How many times as good Seawall is, and whether that is the goal.
    fn ratio(&self, row: &Row, place: usize, kind: Kind) -> String {
        let (Some(ours), Some(theirs)) = (self.median_of(row, 0), self.median_of(row, place))
        else {
            return "n/a".to_owned();
        };
        let (over, under) = if row.less_is_better() {
            (theirs, ours)
        } else {
            (ours, theirs)
        };
        if under <= 0.0 {
            return "n/a".to_owned();
        }
        let ratio = over / under;
        let goal = match kind {
            Kind::Two => row.two,
            Kind::Three => row.three,
            _ => None,
        };
        goal.map_or_else(
            || format!("{}x", figure(ratio)),
            |goal| format!("{}x of {goal}x: {}", figure(ratio), verdict(ratio >= goal)),
        )
    }

    /// What share of the machine Seawall reaches, or whether it is within its bound.
    fn share(&self, row: &Row) -> String {
        let ours = self.median_of(row, 0);
        if let (Some(most), Some(ours)) = (row.most, ours) {
            return format!("at most {most} {}: {}", row.unit, verdict(ours <= most));
        }
        let Some((yardstick, goal)) = row.machine else {
            return String::new();
        };
        let all = self
            .results
            .yardsticks
            .get(&yardstick)
            .and_then(|cell| median(&cell.values()));
        match (ours, all) {
            (Some(ours), Some(all)) if all > 0.0 => {
                let (share, met) = (ours / all, verdict(ours / all >= goal));
                format!("{:.0} % of {:.0} %: {met}", share * 100.0, goal * 100.0)
            }
            _ => "n/a".to_owned(),
        }
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
        for row in self.rows {
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
        table.row(heads.map(str::to_owned));
        for row in self.rows {
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
        table.row(heads.map(str::to_owned));
        for (yardstick, cell) in &self.results.yardsticks {
            let unit = match yardstick {
                Yardstick::Ceiling | Yardstick::EmptyRoute => "/s",
                _ => " MiB/s",
            };
            let value = median(&cell.values()).map_or_else(|| "failed".to_owned(), figure);
            let mut cells = vec![yardstick.title().to_owned(), format!("{value}{unit}")];
            cells.extend(costs(cell));
            table.row(cells);
        }
        table
    }

    /// How far the fastest small requests stay below what the generator can make.
    fn headroom(&self) -> String {
        let small = self
            .rows
            .iter()
            .filter(|row| row.clients == 0 && row.unit == "/s");
        let places = 0..self.results.contestants.len();
        let best = small
            .flat_map(|row| {
                places
                    .clone()
                    .filter_map(|place| self.median_of(row, place))
            })
            .max_by(f64::total_cmp);
        let ceiling = self.results.yardsticks.get(&Yardstick::Ceiling);
        let (Some(best), Some(ceiling)) = (best, ceiling.and_then(|cell| median(&cell.values())))
        else {
            return String::new();
        };
        format!(
            "The generator makes {} requests per second where the server does nothing, though that \
             server takes its share of the same cores; the fastest row here has {}: {}x below. In \
             the rows of bare loops and of the empty server the loop's own CPU counts as the \
             generator's.\n",
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
             measurement, {} clients where no number is given\n",
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
                one.remarks
                    .iter()
                    .map(|remark| format!("* {name}: {remark}")),
            );
            for row in self.rows {
                if let Some(Cell::Failed(why)) = self.cell(row, place) {
                    lines.push(format!("* {name}: {} failed: {why}", row.id));
                }
            }
        }
        if !lines.is_empty() {
            let _ = write!(text, "\n## Remarks\n\n{}\n", lines.join("\n"));
        }
    }
}

fn name(one: &Contestant) -> String {
    format!("{} {}", one.target.name, one.target.version)
}

/// Latencies, cores and spread.
fn costs(cell: &Cell) -> Vec<String> {
    let samples = cell.samples();
    let middle = |of: fn(&crate::measure::Sample) -> Option<f64>| {
        let values: Vec<_> = samples.iter().filter_map(of).collect();
        median(&values).map_or_else(|| "n/a".to_owned(), figure)
    };
    let apart = spread(&cell.values());
    // What was not timed has no latency.
    let timed = |of: fn(&crate::measure::Sample) -> Option<f64>| {
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

const READING: &str = "
Figures are medians of the rounds. A ratio says how many times as good Seawall is; where less is
better, it is turned round. Beside it stands its goal.
";

const DETAILS: &str = "
Medians over the rounds. Spread is the largest figure less the smallest, as a share of the median:
ratios that differ by less mean nothing. A core is one CPU busy all the time, in user or kernel mode;
the CPU time of a step depends less on what else the machine does than rates do.
";

const METHOD: &str = "
## Method

* One program makes the load and starts the registries, all on 127.0.0.1 over plain HTTP/1.1. All
  run side by side, only one is under load at a time; each row is measured at all of them before the
  next row begins, and who is first changes from round to round.
* Seawall is as shipped: release build, SQLite and local files, everything durable before it is
  acknowledged, token authorization on, one line of log for each request to a file. Only the limits
  of connections are raised, since all load comes from one address. Its repositories are private.
* The peers have their packaged configuration (local files, a cache of descriptors in memory) without
  authorization and without logs.
* Closed loop: each client has one connection and sends its next request when the last is answered.
  A rate is the sum over the clients of steps per time spent in steps. Any unexpected status or
  length fails the row. Connections are open and warm before the clock runs.
* Open loop (the paced row): requests are due at fixed times, half as often as the slowest registry
  managed in its closed loop, and latency counts from the time when they were due, so a stall is
  charged to all that had to wait (no coordinated omission).
* A 64 MiB layer is pushed by POST, PATCH and PUT; other blobs by POST and PUT; an image by HEAD, POST
  and PUT for each blob and one PUT for the manifest. Every layer is new bytes; making and hashing
  them is not timed. A tag push is one PUT of a new manifest under a new tag, all in one repository.
  A new repository is a configuration blob and a manifest, three requests.
* Tokens are fetched before the clock runs; new repositories share one token for ten, fetched while
  it runs. What tokens cost is a row of its own.
* Pages are asked for in the middle of the list (`n=100` and `last`).
* Memory is resident memory of servers started afresh, with an empty store, in each round; an idle
  connection has made one request.
* The empty route is GET /health/live of the same Seawall. The bare loops are blocking, with one
  buffer of 256 KiB, and measured by the same clients.

## Limits

* Generator and registry share the cores. A registry that needs little CPU leaves more to the
  generator, and a fast row is limited by both: see the cores each used.
* Loopback has no latency and no loss; real networks hide part of what is measured here.
* The peers check no permissions and write no log, so rows of theirs do less than Seawall's.
* Everything that is read lies in the page cache. Nobody deletes, nothing is collected meanwhile.
* A virtual machine with other tenants is noisy, its disk above all: look at the spread.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_that_count() {
        let shown = [0.123_4, 1.0, 12.34, 123.4, 123_456.0].map(figure);
        assert_eq!(shown, ["0.12", "1.00", "12.3", "123", "123456"]);
    }

    #[test]
    fn a_table_is_aligned() {
        let mut table = Table::default();
        table.row(["a", "long"].map(str::to_owned));
        table.row(["wide", "b"].map(str::to_owned));
        assert_eq!(
            table.render(),
            "| a    | long |\n| ---- | ---- |\n| wide | b |\n"
        );
    }
}
