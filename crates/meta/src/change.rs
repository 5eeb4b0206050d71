//! The change log: what other replicas must drop from their caches, written in
//! the transaction that caused it.

use sea_query::Query;

use crate::bind::arg;

/// One announcement. What kinds there are and what `a`, `b` and `name` mean is the writer's and its
/// readers' matter; a reader that does not know a kind drops its whole cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// From 1 on; 0 marks void rows.
    pub kind: i64,
    /// Mostly an id.
    pub a: i64,
    /// Mostly another id, or 0.
    pub b: i64,
    /// A name, for what has no id yet. At most 255 bytes.
    pub name: Option<String>,
}

crate::log_table! {
    /// The change log; the payload of its rows is `a`, `b`, `name`.
    pub static CHANGES: "change" ["a", "b", "name"];
}

crate::statements! {
    /// One row; arguments: nonce, kind, a, b, name.
    APPEND: |d| d.append(
        Query::insert().into_table("change").columns(["nonce", "kind", "at", "a", "b", "name"])
            .values_panic([arg(0), arg(1), d.now(), arg(2), arg(3), arg(4)]),
        "id",
    );

    /// Two rows; arguments: those of the first, then those of the second.
    APPEND_TWO: |d| d.append(
        Query::insert().into_table("change").columns(["nonce", "kind", "at", "a", "b", "name"])
            .values_panic([arg(0), arg(1), d.now(), arg(2), arg(3), arg(4)])
            .values_panic([arg(5), arg(6), d.now(), arg(7), arg(8), arg(9)]),
        "id",
    );
}
