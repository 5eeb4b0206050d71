//! Every SQL statement on jobs. No policy.

use sea_query::{Expr, ExprTrait, Order, Query, UnionType};
use seawall_meta::{arg, item};

/// Waiting, or leased by a worker.
pub const QUEUED: i64 = 1;
/// Given up by an earlier release; this one gives up none.
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

    /// The job of each kind (list 0) that has been due for longest: when, id, kind. Kinds that are
    /// not asked for cost nothing, however many of them wait.
    DUE[n]: |d, n| {
        let of_kind = |k| {
            let longest = Query::select()
                .columns(["run_at", "id", "kind"])
                .from("job")
                .and_where(Expr::col("kind").eq(item(0, k)))
                .and_where(Expr::col("state").eq(QUEUED))
                .and_where(Expr::col("run_at").lte(d.now()))
                .and_where(Expr::col("lease_until").lt(d.now()))
                .order_by("run_at", Order::Asc)
                .limit(1)
                .to_owned();
            Query::select()
                .columns(["run_at", "id", "kind"])
                .from_subquery(longest, "due")
                .to_owned()
        };
        let mut due = of_kind(0);
        for k in 1..n {
            due.union(UnionType::All, of_kind(k));
        }
        due
    };

    /// The jobs of each kind (list 0) that no worker has, those first that are due first: id, kind,
    /// when they are due, failures. 100 of each kind at most.
    WAITING[n]: |d, n| {
        let of_kind = |k| {
            let waiting = Query::select()
                .columns(["id", "kind", "run_at", "attempts"])
                .from("job")
                .and_where(Expr::col("kind").eq(item(0, k)))
                .and_where(Expr::col("state").eq(QUEUED))
                .and_where(Expr::col("lease_until").lt(d.now()))
                .order_by("run_at", Order::Asc)
                .limit(100)
                .to_owned();
            Query::select()
                .columns(["id", "kind", "run_at", "attempts"])
                .from_subquery(waiting, "waiting")
                .to_owned()
        };
        let mut waiting = of_kind(0);
        for k in 1..n {
            waiting.union(UnionType::All, of_kind(k));
        }
        waiting
    };

    /// A job that is due still, locked against other workers. Arguments: id.
    CLAIM: |d| {
        let mut select = Query::select();
        select
            .columns(["id", "payload", "attempts", "fence"])
            .from("job")
            .and_where(Expr::col("id").eq(arg(0)))
            .and_where(Expr::col("state").eq(QUEUED))
            .and_where(Expr::col("run_at").lte(d.now()))
            .and_where(Expr::col("lease_until").lt(d.now()));
        d.skip_locked(&select)
    };

    /// Arguments: id, lease in ms.
    LEASE: |d| Query::update()
        .table("job")
        .value("fence", Expr::col("fence").add(1i64))
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

    /// Puts a job back, forgetting its failures. Arguments: id, fence, delay in ms.
    AGAIN: |d| Query::update()
        .table("job")
        .value("run_at", d.now().add(arg(2)))
        .value("lease_until", 0i64)
        .value("attempts", 0i64)
        .and_where(Expr::col("id").eq(arg(0)))
        .and_where(Expr::col("fence").eq(arg(1)))
        .to_owned();

    /// Puts a failed job back. Arguments: id, fence, delay in ms, error.
    FAILED: |d| Query::update()
        .table("job")
        .value("run_at", d.now().add(arg(2)))
        .value("lease_until", 0i64)
        .value("attempts", Expr::col("attempts").add(1i64))
        .value("last_error", arg(3))
        .and_where(Expr::col("id").eq(arg(0)))
        .and_where(Expr::col("fence").eq(arg(1)))
        .to_owned();

    /// Puts a job back that was not run. Arguments: id, fence, delay in ms.
    PUT_OFF: |d| Query::update()
        .table("job")
        .value("run_at", d.now().add(arg(2)))
        .value("lease_until", 0i64)
        .and_where(Expr::col("id").eq(arg(0)))
        .and_where(Expr::col("fence").eq(arg(1)))
        .to_owned();

    /// A page of all jobs by their ids. Arguments: the id before.
    LIST: |_d| Query::select()
        .columns(["id", "kind", "run_at", "attempts", "last_error", "lease_until"])
        .from("job")
        .and_where(Expr::col("id").gt(arg(0)))
        .order_by("id", Order::Asc)
        .limit(500)
        .to_owned();

    /// Makes a job due that no worker has. Arguments: id.
    RETRY: |d| Query::update()
        .table("job")
        .value("state", QUEUED)
        .value("run_at", d.now())
        .and_where(Expr::col("id").eq(arg(0)))
        .and_where(Expr::col("lease_until").lt(d.now()))
        .to_owned();

    /// Lets jobs run again that an earlier release gave up.
    REVIVE: |d| Query::update()
        .table("job")
        .value("state", QUEUED)
        .value("run_at", d.now())
        .value("lease_until", 0i64)
        .value("attempts", 0i64)
        .and_where(Expr::col("state").eq(DEAD))
        .to_owned();
}
