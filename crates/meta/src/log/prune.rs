//! Shortens a log from below, and remembers where it begins.

use std::time::Duration;

use sea_query::{Expr, ExprTrait as _, Query};

use super::{Follower, LogTable};
use crate::args;
use crate::change::CHANGES;
use crate::error::{Error, Result};
use crate::meta::Meta;
use crate::statement::arg;

/// Rows deleted per transaction.
const BATCH: u64 = 1000;

crate::statements! {
    /// Where a log begins.
    FLOOR: |_d| Query::select().column("floor").from("log_floor").and_where(Expr::col("name").eq(arg(0)));
    /// Moves the beginning.
    FLOOR_SET: |d| d.upsert(
        Query::insert().into_table("log_floor").columns(["name", "floor"]).values_panic([arg(0), arg(1)]),
        &["name"],
        &["floor"],
    );
}

impl Meta {
    /// Where a log begins: rows up to this id were pruned. A reader without a position of its own starts here.
    pub async fn log_floor(&self, table: &'static LogTable) -> Result<i64> {
        let row = self
            .own_session()
            .optional(&FLOOR, args![table.name])
            .await?;
        row.map_or(Ok(0), |row| row.int(0))
    }

    /// A reader of a log, behind `floor` (see [`log_floor`](Self::log_floor)).
    pub async fn follow(&self, table: &'static LogTable, floor: i64) -> Result<Follower> {
        let mut follower = Follower::new(self.clone(), table);
        follower.start(floor).await?;
        Ok(follower)
    }

    /// A reader of the change log, behind `floor`.
    pub async fn changes(&self, floor: i64) -> Result<Follower> {
        self.follow(&CHANGES, floor).await
    }

    /// Deletes rows that are older than `keep` and not above `low_water`, a follower's mark of this moment; the last
    /// row always stays. Returns how many.
    ///
    /// `keep` must be longer than any reader may be away without having to forget everything, and much longer than
    /// any statement may run (at least ten minutes).
    pub async fn prune(
        &self,
        table: &'static LogTable,
        low_water: i64,
        keep: Duration,
    ) -> Result<u64> {
        let session = self.own_session();
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let Some(horizon) = session
            .one(table.horizon, args![low_water, keep])
            .await?
            .opt_int(0)?
        else {
            return Ok(0);
        };
        let mut pruned = 0;
        loop {
            let batch = session.transaction::<u64, Error, _>(move |tx| {
                Box::pin(async move {
                    tx.execute(&FLOOR_SET, args![table.name, horizon]).await?;
                    tx.execute(table.prune, args![horizon, BATCH]).await
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
