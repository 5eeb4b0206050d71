//! The benchmark: measures Seawall beside other registries and beside what the machine itself can
//! do, and writes down what it found.
//!
//! `make bench` runs it. It must never flatter: what it could not measure it says, and every figure
//! comes with what is needed to doubt it.

mod attack;
mod bare;
mod client;
mod connection;
mod content;
mod fixture;
mod launch;
mod lists;
mod load;
mod machine;
mod measure;
mod options;
mod output;
mod parts;
mod process;
mod push;
mod report;
mod rest;
mod results;
mod rounds;
mod rows;
mod statistics;
mod steps;
mod store;
mod target;
mod timing_leak;
mod tls;
mod under_attack;
mod wire;

use std::fs;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seawall_kernel::clock::SystemClock;
use seawall_types::time::Clock;

use machine::Machine;
use options::Options;
use output::{note, say};
use report::Report;
use rows::BenchPlan;

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    // On this thread, whose end ends the registries.
    runtime.block_on(async {
        tokio::select! {
            ended = bench(&options) => ended,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    })
}

async fn bench(options: &Options) -> Result<()> {
    let plan = BenchPlan::chosen(&options.rows)?;
    let begun = SystemClock.elapsed();
    open_files(options.connections());
    let mut builder = tempfile::Builder::new();
    builder.prefix("seawall-bench.");
    let folder = match &options.directory {
        Some(directory) => builder.tempdir_in(directory),
        None => builder.tempdir(),
    }
    .context("making a folder for the registries' data")?;
    let machine = Machine::look(folder.path())?;
    if !options.quick {
        let touched = machine::touch_memory() >> 30;
        note(format_args!("touched {touched} GiB of memory"));
    }
    let before = machine::load();
    let results = rounds::run(options, &plan, folder.path()).await?;
    let report = Report {
        options,
        plan: &plan,
        results: &results,
        machine: &machine,
        load: [before, machine::load()],
        date: SystemClock.wall().to_string(),
        took: SystemClock.elapsed().saturating_sub(begun),
    };
    let text = report.render();
    say(&text)?;
    if let Some(path) = options.output() {
        fs::write(&path, &text).with_context(|| format!("writing {}", path.display()))?;
        note(format_args!("written to {}", path.display()));
    }
    Ok(())
}

/// Raises the limit of open files for this process and those that it starts, as far as it goes.
fn open_files(connections: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = (connections as u64 + 1000).max(current.unwrap_or(u64::MAX));
    let current = Some(wanted.min(maximum.unwrap_or(u64::MAX)));
    if setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_err() {
        note("the limit of open files could not be raised");
    }
}
