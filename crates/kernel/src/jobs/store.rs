//! Every SQL statement on jobs. No policy.

use sea_query::{Expr, ExprTrait, Order, Query};
use seawall_meta::arg;

/// Waiting, or leased by a worker.
pub const QUEUED: i64 = 1;
/// Given up after too many attempts; kept for the operator.
pub const DEAD: i64 = 2;

seawall_meta::statements! {
    /// Arguments: kind, key, payload, delay in ms.
    ENQUEUE: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("job")
            .columns([
                "kind", "dedup", "payload", "state", "run_at", "attempts", "fence", "lease_until",
                "created_at",
            ])
            .values_panic([
                arg(0),
                arg(1),
                arg(2),
                Expr::val(QUEUED),
                d.now().add(arg(3)),
                Expr::val(0i64),
                Expr::val(0i64),
                Expr::val(0i64),
                d.now(),
            ]);
        d.insert_ignore(&insert, &["dedup"])
    };

    /// Whether any job is due, for a worker that has nothing to do.
    DUE: |d| Query::select()
        .column("id")
        .from("job")
        .and_where(Expr::col("state").eq(QUEUED))
        .and_where(Expr::col("run_at").lte(d.now()))
        .and_where(Expr::col("lease_until").lt(d.now()))
        .limit(1)
        .to_owned();

    /// The next job due, locked against other workers.
    CLAIM: |d| {
        let mut select = Query::select();
        select
            .columns(["id", "kind", "payload", "attempts", "fence"])
            .from("job")
            .and_where(Expr::col("state").eq(QUEUED))
            .and_where(Expr::col("run_at").lte(d.now()))
            .and_where(Expr::col("lease_until").lt(d.now()))
            .order_by("run_at", Order::Asc)
            .limit(1);
        d.skip_locked(&select)
    };

    /// Arguments: id, lease in ms.
    LEASE: |d| Query::update()
        .table("job")
        .value("fence", Expr::col("fence").add(1i64))
        .value("attempts", Expr::col("attempts").add(1i64))
        .value("lease_until", d.now().add(arg(1)))
        .and_where(Expr::col("id").eq(arg(0)))
        .to_owned();

    /// Arguments: id, fence, lease in ms.
    RENEW: |d| Query::update()
        .table("job")
        .value("lease_until", d.now().add(arg(2)))
        .and_where(Expr::col("id").eq(arg(0)))
        .and_where(Expr::col("fence").eq(arg(1)))
        .to_owned();

    /// Arguments: id, fence.
    DONE: |_d| Query::delete()
        .from_table("job")
        .and_where(Expr::col("id").eq(arg(0)))
        .and_where(Expr::col("fence").eq(arg(1)))
        .to_owned();

    /// Puts a job back, forgetting its attempts. Arguments: id, fence, delay in ms.
    AGAIN: |d| Query::update()
        .table("job")
        .value("run_at", d.now().add(arg(2)))
        .value("lease_until", 0i64)
        .value("attempts", 0i64)
        .and_where(Expr::col("id").eq(arg(0)))
        .and_where(Expr::col("fence").eq(arg(1)))
        .to_owned();

    /// Puts a failed job back, or gives it up. Arguments: id, fence, delay in ms, state, error.
    FAILED: |d| Query::update()
        .table("job")
        .value("run_at", d.now().add(arg(2)))
        .value("lease_until", 0i64)
        .value("state", arg(3))
        .value("last_error", arg(4))
        .and_where(Expr::col("id").eq(arg(0)))
        .and_where(Expr::col("fence").eq(arg(1)))
        .to_owned();

    /// How many jobs wait and how many were given up.
    COUNTS: |d| Query::select()
        .column("state")
        .expr(d.integer(Expr::col("id").count()))
        .from("job")
        .group_by_col("state")
        .to_owned();
}
