//! The run: registries started side by side, everything measured in rounds.
//!
//! Within a round each row is measured at all registries, one after the other and never at the same
//! time, before the next row begins; who is first changes from round to round. So what the machine
//! does besides falls on all alike.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::bare::Bare;
use crate::content::Content;
use crate::fixture::{Fixture, prepare};
use crate::launch::{Program, Running};
use crate::measure::{Bench, Sample};
use crate::options::Options;
use crate::output::note;
use crate::process::resident;
use crate::rest;
use crate::rows::{Row, Work, Yardstick};
use crate::statistics::median;
use crate::target::{Kind, Target};

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
    fn add(&mut self, measured: Result<Option<Sample>>) {
        match (measured, &mut *self) {
            (Ok(Some(sample)), Self::Samples(samples)) => samples.push(sample),
            (Ok(None), _) => *self = Self::NotApplicable,
            (Err(error), _) => *self = Self::Failed(format!("{error:#}")),
            _ => {}
        }
    }

    /// The figures; none unless every round gave one.
    pub(crate) fn values(&self) -> Vec<f64> {
        self.samples().iter().map(|sample| sample.value).collect()
    }

    /// What was measured; none unless every round gave something.
    pub(crate) fn samples(&self) -> &[Sample] {
        match self {
            Self::Samples(samples) => samples,
            _ => &[],
        }
    }
}

/// A registry that takes part.
pub(crate) struct Contestant {
    /// Where it is.
    pub(crate) target: Arc<Target>,
    fixture: Fixture,
    /// What is peculiar about its answers.
    pub(crate) remarks: Vec<String>,
    /// Its resident memory after all the load, in bytes.
    pub(crate) memory_after: Option<u64>,
}

