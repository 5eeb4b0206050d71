//! What the tests ask the tables themselves.

use sea_query::{Expr, ExprTrait, Order, Query};
use seawall_meta::arg;

seawall_meta::statements! {
    /// Arguments: repository, tag.
    HISTORY: |_d| Query::select()
        .columns(["id", "digest", "from_at", "until_at", "cause"])
        .from("tag_history")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("name").eq(arg(1)))
        .order_by("id", Order::Asc)
        .to_owned();

    /// What manifests keep alive. Arguments: repository.
    KEPT: |_d| Query::select()
        .columns(["digest", "until"])
        .from("blob_ref")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("owner_kind").eq(2i64))
        .to_owned();

    /// What pushers were promised. Arguments: repository.
    PROMISED: |_d| Query::select()
        .column("digest")
        .from("blob_ref")
        .and_where(Expr::col("repository_id").eq(arg(0)))
        .and_where(Expr::col("owner_kind").eq(1i64))
        .to_owned();

    /// The kinds of all events.
    EVENTS: |_d| Query::select()
        .column("kind")
        .from("event")
        .order_by("id", Order::Asc)
        .to_owned();
}
