//! Every SQL statement on signing keys. No policy. The table is the kernel's.

use sea_query::{Expr, ExprTrait, Order, Query};
use seawall_meta::arg;

/// What the keys of this crate are for, as stored.
pub(crate) const PURPOSE: &str = "token";

seawall_meta::statements! {
    /// The keys that are not past their acceptance, by age.
    LOAD: |d| Query::select()
        .columns(["id", "sealed", "created_at", "signs_from", "accepted_until"])
        .from("signing_key")
        .and_where(Expr::col("purpose").eq(PURPOSE))
        .and_where(
            Expr::col("accepted_until").is_null().or(Expr::col("accepted_until").gt(d.now())),
        )
        .order_by("id", Order::Asc)
        .to_owned();

    /// Arguments: sealed key, public key, delay in ms before it signs.
    INSERT: |d| d.insert_returning(
        Query::insert()
            .into_table("signing_key")
            .columns(["purpose", "sealed", "public_key", "created_at", "signs_from"])
            .values_panic([
                Expr::val(PURPOSE), arg(0), arg(1), d.now(), d.now().add(arg(2)),
            ]),
        "id",
    );

    /// Sets an end to all keys but one. Arguments: id of the new key, time in ms that they have
    /// left.
    RETIRE: |d| Query::update()
        .table("signing_key")
        .value("accepted_until", d.now().add(arg(1)))
        .and_where(Expr::col("purpose").eq(PURPOSE))
        .and_where(Expr::col("id").ne(arg(0)))
        .and_where(Expr::col("accepted_until").is_null())
        .to_owned();

    /// Removes the keys past their acceptance.
    REMOVE: |d| Query::delete()
        .from_table("signing_key")
        .and_where(Expr::col("purpose").eq(PURPOSE))
        .and_where(Expr::col("accepted_until").lt(d.now()))
        .to_owned();
}
