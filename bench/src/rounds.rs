//! The run: registries started side by side, everything measured in rounds.
//!
//! Within a round each row is measured at all registries, one after the other and never at the same
//! time, before the next row begins; who is first changes from round to round. So what the machine
//! does besides falls on all alike.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::bare::BareServers;
use crate::content::ContentMaker;
use crate::fixture::{Fixture, FixtureNeeds, prepare};
use crate::launch::{Program, RunningRegistry};
use crate::measure::{Bench, Sample};
use crate::options::Options;
use crate::output::note;
use crate::parts::BenchParts;
use crate::process::resident;
use crate::rest;
use crate::results::{Competitor, Results};
use crate::rows::{BenchPlan, Protocol, Workload, Yardstick};
use crate::target::{BenchTarget, RegistryProduct};

/// The programs to measure.
fn programs(options: &Options) -> Vec<Program> {
    let program = |kind, name, path: &Path| Program {
        kind,
        name,
        path: path.to_owned(),
    };
    vec![
        program(RegistryProduct::Seawall, "Seawall", &options.seawall),
        program(
            RegistryProduct::Two,
            "docker-registry",
            &options.docker_registry,
        ),
        program(
            RegistryProduct::Three,
            "Distribution",
            &options.distribution,
        ),
    ]
}

/// Runs everything, with data in `folder`.
pub(crate) async fn run(options: &Options, plan: &BenchPlan, folder: &Path) -> Result<Results> {
    let mut bench = Bench {
        clients: options.clients.max(1),
        window: options.window(),
        rate: options.rate.unwrap_or(0.0),
        content: Arc::new(ContentMaker::new()),
    };
    let programs = programs(options);
    let bare = BareServers::start(&folder.join("bare")).await?;
    let mut results = Results::default();
    let mut running = start_all(options, &programs, folder, &mut results).await;
    fill(&bench, plan, options.entries(), &mut results).await?;
    let seawall = programs.first().context("no program")?;
    let place = (folder, &bench.content);
    let parts = BenchParts::prepare(seawall, plan, options, place, &mut results).await;
    for round in 0..options.rounds() {
        note(format_args!("round {} of {}", round + 1, options.rounds()));
        still_there(&mut running)?;
        one_round(&mut bench, plan, &bare, round, &mut results).await;
        if plan.any(Workload::is_rest) {
            let place = folder.join(format!("rest-{round}"));
            memory(&programs, options.connections(), &place, plan, &mut results).await;
        }
        parts.round(&bench, round, &mut results).await;
    }
    still_there(&mut running)?;
    for contestant in &mut results.contestants {
        contestant.memory_after = contestant.target.pid.and_then(resident);
    }
    for one in running {
        one.process.stop().await;
    }
    parts.end().await;
    results.rate = bench.rate;
    Ok(results)
}

/// Prepares what is read. A registry that cannot be prepared does not take part.
async fn fill(
    bench: &Bench,
    plan: &BenchPlan,
    entries: usize,
    results: &mut Results,
) -> Result<()> {
    let needs = FixtureNeeds {
        large: plan.any(|work| work == Workload::BlobLarge),
        tags: plan.any(|work| work == Workload::TagsPage),
        catalog: plan.any(|work| work == Workload::CatalogPage),
    };
    let found = std::mem::take(&mut results.contestants);
    for mut contestant in found {
        let target = Arc::clone(&contestant.target);
        note(format_args!("preparing {} {}", target.name, target.version));
        match prepare(&target, &bench.content, needs, entries).await {
            Ok(fixture) => {
                contestant.fixture = fixture;
                results.contestants.push(contestant);
            }
            Err(error) => {
                let reason = format!("{error:#}");
                results.absent.push((target.name.clone(), reason));
            }
        }
    }
    let first = results.contestants.first();
    anyhow::ensure!(
        first.is_some_and(|first| first.target.kind == RegistryProduct::Seawall),
        "Seawall itself cannot be measured: {:?}",
        results.absent
    );
    Ok(())
}

/// Fails if a registry has ended by itself, or was ended: half a comparison is none.
fn still_there(running: &mut [RunningRegistry]) -> Result<()> {
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
) -> Vec<RunningRegistry> {
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
        .map(|target| Competitor {
            target: Arc::new(target),
            fixture: Fixture::default(),
            memory_after: None,
        })
        .collect();
    running
}

async fn peer(text: &str) -> Result<BenchTarget> {
    let mut target = BenchTarget::parse(text)?;
    target.discover().await?;
    Ok(target)
}

async fn one_round(
    bench: &mut Bench,
    plan: &BenchPlan,
    bare: &BareServers,
    round: usize,
    results: &mut Results,
) {
    let mut done = Vec::new();
    if !plan.rows.is_empty() {
        yardstick(bench, Yardstick::Ceiling, bare, results).await;
    }
    for row in plan.rows.iter().filter(|row| !row.work.is_rest()) {
        if row.work == Workload::ManifestPaced && bench.rate <= 0.0 {
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
            if let Some(one) = results.contestants.get(place) {
                let measured = bench.measure(row, &one.target, &one.fixture).await;
                results.add(row, place, measured);
            }
        }
    }
}

async fn yardstick(bench: &Bench, wanted: Yardstick, bare: &BareServers, results: &mut Results) {
    let Some(seawall) = results.contestants.first() else {
        return;
    };
    let measured = bench.yardstick(wanted, bare, &seawall.target).await;
    let cell = results.yardsticks.entry(wanted).or_default();
    cell.add(measured.map(Some));
    note(format_args!("  {}: {}", wanted.title(), cell.last()));
}

/// Half of what the slowest did in a closed loop, so that none is overloaded; else a guess.
fn pace(results: &Results) -> f64 {
    let slowest = (0..results.contestants.len())
        .filter_map(|place| results.median("manifest-tag", place))
        .min_by(f64::total_cmp);
    slowest.map_or(200.0, |rate| (rate / 2.0).floor().max(1.0))
}

async fn memory(
    programs: &[Program],
    connections: usize,
    folder: &Path,
    plan: &BenchPlan,
    results: &mut Results,
) {
    let ways = [Protocol::Plain, Protocol::Tls, Protocol::Two];
    let asked = |way: &Protocol| plan.any(|work| work == Workload::MemoryPerConnection(*way));
    let ways: Vec<_> = ways.into_iter().filter(asked).collect();
    let measured = rest::measure(programs, connections, &ways, folder).await;
    for place in 0..results.contestants.len() {
        let kind = results.contestants.get(place).map(|one| one.target.kind);
        for row in plan.rows.iter().filter(|row| row.work.is_rest()) {
            let way = match row.work {
                Workload::MemoryPerConnection(way) => way,
                _ => Protocol::Plain,
            };
            let found = measured
                .iter()
                .find(|found| Some(found.kind) == kind && found.way == way);
            let value = match found.map(|found| &found.memory) {
                None => Ok(None),
                Some(Err(error)) => Err(anyhow::anyhow!("{error:#}")),
                Some(Ok(found)) if row.work == Workload::MemoryAtRest => Ok(Some(found.rest / 1e6)),
                Some(Ok(found)) => Ok(found.connection.map(|bytes| bytes / 1e3)),
            };
            results.add(row, place, value.map(|value| value.map(Sample::plain)));
        }
    }
}
