//! Every SQL statement on events and their cursors. No policy.

use sea_query::{Expr, ExprTrait, Query};
use seawall_meta::arg;

seawall_meta::statements! {
    /// Arguments: nonce, kind, payload.
    EVENT_INSERT: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("event")
            .columns(["nonce", "kind", "at", "payload"])
            .values_panic([arg(0), arg(1), d.now(), arg(2)]);
        d.append(&insert, "id")
    };

    /// Two events. Arguments: nonce, kind, payload, and again nonce, kind, payload.
    EVENT_INSERT_TWO: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("event")
            .columns(["nonce", "kind", "at", "payload"])
            .values_panic([arg(0), arg(1), d.now(), arg(2)])
            .values_panic([arg(3), arg(4), d.now(), arg(5)]);
        d.append(&insert, "id")
    };

    /// Makes a consumer's cursor unless it has one. Arguments: consumer.
    CURSOR_INSERT: |d| {
        let mut insert = Query::insert();
        insert
            .into_table("event_cursor")
            .columns(["consumer", "position", "fence", "lease_until"])
            .values_panic([arg(0), Expr::val(0i64), Expr::val(0i64), Expr::val(0i64)]);
        d.insert_ignore(&insert, &["consumer"])
    };

    /// Marks a free cursor as one that is followed. Arguments: consumer.
    CURSOR_TOUCH: |d| Query::update()
        .table("event_cursor")
        .value("lease_until", d.now())
        .and_where(Expr::col("consumer").eq(arg(0)))
        .and_where(Expr::col("lease_until").lt(d.now()))
        .to_owned();

    /// Arguments: consumer.
    CURSOR: |_d| Query::select()
        .columns(["position", "fence"])
        .from("event_cursor")
        .and_where(Expr::col("consumer").eq(arg(0)))
        .to_owned();

    /// Takes a free cursor. Arguments: consumer, lease in ms.
    CURSOR_TAKE: |d| Query::update()
        .table("event_cursor")
        .value("fence", Expr::col("fence").add(1i64))
        .value("lease_until", d.now().add(arg(1)))
        .and_where(Expr::col("consumer").eq(arg(0)))
        .and_where(Expr::col("lease_until").lte(d.now()))
        .to_owned();

    /// Moves a cursor and renews its lease. Arguments: consumer, lease in ms, fence, position.
    CURSOR_MOVE: |d| Query::update()
        .table("event_cursor")
        .value("position", arg(3))
        .value("lease_until", d.now().add(arg(1)))
        .and_where(Expr::col("consumer").eq(arg(0)))
        .and_where(Expr::col("fence").eq(arg(2)))
        .to_owned();

    /// Gives a cursor back. Arguments: consumer, fence.
    CURSOR_FREE: |d| Query::update()
        .table("event_cursor")
        .value("lease_until", d.now())
        .and_where(Expr::col("consumer").eq(arg(0)))
        .and_where(Expr::col("fence").eq(arg(1)))
        .to_owned();

    /// The positions of the cursors that were held lately. Arguments: how lately, in ms.
    POSITIONS: |d| Query::select()
        .column("position")
        .from("event_cursor")
        .and_where(Expr::col("lease_until").gt(d.now().sub(arg(0))))
        .to_owned();
}

/// The event table as a log, read behind every hole.
pub mod log {
    seawall_meta::log_table! {
        /// Events, in the order of their ids.
        pub static EVENTS: "event" ["payload"];
    }
}