/// All that was found.
#[derive(Default)]
pub(crate) struct Results {
    /// Who took part, Seawall first.
    pub(crate) contestants: Vec<Contestant>,
    /// Who did not, and why.
    pub(crate) absent: Vec<(String, String)>,
    /// By the row's name and the contestant's place.
    pub(crate) cells: BTreeMap<(&'static str, usize), Cell>,
    /// What the machine can do.
    pub(crate) yardsticks: BTreeMap<Yardstick, Cell>,
    /// The rate of the paced row.
    pub(crate) rate: f64,
}

impl Results {
    fn add(&mut self, row: &Row, place: usize, measured: Result<Option<Sample>>) {
        if let Err(error) = &measured {
            let name = self
                .contestants
                .get(place)
                .map(|one| one.target.name.as_str());
            note(format_args!(
                "{} at {}: {error:#}",
                row.id,
                name.unwrap_or("?")
            ));
        }
        self.cells.entry((row.id, place)).or_default().add(measured);
    }
}

/// The programs to measure.
pub(crate) fn programs(options: &Options) -> Vec<Program> {
    let program = |kind, name, path: &Path| Program {
        kind,
        name,
        path: path.to_owned(),
    };
    vec![
        program(Kind::Seawall, "Seawall", &options.seawall),
        program(Kind::Two, "docker-registry", &options.docker_registry),
        program(Kind::Three, "Distribution", &options.distribution),
    ]
}

/// Runs everything, with data in `folder`.
pub(crate) async fn run(
    options: &Options,
    rows: &[&'static Row],
    folder: &Path,
) -> Result<Results> {
    let mut bench = Bench {
        clients: options.clients.max(1),
        window: options.window(),
        rate: options.rate.unwrap_or(0.0),
        content: Arc::new(Content::new()),
    };
    let programs = programs(options);
    let bare = Bare::start(&folder.join("bare")).await?;
    let mut results = Results::default();
    let mut running = start_all(options, &programs, folder, &mut results).await;
    let targets: Vec<_> = std::mem::take(&mut results.contestants);
    for contestant in targets {
        let target = Arc::clone(&contestant.target);
        note(format_args!("preparing {} {}", target.name, target.version));
        match prepare(&target, &bench.content, rows, options.entries()).await {
            Ok(fixture) => results.contestants.push(Contestant {
                remarks: fixture.remarks.clone(),
                fixture,
                ..contestant
            }),
            Err(error) => results
                .absent
                .push((target.name.clone(), format!("{error:#}"))),
        }
    }
    let first = results
        .contestants
        .first()
        .context("nobody can be measured")?;
    anyhow::ensure!(
        first.target.kind == Kind::Seawall,
        "Seawall itself cannot be measured: {:?}",
        results.absent
    );
    for round in 0..options.rounds() {
        note(format_args!("round {} of {}", round + 1, options.rounds()));
        still_there(&mut running)?;
        one_round(&mut bench, rows, &bare, round, &mut results).await;
        let connections = wants(rows, Work::MemoryPerConnection).then_some(options.connections);
        if connections.is_some() || wants(rows, Work::MemoryAtRest) {
            let place = folder.join(format!("rest-{round}"));
            memory(&programs, connections, &place, rows, &mut results).await;
        }
    }
    still_there(&mut running)?;
    for contestant in &mut results.contestants {
        contestant.memory_after = contestant.target.pid.and_then(resident);
    }
    for one in running {
        one.process.stop().await;
    }
    results.rate = bench.rate;
    Ok(results)
}

/// Fails if a registry has ended by itself, or was ended by somebody: half a comparison is none.
fn still_there(running: &mut [Running]) -> Result<()> {
    for one in running {
        let name = &one.target.name;
        anyhow::ensure!(!one.process.has_ended(), "{name} ended during the run");
    }
    Ok(())
}

/// Starts what can be started and finds what is running elsewhere; says who is absent.
async fn start_all(
    options: &Options,
    programs: &[Program],
    folder: &Path,
    results: &mut Results,
) -> Vec<Running> {
    let (mut running, mut found) = (Vec::new(), Vec::new());
    for program in programs {
        match program.start(&folder.join(program.name)).await {
            Ok(started) => {
                found.push(started.target.clone());
                running.push(started);
            }
            Err(error) => {
                let reason = format!("{}: {error:#}", program.path.display());
                results.absent.push((program.name.to_owned(), reason));
            }
        }
    }
    for text in options.peers.split_whitespace() {
        match peer(text).await {
            Ok(target) => found.push(target),
            Err(error) => {
                let name = text.split('=').next().unwrap_or_default();
                results.absent.push((name.to_owned(), format!("{error:#}")));
            }
        }
    }
    for (name, reason) in &results.absent {
        note(format_args!("{name} is absent: {reason}"));
    }
    results.contestants = found
        .into_iter()
        .map(|target| Contestant {
            target: Arc::new(target),
            fixture: Fixture::default(),
            remarks: Vec::new(),
            memory_after: None,
        })
        .collect();
    running
}

async fn peer(text: &str) -> Result<Target> {
    let mut target = Target::parse(text)?;
    target.discover().await?;
    Ok(target)
}

async fn one_round(
    bench: &mut Bench,
    rows: &[&'static Row],
    bare: &Bare,
    round: usize,
    results: &mut Results,
) {
    let mut done = Vec::new();
    yardstick(bench, Yardstick::Ceiling, bare, results).await;
    for row in rows {
        if matches!(row.work, Work::MemoryAtRest | Work::MemoryPerConnection) {
            continue;
        }
        if row.work == Work::ManifestPaced && bench.rate <= 0.0 {
            bench.rate = pace(results);
        }
        // Beside the row it is for: a minute later the machine may be another one.
        if let Some((wanted, _)) = row.machine
            && !done.contains(&wanted)
        {
            yardstick(bench, wanted, bare, results).await;
            done.push(wanted);
        }
        let number = results.contestants.len();
        for turn in 0..number {
            let place = (turn + round) % number;
            let Some(one) = results.contestants.get(place) else {
                continue;
            };
            let measured = bench.measure(row, &one.target, &one.fixture).await;
            let name = one.target.name.clone();
            results.add(row, place, measured);
            let cell = results.cells.get(&(row.id, place));
            let last = cell.map(last).unwrap_or_default();
            note(format_args!("  {} {name}: {last}", row.id));
        }
    }
}

async fn yardstick(bench: &Bench, wanted: Yardstick, bare: &Bare, results: &mut Results) {
    let Some(seawall) = results.contestants.first() else {
        return;
    };
    let measured = bench.yardstick(wanted, bare, &seawall.target).await;
    let cell = results.yardsticks.entry(wanted).or_default();
    cell.add(measured.map(Some));
    note(format_args!("  {}: {}", wanted.title(), last(cell)));
}

/// The last figure, for the progress.
fn last(cell: &Cell) -> String {
    match cell {
        Cell::Samples(samples) => samples.last().map_or_else(String::new, |sample| {
            format!(
                "{:.1}, median {:.2} ms, p99 {:.2} ms",
                sample.value,
                sample.half.as_secs_f64() * 1e3,
                sample.tail.as_secs_f64() * 1e3
            )
        }),
        Cell::NotApplicable => "n/a".to_owned(),
        Cell::Failed(why) => format!("failed: {why}"),
    }
}

/// Half of what the slowest did in a closed loop, so that none is overloaded; else a guess.
fn pace(results: &Results) -> f64 {
    let slowest = (0..results.contestants.len())
        .filter_map(|place| median(&results.cells.get(&("manifest-tag", place))?.values()))
        .min_by(f64::total_cmp);
    slowest.map_or(200.0, |rate| (rate / 2.0).floor().max(1.0))
}

/// Whether a kind of work is among the rows.
fn wants(rows: &[&'static Row], work: Work) -> bool {
    rows.iter().any(|row| row.work == work)
}

async fn memory(
    programs: &[Program],
    connections: Option<usize>,
    folder: &Path,
    rows: &[&'static Row],
    results: &mut Results,
) {
    let measured = rest::measure(programs, connections, folder).await;
    let figure = |value: f64| {
        Some(Sample {
            value,
            ..Sample::default()
        })
    };
    for place in 0..results.contestants.len() {
        let kind = results.contestants.get(place).map(|one| one.target.kind);
        let mut of_kind = programs
            .iter()
            .zip(&measured)
            .filter(|(program, _)| Some(program.kind) == kind);
        let found = of_kind.next().map(|(_, found)| found);
        for row in rows {
            let value = match (row.work, found) {
                (Work::MemoryAtRest | Work::MemoryPerConnection, None) => Ok(None),
                (Work::MemoryAtRest, Some(Ok(found))) => Ok(figure(found.rest / 1e6)),
                (Work::MemoryPerConnection, Some(Ok(found))) => {
                    Ok(found.connection.and_then(|bytes| figure(bytes / 1e3)))
                }
                (Work::MemoryAtRest | Work::MemoryPerConnection, Some(Err(error))) => {
                    Err(anyhow::anyhow!("{error:#}"))
                }
                _ => continue,
            };
            results.add(row, place, value);
        }
    }
}
