//! No statement's cost grows with what nobody asked for.
//!
//! Every statement of every crate runs at two sizes of every table, on each database, and what it
//! takes (see `EffortGauge`) must not follow. A new statement is among them by itself: its
//! arguments are found from the columns that they meet. What cannot be found is told in
//! `ARGUMENTS`.

mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use seawall::compose::{self, CoreServices};
use seawall_kernel::FeaturePlan;
use seawall_meta::fixture::{ArgumentSlot, DatabaseBackend, EffortGauge, TestDatabase, slots};
use seawall_meta::{Arg, Args, Statement};
use seawall_testkit::notes;

/// So many rows has every table that can grow, and then so many.
const SIZES: [u32; 2] = [1_000, 100_000];

/// The arguments are those of this row.
const ROW: u32 = 499;

/// So many rows are asked for where there is a limit.
const ASKED: i64 = 20;

/// Three years in milliseconds: beyond every time in the tables.
const LONG: i64 = 100_000_000_000;

/// Beyond every id.
const END: i64 = 100_000_000;

/// Statements that may cost what is there, and why.
const EXCEPT: &[(&str, &str)] = &[
    (
        "accounts::credentials::store::SUPERUSER",
        "is asked at a start and by the command line",
    ),
    (
        "kernel::catalog::store::REPOSITORY_CLEARING",
        "is asked by tests",
    ),
    // There ids are taken in the order in which they are committed.
    (
        "kernel::events::store::log::LOG_RANGES",
        "SQLite sorts what is in holes, and has none",
    ),
    (
        "meta::change::LOG_RANGES",
        "SQLite sorts what is in holes, and has none",
    ),
];

/// Arguments that are not those of the row: statement, number, value.
const ARGUMENTS: &[(&str, usize, i64)] = &[
    // What a manifest says of its layers and its config, which no statement asks for.
    ("registry::manifest::store::INSERT", 9, 0),
    ("registry::manifest::store::INSERT", 10, 0),
    // Holes and pieces of a log end where the log does.
    ("kernel::events::store::log::LOG_HORIZON", 0, END),
    ("kernel::events::store::log::LOG_RANGES", 1, END),
    ("meta::change::LOG_HORIZON", 0, END),
    ("meta::change::LOG_RANGES", 1, END),
    // Ids of history, beside a look at the manifest.
    ("registry::tag::store::HISTORY_END_OF", 2, 500),
];

/// Every feature, and the one that exists for tests.
fn plans() -> Vec<FeaturePlan<CoreServices>> {
    let mut plans = compose::plans();
    plans.push(notes::plan(&Arc::default()));
    plans
}

/// All statements there are.
fn statements() -> Vec<&'static Statement> {
    let own = seawall_meta::STATEMENTS.iter().copied().flatten();
    let plans = plans();
    let brought = plans.iter().flat_map(FeaturePlan::all_statements);
    brought.chain(own).copied().collect()
}

/// A statement as it is called here: the crate's and the module's name, and its own.
fn name(statement: &Statement) -> String {
    format!("{statement:?}")
        .trim_start_matches("seawall_")
        .to_owned()
}

/// The values that each argument takes, one after the other.
async fn values(
    gauge: &mut EffortGauge,
    statement: &'static Statement,
) -> Result<Vec<Vec<Arg>>, String> {
    let mut values = Vec::new();
    for (number, (slot, listed)) in slots(statement).unwrap().into_iter().enumerate() {
        let told = |told: &&(&str, usize, i64)| told.0 == name(statement) && told.1 == number;
        let told = ARGUMENTS.iter().find(told);
        let several = match &slot {
            _ if told.is_some() => told.map(|told| Arg::from(told.2)).into_iter().collect(),
            ArgumentSlot::Count | ArgumentSlot::Unused => vec![Arg::from(ASKED)],
            ArgumentSlot::Switch => vec![Arg::from(0_i64), Arg::from(1_i64)],
            ArgumentSlot::Distance => vec![Arg::from(0_i64), Arg::from(LONG)],
            ArgumentSlot::Column { table, column } => {
                let value = gauge.value(table, column, ROW).await.map_err(|error| {
                    format!("argument {number} of {}: {error}", name(statement))
                })?;
                value.into_iter().collect()
            }
            ArgumentSlot::Unknown => Vec::new(),
        };
        if several.is_empty() {
            return Err(format!(
                "argument {number} of {}: {slot:?}",
                name(statement)
            ));
        }
        let list = |value: &Arg| Arg::List(vec![value.clone(); 3]);
        values.push(if listed {
            several.iter().map(list).collect()
        } else {
            several
        });
    }
    Ok(values)
}

