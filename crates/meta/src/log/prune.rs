//! Shortens a log from below, and remembers where it begins.

use std::time::Duration;

use sea_query::{Expr, ExprTrait as _, OnConflict, Query};

use super::follower::Follower;
use super::table::LogTable;
use crate::args;
use crate::bind::arg;
use crate::change::CHANGES;
use crate::error::{Error, Result};
use crate::meta::Meta;

/// Rows deleted per transaction.
const BATCH: u64 = 1000;

crate::statements! {
    /// Where a log begins.
    FLOOR: |_d| Query::select().column("floor").from("log_floor").and_where(Expr::col("name").eq(arg(0)));
    /// Moves the beginning up, never down: who reads relies on it. Arguments: name, id.
    FLOOR_RAISE: |d| {
        let there = || Expr::col(("log_floor", "floor"));
        let higher = Expr::case(there().lt(arg(1)), arg(1)).finally(there());
        d.upsert_with(
            Query::insert().into_table("log_floor").columns(["name", "floor"]).values_panic([arg(0), arg(1)]),
            OnConflict::columns(["name"]).value("floor", higher).to_owned(),
        )
    };
}

impl Meta {
    /// Where a log begins: rows up to this id were pruned. A reader without a position of its own
    /// starts here.
    pub async fn log_floor(&self, table: &'static LogTable) -> Result<i64> {
        let row = self
            .dedicated_session()
            .optional(&FLOOR, args![table.name])
            .await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// A reader of a log, behind `floor` (see [`log_floor`](Self::log_floor)).
    pub async fn follow(&self, table: &'static LogTable, floor: i64) -> Result<Follower> {
        self.follow_on(table, false, floor).await
    }

    /// A reader of the change log, behind `floor`.
    pub async fn changes(&self, floor: i64) -> Result<Follower> {
        self.follow_on(&CHANGES, true, floor).await
    }

    async fn follow_on(
        &self,
        table: &'static LogTable,
        apart: bool,
        floor: i64,
    ) -> Result<Follower> {
        let mut follower = Follower::new(self.clone(), table, apart);
        follower.start(floor).await?;
        Ok(follower)
    }

    /// Deletes rows that are older than `keep` and not above `low_water`, a follower's mark of this
    /// moment; the last row always stays. Returns how many.
    ///
    /// `keep` must be longer than any reader may be away without having to forget everything, and
    /// much longer than any statement may run (at least ten minutes).
    pub async fn prune(
        &self,
        table: &'static LogTable,
        low_water: i64,
        keep: Duration,
    ) -> Result<u64> {
        let session = self.own_session();
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let mut pruned = 0;
        // Each pass reads the lowest rows only: a log is never read as a whole to see how much of
        // it may go.
        loop {
            let looked = args![low_water, keep, BATCH];
            let Some(horizon) = session.one(table.horizon, looked).await?.opt_int(0)? else {
                return Ok(pruned);
            };
            let batch = session.transaction::<u64, Error, _>(move |tx| {
                Box::pin(async move {
                    tx.execute(&FLOOR_RAISE, args![table.name, horizon]).await?;
                    tx.execute(table.prune, args![horizon]).await
                })
            });
            let deleted = batch.await?.value;
            pruned += deleted;
            if deleted < BATCH {
                return Ok(pruned);
            }
        }
    }
}
