//! Every SQL statement on activity and pull counts. No policy.

use sea_query::{Expr, ExprTrait, OnConflict, Order, Query};
use seawall_meta::{Batch, arg, arg_limit, item};

/// The columns of an activity row, in the order of the lists that `ACTIVITY_INSERT` takes.
const ACTIVITY: [&str; 15] = [
    "at",
    "event_id",
    "kind",
    "namespace_id",
    "namespace_name",
    "repository_id",
    "repository_name",
    "actor_id",
    "actor_name",
    "actor_kind",
    "credential_id",
    "address",
    "agent",
    "request_id",
    "detail",
];

seawall_meta::statements! {
    /// Rows that are there already stay. Arguments: one list for each of `ACTIVITY`.
    ACTIVITY_INSERT[n]: |d, _n| d.insert_ignore(
        d.rows(Query::insert().into_table("usage_activity").columns(ACTIVITY), |k| {
            (0u8..).zip(ACTIVITY).map(|(number, _)| item(number, k)).collect()
        }),
        &["at", "event_id"],
    );

    /// The latest rows. Arguments: limit.
    ACTIVITY_RECENT: |_d| Query::select()
        .columns(["at", "kind", "namespace_name", "repository_name", "actor_name", "address"])
        .columns(["agent", "detail"])
        .from("usage_activity")
        .order_by("at", Order::Desc)
        .order_by("event_id", Order::Desc)
        .limit(arg_limit(0))
        .to_owned();

    /// Arguments: repository.
    PULLS_OF: |d| Query::select()
        .expr(d.integer(Expr::col("pulls").sum()))
        .from("usage_pull_count")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .to_owned();

    /// Removes the oldest of what is older than it may be. Arguments: keep, in ms; how many at
    /// most.
    ACTIVITY_FORGET: |d| {
        let batch = Batch {
            table: "usage_activity",
            key: &["at", "event_id"],
            order: &["at", "event_id"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("at").lt(d.now().sub(arg(0))))
    };

    /// Adds to a count. Arguments: day, repository, namespace, pulls.
    PULLS_ADD: |d| d.upsert_with(
        Query::insert()
            .into_table("usage_pull_count")
            .columns(["day", "repository_id", "namespace_id", "pulls"])
            .values_panic([arg(0), arg(1), arg(2), arg(3)]),
        OnConflict::columns(["day", "repository_id"])
            .value("pulls", Expr::col(("usage_pull_count", "pulls")).add(arg(3)))
            .to_owned(),
    );

    /// Removes the oldest counts. Arguments: the first day to keep, how many at most.
    PULLS_FORGET: |d| {
        let batch = Batch {
            table: "usage_pull_count",
            key: &["day", "repository_id"],
            order: &["day", "repository_id"],
            limit: arg_limit(1),
        };
        d.delete_batch(&batch, Expr::col("day").lt(arg(0)))
    };
}
