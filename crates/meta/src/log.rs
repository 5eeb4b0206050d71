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
mod statements;
mod table;

pub use follower::{Follower, LogRow, PollOutcome};
pub(crate) use prune::ALL as PRUNE_STATEMENTS;
#[doc(hidden)]
pub use statements::{ASCENDING, delete, from_id, horizon, in_ranges, select, void};
pub use table::LogTable;

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
