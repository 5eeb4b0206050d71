//! Append-only logs that several processes write and every replica reads, whose
//! ids are taken before commit, so that commits overtake each other.
//!
//! A [`Follower`] sees every row exactly once all the same. What it must never
//! do: skip a hole because it is old. A hole is closed by taking its id.
//!
//! A log table has the columns `id {id}`, `nonce {bigint}`, `kind {bigint}` (0
//! marks a void row), `at {bigint}`, and a payload whose columns are nullable or
//! have defaults. Its rows are written with `d.append`.

mod close;
mod follower;
mod holes;
mod prune;

pub use follower::{Follower, LogRow, Poll};
pub(crate) use prune::ALL as PRUNE_STATEMENTS;

use crate::statement::Statement;

/// A log table; made by [`log_table!`](crate::log_table).
#[derive(Debug)]
pub struct LogTable {
    /// The table's name, under which its floor is stored, too.
    pub name: &'static str,
    #[doc(hidden)]
    pub page: &'static Statement,
    #[doc(hidden)]
    pub ranges: &'static Statement,
    #[doc(hidden)]
    pub void: &'static Statement,
    #[doc(hidden)]
    pub horizon: &'static Statement,
    #[doc(hidden)]
    pub prune: &'static Statement,
    /// Its statements, to be checked with the others of a store.
    pub statements: &'static [&'static Statement],
}

/// Columns before the payload: id, nonce, kind, at, whether the database takes writes, its time, the log's floor.
pub(crate) const HEAD: usize = 7;

/// Defines a log table: `log_table! { /// doc \n pub static EVENTS: "event" ["actor", "body"]; }`.
#[macro_export]
macro_rules! log_table {
    ($(#[$meta:meta])* $vis:vis static $name:ident: $table:literal [$($column:literal),* $(,)?];) => {
        $(#[$meta])*
        $vis static $name: $crate::log::LogTable = {
            $crate::statements! {
                LOG_PAGE: |d| $crate::log::select(d, $table, &[$($column),*])
                    .and_where($crate::log::from_id(0))
                    .order_by("id", $crate::log::ASCENDING)
                    .limit($crate::arg_limit(1));
                LOG_RANGES[n]: |d, n| $crate::log::select(d, $table, &[$($column),*])
                    .cond_where($crate::log::in_ranges(n))
                    .order_by("id", $crate::log::ASCENDING)
                    .limit($crate::arg_limit(2));
                LOG_VOID[n]: |d, n| $crate::log::void(d, n, $table);
                LOG_HORIZON: |d| $crate::log::horizon(d, $table);
                LOG_PRUNE: |d| $crate::log::delete(d, $table);
            }
            $crate::log::LogTable {
                name: $table,
                page: &LOG_PAGE,
                ranges: &LOG_RANGES,
                void: &LOG_VOID,
                horizon: &LOG_HORIZON,
                prune: &LOG_PRUNE,
                statements: ALL,
            }
        };
    };
}

#[doc(hidden)]
pub use drawing::{ASCENDING, delete, from_id, horizon, in_ranges, select, void};

/// The bodies of a log table's statements.
#[expect(missing_docs, reason = "public only for the macro")]
mod drawing {
    use sea_query::{
        Cond, DeleteStatement, Expr, ExprTrait, Func, InsertStatement, Order, Query,
        SelectStatement,
    };

    use crate::statement::{Draft, arg, arg_limit, item};

    pub const ASCENDING: Order = Order::Asc;

    pub fn select(d: &Draft, table: &'static str, payload: &[&'static str]) -> SelectStatement {
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
    pub fn void(d: &Draft, _: usize, table: &'static str) -> InsertStatement {
        let mut insert = Query::insert();
        insert
            .into_table(table)
            .columns(["id", "nonce", "kind", "at"]);
        d.rows(&mut insert, |k| {
            vec![item(0, k), arg(1), Expr::val(0), d.now()]
        });
        d.insert_ignore(&insert, &["id"])
    }

    /// The highest id that may go of the lowest rows (argument 2 says how many are looked at): at most argument 0, older
    /// than argument 1 (milliseconds), never the last row.
    pub fn horizon(d: &Draft, table: &'static str) -> SelectStatement {
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

    /// The rows with ids up to argument 0, of which there are no more than were looked at for the horizon.
    pub fn delete(_: &Draft, table: &'static str) -> DeleteStatement {
        Query::delete()
            .from_table(table)
            .and_where(Expr::col("id").lte(arg(0)))
            .to_owned()
    }
}