/// Every way to choose one of each.
fn choices(values: &[Vec<Arg>]) -> Vec<Args> {
    let extended = |chosen: Vec<Vec<Arg>>, several: &Vec<Arg>| {
        let with = |one: &Vec<Arg>| {
            let one = one.clone();
            several
                .iter()
                .map(move |value| [one.clone(), vec![value.clone()]].concat())
        };
        chosen.iter().flat_map(with).collect()
    };
    let all: Vec<Vec<Arg>> = values.iter().fold(vec![Vec::new()], extended);
    all.into_iter().map(Args).collect()
}

async fn fill(gauge: &mut EffortGauge, rows: (u32, u32), now: i64) {
    for (table, seeds) in store::SEEDS {
        for seed in *seeds {
            let text = store::seed(seed, rows, now);
            let filled = gauge.run(&text).await;
            assert!(filled.is_ok(), "{table}: {filled:?}");
        }
        gauge.analyze(table).await.unwrap();
    }
    for (table, sample) in store::samples() {
        let filled = gauge.run(&store::seed(&sample, rows, now)).await;
        assert!(filled.is_ok(), "{table}: {filled:?}");
        gauge.analyze(&table).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_costs_more_for_what_it_is_not_about() {
    let backend = DatabaseBackend::chosen().unwrap();
    let database = TestDatabase::migrated(backend, &compose::tables(&plans()))
        .await
        .unwrap();
    let meta = database.open().await.unwrap();
    let mut gauge = EffortGauge::new(&meta).await.unwrap();
    let samples = store::samples();
    let unseeded: Vec<_> = gauge.tables().await.unwrap();
    let unseeded: Vec<_> = unseeded
        .iter()
        .filter(|table| {
            let of_core = store::SEEDS.iter().any(|(seeded, _)| seeded == table);
            let of_feature = || samples.iter().any(|(seeded, _)| seeded == *table);
            !table.starts_with("schema_") && !of_core && !of_feature()
        })
        .collect();
    assert!(
        unseeded.is_empty(),
        "give these tables rows in samples.sql of the crate: {unseeded:?}"
    );

    let now = meta.now().0;
    gauge.without_foreign_keys().await.unwrap();
    gauge.numbers(SIZES[1]).await.unwrap();
    fill(&mut gauge, (1, SIZES[0]), now).await;
    let mut statements = statements();
    statements.retain(|statement| !EXCEPT.iter().any(|(except, _)| *except == name(statement)));
    let mut wrong = Vec::new();
    let mut small = BTreeMap::new();
    for statement in &statements {
        let values = match values(&mut gauge, statement).await {
            Ok(values) => values,
            Err(error) => {
                wrong.push(format!("say in ARGUMENTS what this is: {error}"));
                continue;
            }
        };
        for (place, args) in choices(&values).into_iter().enumerate() {
            let effort = gauge.effort(statement, &args).await.unwrap();
            small.insert((name(statement), place), (*statement, args, effort));
        }
    }
    fill(&mut gauge, (SIZES[0] + 1, SIZES[1]), now).await;
    for ((name, place), (statement, args, small)) in small {
        let large = gauge.effort(statement, &args).await.unwrap();
        if large > 2 * small + gauge.slack() {
            wrong.push(format!("{name}, {place}: {small} at first, then {large}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    drop(gauge);
    meta.close().await;
}

#[test]
fn every_exception_is_one() {
    let names: Vec<_> = statements().into_iter().map(name).collect();
    let told = ARGUMENTS.iter().map(|(told, ..)| told);
    for except in EXCEPT.iter().map(|(except, _)| except).chain(told) {
        assert!(
            names.iter().any(|name| name == except),
            "there is no {except}"
        );
    }
}
