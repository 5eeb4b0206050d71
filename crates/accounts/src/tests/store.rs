//! What the tests ask the tables themselves.

use sea_query::{Expr, ExprTrait, Order, Query};
use seawall_meta::arg;

seawall_meta::statements! {
    /// The kinds of all events after one, in their order. Arguments: id.
    EVENTS: |_d| Query::select()
        .columns(["id", "kind"])
        .from("event")
        .and_where(Expr::col("id").gt(arg(0)))
        .order_by("id", Order::Asc)
        .to_owned();
}
