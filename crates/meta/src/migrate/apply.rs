//! How missing steps are applied: under a lock, one by one, each with its bookkeeping.
//!
//! Runs on a connection of its own, which ends with the work.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_query::{Expr, ExprTrait as _, OnConflict, Query};

use super::step::{BinaryRelease, OrderedStep, expand};
use crate::args::Args;
use crate::bind::arg;
use crate::connection::Connection;
use crate::dialect::SqlDialect;
use crate::dialect::errors::Failure;
use crate::error::{Error, Result};
use crate::row::Row;
use crate::shared::SharedDatabase;
use crate::statement::Statement;
use crate::{args, pools, random};

/// How long to wait for another process that migrates.
const PATIENCE: Duration = Duration::from_mins(10);
/// Pause between attempts to get a lock.
const PAUSE: Duration = Duration::from_millis(200);

/// A row of the history.
pub(super) struct AppliedStep {
    pub(super) name: String,
    pub(super) applied: bool,
    checksum: i64,
}

pub(super) type MigrationHistory = BTreeMap<(String, i64), AppliedStep>;

const CREATE_HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_migration (owner {name} NOT NULL, \
    number {bigint} NOT NULL, name {name} NOT NULL, applied_at {bigint}, checksum {bigint} NOT NULL, \
    PRIMARY KEY (owner, number)) {table}";
const CREATE_COMPAT: &str = "CREATE TABLE IF NOT EXISTS schema_compat (id {bigint} NOT NULL PRIMARY KEY, \
    oldest_binary {bigint} NOT NULL) {table}";

crate::statements! {
    /// What was applied or begun.
    HISTORY: |_d| Query::select().columns(["owner", "number", "name", "applied_at", "checksum"])
        .from("schema_migration");
    /// A step begins (time null) or is applied at once.
    BOOK: |_d| Query::insert().into_table("schema_migration")
        .columns(["owner", "number", "name", "applied_at", "checksum"])
        .values_panic([arg(0), arg(1), arg(2), arg(3), arg(4)]);
    /// A step that was begun is applied.
    BOOK_APPLIED: |_d| Query::update().table("schema_migration").value("applied_at", arg(2))
        .and_where(Expr::col("owner").eq(arg(0))).and_where(Expr::col("number").eq(arg(1)));
    /// The oldest release admitted.
    COMPAT: |_d| Query::select().column("oldest_binary").from("schema_compat").and_where(Expr::col("id").eq(1));
    /// Raises it, never lowers it.
    COMPAT_SET: |d| d.upsert_with(
        Query::insert().into_table("schema_compat").columns(["id", "oldest_binary"])
            .values_panic([Expr::val(1), arg(0)]),
        OnConflict::column("id").value("oldest_binary", Expr::case(
            Expr::col(("schema_compat", "oldest_binary")).lt(arg(0)), arg(0),
        ).finally(Expr::col(("schema_compat", "oldest_binary")))).to_owned(),
    );
}

/// Applies what is missing, as soon as no other process does.
pub(super) async fn apply(
    shared: &SharedDatabase,
    items: &[OrderedStep],
    release: BinaryRelease,
) -> Result<Vec<String>, Failure> {
    let begun = shared.clock.elapsed();
    loop {
        // A connection of its own: locks and settings end with it, and no other caller waits for
        // it.
        let mut connection = pools::connect(&shared.address, &shared.config).await?;
        if lock(&mut connection, shared).await? {
            // The lock is ours: from here on, steps may take as long as their tables are large.
            connection.lift_answer_limit();
            let applied = apply_locked(&mut connection, shared, items, release).await;
            connection.finish().await;
            return applied;
        }
        connection.finish().await;
        if shared.clock.elapsed().saturating_sub(begun) > PATIENCE {
            return Err(Error::Busy("another process is migrating".into()).into());
        }
        tokio::time::sleep(random::jitter(PAUSE)).await;
    }
}

