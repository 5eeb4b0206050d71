//! Migrations: numbered steps, one statement each, one history for all dialects.
//!
//! A step that was applied is never applied again and never edited. On SQLite
//! and PostgreSQL a step and its bookkeeping commit together; MariaDB commits
//! schema changes by themselves, so a step is recorded as begun first and, if the
//! process died, told from an applied one by "already exists".
//!
//! A release may fold later steps into the one whose table they change (`-- replaces`, `-- folds`):
//! a database that has all of them is as good as a new one, and one that has only some is refused.
//!
//! A step that builds an index (`CREATE INDEX {online} name ON …`) never keeps
//! writers away: it runs outside a transaction, may be interrupted at any moment
//! and is run again. No statement depends on an index to be right, so a binary
//! whose indexes are not built yet starts all the same.

mod apply;
mod step;

use std::collections::BTreeSet;

use crate::detached::detached;
use crate::dialect::errors::Failure;
use crate::error::{Error, Result};
use crate::meta::Meta;
pub(crate) use apply::ALL;
use apply::{MigrationHistory, apply, has_history, history, is_unfolded, oldest};
use step::OrderedStep;
pub use step::{BinaryRelease, MigrationStep, Migrations};

/// The steps in `migrations/` of the calling crate, without `.sql`: `migrations!("kernel",
/// ["0001_create_principal"])`.
#[macro_export]
macro_rules! migrations {
    ($owner:expr, [$($file:literal),* $(,)?]) => {
        $crate::Migrations {
            owner: $owner,
            steps: &[$($crate::MigrationStep {
                file: $file,
                sql: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $file, ".sql")),
            }),*],
        }
    };
}

/// What is applied and what is not. Steps are written `owner/NNNN_name`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Applied steps that this binary knows.
    pub applied: Vec<String>,
    /// Known steps that are not applied, in the order in which they would be.
    pub missing: Vec<String>,
    /// Applied steps of a newer release.
    pub unknown: Vec<String>,
    /// Known steps that were applied by an older release, of which later ones are a part by now
    /// that it has not applied.
    pub unfolded: Vec<String>,
    /// The oldest release that the schema admits.
    pub oldest_release: i64,
}

/// Applies migrations.
pub struct Migrator {
    meta: Meta,
    sets: Vec<Migrations>,
    release: BinaryRelease,
}

static OWN: Migrations = migrations!(
    "meta",
    [
        "0001_create_change",
        "0002_create_log_floor",
        "0005_create_backfill",
    ]
);

/// A number that changes with any of these steps and this crate's own.
#[cfg(feature = "test-fixture")]
pub(crate) fn fingerprint(sets: &[Migrations]) -> u64 {
    let steps = std::iter::once(&OWN).chain(sets).flat_map(|set| set.steps);
    steps.fold(0, |print: u64, step| {
        print.rotate_left(7) ^ step.checksum().cast_unsigned()
    })
}

impl Migrator {
    /// A migrator for these owners, in this order; the database layer's own tables come first by
    /// themselves.
    pub fn new(meta: &Meta, sets: &[Migrations]) -> Self {
        let sets = std::iter::once(OWN).chain(sets.iter().copied()).collect();
        Self {
            meta: meta.clone(),
            sets,
            release: BinaryRelease::default(),
        }
    }

    /// The same for this release.
    pub fn release(mut self, release: BinaryRelease) -> Self {
        self.release = release;
        self
    }

    /// What is applied and what is not. Changes nothing, works on an empty database.
    pub async fn status(&self) -> Result<MigrationStatus> {
        let (meta, items) = (self.meta.clone(), self.items()?);
        let asked = async move {
            let mut connection = meta.shared.pools.writer().await?;
            let (history, oldest) = if has_history(&mut connection).await {
                let history = history(&mut connection, &meta.shared).await?;
                (history, oldest(&mut connection, &meta.shared).await?)
            } else {
                (MigrationHistory::new(), 0)
            };
            connection.finish().await;
            Ok(status(&items, &history, oldest))
        };
        let asked: Result<MigrationStatus, Failure> =
            detached(&self.meta.shared.tasks, "meta.status", asked).await?;
        asked.map_err(|failure| failure.error)
    }

