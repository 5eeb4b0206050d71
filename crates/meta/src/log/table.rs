//! What a log table is: its name and its statements.

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

/// Columns before the payload: id, nonce, kind, at, whether the database takes writes, its time,
/// the log's floor.
pub(crate) const HEAD: usize = 7;