async fn lock(connection: &mut Connection, shared: &SharedDatabase) -> Result<bool, Failure> {
    let dialect = shared.pools.dialect();
    for setting in dialect.session(&shared.config, shared.server.flavour) {
        connection.command(&setting).await?;
    }
    if let Some(setting) = dialect.without_statement_timeout(shared.server.flavour) {
        connection.command(setting).await?;
    }
    match dialect.try_migration_lock() {
        None => Ok(true),
        Some(question) => Ok(connection
            .ask(question)
            .await?
            .first()
            .is_some_and(|row| row.bool(0).unwrap_or(false))),
    }
}

async fn apply_locked(
    connection: &mut Connection,
    shared: &SharedDatabase,
    items: &[OrderedStep],
    release: BinaryRelease,
) -> Result<Vec<String>, Failure> {
    let dialect = shared.pools.dialect();
    for table in [CREATE_HISTORY, CREATE_COMPAT] {
        connection
            .command(&expand(table, dialect).map_err(Error::Other)?)
            .await?;
    }
    let oldest = oldest(connection, shared).await?;
    if oldest > release.number {
        return Err(Error::SchemaTooNew {
            oldest,
            this: release.number,
        }
        .into());
    }
    let booked = history(connection, shared).await?;
    if let Some(item) = items.iter().find(|item| is_unfolded(item, &booked)) {
        let step = item.label();
        return Err(Error::SchemaUnfolded { step }.into());
    }
    let mut applied = Vec::new();
    for item in items {
        if apply_patiently(connection, shared, item).await? {
            tracing::info!(step = item.label(), "migration applied");
            applied.push(item.label());
        }
    }
    execute(connection, shared, &COMPAT_SET, args![release.admits]).await?;
    Ok(applied)
}

/// Whether the step was applied as it was before later ones became a part of it, and not all of
/// those were.
pub(super) fn is_unfolded(item: &OrderedStep, history: &MigrationHistory) -> bool {
    let booked = history.get(&item.key());
    let as_it_was = booked.is_some_and(|booked| booked.checksum != item.step.checksum());
    let is_missing = |key| !history.get(&key).is_some_and(|step| step.applied);
    as_it_was && item.folded().any(is_missing)
}

/// Applies one step unless it was applied. One that does not get its lock at once lets those pass
/// who wait behind it, and is tried again.
async fn apply_patiently(
    connection: &mut Connection,
    shared: &SharedDatabase,
    item: &OrderedStep,
) -> Result<bool, Failure> {
    let begun = shared.clock.elapsed();
    let online = item.step.index().is_some();
    if let Some(setting) = shared.pools.dialect().schema_lock_timeout(online) {
        connection.command(setting).await?;
    }
    loop {
        match apply_step(connection, shared, item).await {
            Err(failure)
                if failure.retry
                    && !failure.lost
                    && shared.clock.elapsed().saturating_sub(begun) < PATIENCE =>
            {
                tracing::info!(step = item.label(), error = %failure.error, "a migration waits for its lock");
                tokio::time::sleep(random::jitter(PAUSE)).await;
            }
            outcome => return outcome,
        }
    }
}

/// Applies one step unless it was applied.
async fn apply_step(
    connection: &mut Connection,
    shared: &SharedDatabase,
    item: &OrderedStep,
) -> Result<bool, Failure> {
    let dialect = shared.pools.dialect();
    let sql = item.step.render(dialect)?;
    connection.command(dialect.begin()).await?;
    let history = history(connection, shared).await?;
    let booked = history.get(&item.key());
    if let Some(booked) = booked {
        if !item.step.is_booked_as(booked.checksum) {
            connection.command("ROLLBACK").await?;
            return Err(Error::Configuration(format!(
                "migration {} was edited after it was applied",
                item.label()
            ))
            .into());
        }
        if booked.applied {
            connection.command("ROLLBACK").await?;
            return Ok(false);
        }
    }
    let (owner, number) = item.key();
    let now = now(connection, dialect).await?;
    let begun = booked.is_some();
    let index = item.step.index();
    let together = dialect.transactional_schema() && index.is_none();
    if !begun {
        let applied_at = together.then_some(now);
        let booking = args![
            owner.clone(),
            number,
            item.step.name(),
            applied_at,
            item.step.checksum()
        ];
        execute(connection, shared, &BOOK, booking).await?;
    }
    if together {
        let changed = connection.change_schema(&sql, false).await;
        return finish_step(connection, changed, item).await;
    }
    connection.command("COMMIT").await?;
    if let Some(index) = index {
        drop_unfinished(connection, dialect, index).await?;
    }
    connection
        .change_schema(&sql, begun || index.is_some())
        .await
        .map_err(|failure| named(failure, item))?;
    execute(connection, shared, &BOOK_APPLIED, args![owner, number, now]).await?;
    Ok(true)
}