    /// The missing steps with their text in this database's dialect.
    pub async fn plan(&self) -> Result<Vec<(String, String)>> {
        let missing: BTreeSet<String> = self.status().await?.missing.into_iter().collect();
        let missing = self
            .items()?
            .into_iter()
            .filter(|item| missing.contains(&item.label()));
        missing
            .map(|item| Ok((item.label(), item.step.render(self.meta.dialect())?)))
            .collect()
    }

    /// Refuses a schema that this binary must not run on: too new for it, or with steps missing. A
    /// missing index makes it slow, not wrong, and is only logged.
    pub async fn check(&self) -> Result<()> {
        let status = self.status().await?;
        if status.oldest_release > self.release.number {
            return Err(Error::SchemaTooNew {
                oldest: status.oldest_release,
                this: self.release.number,
            });
        }
        if let Some(step) = status.unfolded.into_iter().next() {
            return Err(Error::SchemaUnfolded { step });
        }
        let indexes: BTreeSet<String> = self
            .items()?
            .iter()
            .filter(|item| item.step.index().is_some())
            .map(OrderedStep::label)
            .collect();
        let (slow, missing): (Vec<_>, Vec<_>) = status
            .missing
            .into_iter()
            .partition(|label| indexes.contains(label));
        if !missing.is_empty() {
            return Err(Error::SchemaTooOld { missing });
        }
        if !slow.is_empty() {
            tracing::warn!(?slow, "indexes are missing, run `seawall migrate apply`");
        }
        Ok(())
    }

    /// Applies all missing steps; returns those that this call applied. Safe beside others that do
    /// the same.
    pub async fn apply(&self) -> Result<Vec<String>> {
        let (meta, items, release) = (self.meta.clone(), self.items()?, self.release);
        let applying = async move { apply(&meta.shared, &items, release).await };
        let applied = detached(&self.meta.shared.tasks, "meta.migrate", applying).await?;
        applied.map_err(|failure| failure.error)
    }

    /// All steps in order, checked for form.
    fn items(&self) -> Result<Vec<OrderedStep>> {
        let mut items = Vec::new();
        for set in &self.sets {
            let mut last = 0;
            for step in set.steps {
                let item = OrderedStep {
                    owner: set.owner,
                    step: *step,
                };
                if step.number() <= last || step.name().is_empty() {
                    return Err(Error::Configuration(format!(
                        "migration {} is out of order",
                        item.label()
                    )));
                }
                last = step.number();
                items.push(item);
            }
        }
        Ok(items)
    }
}

fn status(
    items: &[OrderedStep],
    history: &MigrationHistory,
    oldest_release: i64,
) -> MigrationStatus {
    let folded = items.iter().flat_map(OrderedStep::folded);
    let known: BTreeSet<_> = items.iter().map(OrderedStep::key).chain(folded).collect();
    let applied = |item: &&OrderedStep| {
        history
            .get(&item.key())
            .is_some_and(|booked| booked.applied)
    };
    let unknown = history.iter().filter(|(key, _)| !known.contains(key));
    MigrationStatus {
        applied: items
            .iter()
            .filter(applied)
            .map(OrderedStep::label)
            .collect(),
        missing: items
            .iter()
            .filter(|item| !applied(item))
            .map(OrderedStep::label)
            .collect(),
        unknown: unknown
            .map(|((owner, number), booked)| format!("{owner}/{number:04}_{}", booked.name))
            .collect(),
        unfolded: items
            .iter()
            .filter(|item| is_unfolded(item, history))
            .map(OrderedStep::label)
            .collect(),
        oldest_release,
    }
}
