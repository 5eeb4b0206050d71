//! What was acknowledged survives `kill -9`: the crash lab against the built binary.
//!
//! `SEAWALL_TEST_DB` says on which database, `SEAWALL_KILLS` how often the server is killed,
//! `SEAWALL_SEED` repeats a run. `make crash` runs it on each database.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use seawall_kernel::clock::SystemRandom;
use seawall_meta::fixture::{DatabaseBackend, TestDatabase};
use seawall_testkit::crash::{Lab, LabInstallation, LabPlan};
use seawall_types::Random;

/// How often the server is killed when nobody says how often.
const KILLS: u64 = 20;

const CLIENTS: usize = 4;

#[expect(
    clippy::disallowed_methods,
    reason = "tests are configured by their environment"
)]
fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
    Some(value.parse().unwrap())
}

fn fresh_seed() -> u64 {
    let mut bytes = [0; 8];
    SystemRandom.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// The embedded database is in the data directory; others are made on the servers for tests.
async fn database() -> Option<TestDatabase> {
    match DatabaseBackend::chosen().unwrap() {
        DatabaseBackend::Sqlite => None,
        other => Some(TestDatabase::create(other).await.unwrap()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_push_survives_kills() {
    let plan = LabPlan {
        seed: number("SEAWALL_SEED").unwrap_or_else(fresh_seed),
        kills: number("SEAWALL_KILLS").unwrap_or(KILLS),
        clients: CLIENTS,
    };
    let database = database().await;
    let url = database.as_ref().map(|database| database.url.as_str());
    let directory = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_seawall"));
    let installation = LabInstallation::new(binary, directory.path(), url).unwrap();
    if database.is_some() {
        let output = installation.run(&["migrate", "apply"]).unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    println!("SEAWALL_SEED={}", plan.seed);
    match Lab::new(&installation, plan).run().await {
        Ok(figures) => println!("{figures}"),
        Err(violated) => {
            let kept = directory.keep();
            panic!("{violated}\nEverything is kept in {}", kept.display());
        }
    }
}
