//! The bodies of a log table's statements, for [`log_table!`](crate::log_table).

#![expect(missing_docs, reason = "public only for the macro")]

use sea_query::{
    Cond, DeleteStatement, Expr, ExprTrait, Func, InsertStatement, Order, Query, SelectStatement,
};

use crate::bind::{arg, arg_limit, item};
use crate::builder::SqlBuilder;

pub const ASCENDING: Order = Order::Asc;

pub fn select(d: &SqlBuilder, table: &'static str, payload: &[&'static str]) -> SelectStatement {
    let floor = Query::select()
        .column("floor")
        .from("log_floor")
        .and_where(Expr::col("name").eq(table))
        .to_owned();
    Query::select()
        .columns(["id", "nonce", "kind", "at"])
        .expr(d.writable())
        .expr(d.now())
        .expr(Expr::SubQuery(None, Box::new(floor.into())))
        .columns(payload.iter().copied())
        .from(table)
        .to_owned()
}

pub fn from_id(number: u8) -> Expr {
    Expr::col("id").gte(arg(number))
}

/// Between the elements of list 0 and those of list 1.
pub fn in_ranges(n: usize) -> Cond {
    (0..n).fold(Cond::any(), |any, k| {
        any.add(Expr::col("id").between(item(0, k), item(1, k)))
    })
}

/// Rows that hold nothing but their ids (list 0); argument 1 is the nonce.
pub fn void(d: &SqlBuilder, _: usize, table: &'static str) -> InsertStatement {
    let mut insert = Query::insert();
    insert
        .into_table(table)
        .columns(["id", "nonce", "kind", "at"]);
    d.rows(&mut insert, |k| {
        vec![item(0, k), arg(1), Expr::val(0), d.now()]
    });
    d.insert_ignore(&insert, &["id"])
}

/// The highest id that may go of the lowest rows (argument 2 says how many are looked at): at most
/// argument 0, older than argument 1 (milliseconds), never the last row.
pub fn horizon(d: &SqlBuilder, table: &'static str) -> SelectStatement {
    let lowest = Query::select()
        .columns(["id", "at"])
        .from(table)
        .order_by("id", Order::Asc)
        .limit(arg_limit(2))
        .to_owned();
    let last = Query::select()
        .expr(Func::max(Expr::col("id")))
        .from(table)
        .to_owned();
    Query::select()
        .expr(Func::max(Expr::col("id")))
        .from_subquery(lowest, "lowest")
        .and_where(Expr::col("id").lte(arg(0)))
        .and_where(Expr::col("at").lt(d.now().sub(arg(1))))
        .and_where(Expr::col("id").lt(Expr::SubQuery(None, Box::new(last.into()))))
        .to_owned()
}

/// The rows with ids up to argument 0, of which there are no more than were looked at for the
/// horizon.
pub fn delete(_: &SqlBuilder, table: &'static str) -> DeleteStatement {
    Query::delete()
        .from_table(table)
        .and_where(Expr::col("id").lte(arg(0)))
        .to_owned()
}