/// Takes away what an attempt left that was interrupted: its index takes up every write and serves
/// no read, and "if not exists" would be content with it.
async fn drop_unfinished(
    connection: &mut Connection,
    dialect: SqlDialect,
    index: &str,
) -> Result<(), Failure> {
    let Some((question, removal)) = dialect.unfinished_index(index) else {
        return Ok(());
    };
    if !connection.ask(&question).await?.is_empty() {
        connection.command(&removal).await?;
    }
    Ok(())
}

async fn finish_step(
    connection: &mut Connection,
    changed: Result<bool, Failure>,
    item: &OrderedStep,
) -> Result<bool, Failure> {
    match changed {
        Ok(_) => connection.command("COMMIT").await.map(|()| true),
        Err(failure) => {
            connection.command("ROLLBACK").await?;
            Err(named(failure, item))
        }
    }
}

fn named(failure: Failure, item: &OrderedStep) -> Failure {
    match failure.error {
        Error::Other(text) => Error::Other(format!("migration {}: {text}", item.label())).into(),
        _ => failure,
    }
}

async fn now(connection: &mut Connection, dialect: SqlDialect) -> Result<i64, Failure> {
    let rows = connection
        .ask(&format!("SELECT {}", dialect.clock()))
        .await?;
    Ok(rows.first().map_or(Ok(0), |row| row.int(0))?)
}

pub(super) async fn has_history(connection: &mut Connection) -> bool {
    connection
        .ask("SELECT 1 FROM schema_migration WHERE 1 = 0")
        .await
        .is_ok()
        && connection
            .ask("SELECT 1 FROM schema_compat WHERE 1 = 0")
            .await
            .is_ok()
}

pub(super) async fn history(
    connection: &mut Connection,
    shared: &SharedDatabase,
) -> Result<MigrationHistory, Failure> {
    let rows = fetch(connection, shared, &HISTORY).await?;
    let booked = |row: Row| -> Result<_> {
        let booked = AppliedStep {
            name: row.string(2)?,
            applied: row.opt_int(3)?.is_some(),
            checksum: row.int(4)?,
        };
        Ok(((row.string(0)?, row.int(1)?), booked))
    };
    Ok(rows.into_iter().map(booked).collect::<Result<_>>()?)
}

pub(super) async fn oldest(
    connection: &mut Connection,
    shared: &SharedDatabase,
) -> Result<i64, Failure> {
    let rows = fetch(connection, shared, &COMPAT).await?;
    Ok(rows.first().map_or(Ok(0), |row| row.int(0))?)
}

async fn fetch(
    connection: &mut Connection,
    shared: &SharedDatabase,
    statement: &'static Statement,
) -> Result<Vec<Row>, Failure> {
    let rendered = statement.for_len(shared.pools.dialect(), 0)?;
    let args = args![];
    connection.fetch(&shared.execution(rendered, &args)).await
}

async fn execute(
    connection: &mut Connection,
    shared: &SharedDatabase,
    statement: &'static Statement,
    args: Args,
) -> Result<(), Failure> {
    let rendered = statement.for_len(shared.pools.dialect(), 0)?;
    let done = connection.execute(&shared.execution(rendered, &args)).await;
    done.map(drop)
}
