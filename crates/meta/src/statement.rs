//! Named statements: built once with sea-query, rendered once per dialect and size, kept as text,
//! so that the database's statement cache recognises them.
//!
//! Never builds text from a caller's value: values are arguments. A statement that takes lists is
//! rendered for a few sizes only ([`SIZES`]); a list in between is padded by its last element, and
//! a longer one is cut into several executions.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use crate::args::{Arg, Args};
use crate::bind::{BoundValue, bind};
use crate::builder::{Duplicate, SqlBuilder, SqlText, StatementTraits};
use crate::dialect::SqlDialect;
use crate::error::{Error, Result};

/// The numbers of elements that a sized statement is rendered for.
pub(crate) const SIZES: [usize; 5] = [1, 4, 16, 64, 256];

/// A statement known by name; made by [`statements!`](crate::statements).
pub struct Statement {
    name: &'static str,
    module: &'static str,
    sized: bool,
    render: fn(&SqlBuilder) -> SqlText,
    rendered: [OnceLock<Result<RenderedSql, String>>; 3 * SIZES.len()],
}

impl std::fmt::Debug for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::{}", self.module, self.name)
    }
}

impl Statement {
    /// Used by [`statements!`](crate::statements).
    #[doc(hidden)]
    pub const fn new(
        module: &'static str,
        name: &'static str,
        sized: bool,
        render: fn(&SqlBuilder) -> SqlText,
    ) -> Self {
        Self {
            name,
            module,
            sized,
            render,
            rendered: [const { OnceLock::new() }; 3 * SIZES.len()],
        }
    }

    /// The name of the item.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The module that defines it.
    pub fn module(&self) -> &'static str {
        self.module
    }

    /// Whether it takes list arguments (`NAME[n]`).
    pub fn is_sized(&self) -> bool {
        self.sized
    }

    /// The text in a dialect, for one element if it is sized: for tests and logs.
    pub fn text(&self, dialect: SqlDialect) -> Result<String> {
        self.rendering(dialect, 0)
            .map(|rendered| rendered.sql.to_string())
    }

    /// The rendering for so many list elements (at most the largest size).
    pub(crate) fn for_len(&self, dialect: SqlDialect, len: usize) -> Result<&RenderedSql> {
        let size = SIZES.iter().position(|size| *size >= len);
        self.rendering(dialect, size.unwrap_or(SIZES.len() - 1))
    }

    /// All renderings in a dialect.
    pub(crate) fn renderings(
        &self,
        dialect: SqlDialect,
    ) -> impl Iterator<Item = Result<&RenderedSql>> {
        let count = if self.sized { SIZES.len() } else { 1 };
        (0..count).map(move |size| self.rendering(dialect, size))
    }

    fn rendering(&self, dialect: SqlDialect, size: usize) -> Result<&RenderedSql> {
        let size = if self.sized { size } else { 0 };
        let slot = self.rendered.get(dialect as usize * SIZES.len() + size);
        let rendered = slot.map(|slot| {
            slot.get_or_init(|| {
                let builder = SqlBuilder::new(dialect, SIZES[size]);
                RenderedSql::new((self.render)(&builder), self.sized)
            })
        });
        match rendered {
            Some(Ok(rendered)) => Ok(rendered),
            Some(Err(what)) => Err(self.wrong(what)),
            None => Err(self.wrong("no such size")),
        }
    }

    /// Cuts list arguments into pieces that the sizes can take, each with its length; nothing for
    /// empty lists.
    pub(crate) fn batches<'a>(&self, args: &'a Args) -> Result<Vec<(usize, Cow<'a, Args>)>> {
        let len = args.list_len().map_err(|what| self.wrong(&what))?;
        let largest = SIZES[SIZES.len() - 1];
        match (self.is_sized(), len) {
            (false, None) => Ok(vec![(0, Cow::Borrowed(args))]),
            (false, Some(_)) => Err(self.wrong("takes no list arguments")),
            (true, None) => Err(self.wrong("needs list arguments")),
            (true, Some(0)) => Ok(Vec::new()),
            (true, Some(len)) if len <= largest => Ok(vec![(len, Cow::Borrowed(args))]),
            (true, Some(len)) => Ok((0..len)
                .step_by(largest)
                .map(|start| {
                    let piece = largest.min(len - start);
                    (piece, Cow::Owned(args.slice(start, piece)))
                })
                .collect()),
        }
    }

    /// The mistake of a statement or of its caller.
    pub(crate) fn wrong(&self, what: &str) -> Error {
        Error::Other(format!("statement {self:?}: {what}"))
    }
}

/// A statement in one dialect and size: its text, and what to bind where.
#[derive(Debug)]
pub(crate) struct RenderedSql {
    pub(crate) sql: Arc<str>,
    pub(crate) binds: Vec<BoundValue>,
    pub(crate) traits: StatementTraits,
    pub(crate) is_read: bool,
}

impl RenderedSql {
    fn new(text: SqlText, sized: bool) -> Result<Self, String> {
        let SqlText {
            sql,
            values,
            traits,
        } = text;
        let binds = values.0.into_iter().map(bind).collect::<Result<_, _>>()?;
        let verb = sql.split_whitespace().next().unwrap_or_default();
        let is_read = matches!(verb, "SELECT" | "WITH")
            && !["FOR UPDATE", "FOR SHARE", "INSERT ", "UPDATE ", "DELETE "]
                .iter()
                .any(|word| sql.contains(word));
        let ignores = matches!(traits.duplicate, Duplicate::Ignored | Duplicate::Swallowed);
        if sized && verb == "INSERT" && !ignores {
            return Err("is padded with repeated rows, so it must ignore duplicates".into());
        }
        Ok(Self {
            sql: sql.into(),
            binds,
            traits,
            is_read,
        })
    }

    /// Whether a duplicate is overcome by running the transaction again.
    pub(crate) fn is_retried(&self) -> bool {
        self.traits.duplicate == Duplicate::Retried
    }
}

/// One execution of a statement: its text with the values for it.
pub(crate) struct Execution<'a> {
    pub(crate) rendered: &'a RenderedSql,
    pub(crate) args: &'a Args,
    /// What the database's clock is shifted by.
    pub(crate) shift: Arg,
}

impl Execution<'_> {
    /// The value of each parameter, in the order of the text.
    pub(crate) fn values(&self) -> impl Iterator<Item = Result<&Arg>> {
        self.rendered.binds.iter().map(|bind| {
            bind.value(self.args, &self.shift).ok_or_else(|| {
                Error::Other(format!("argument missing or of the wrong shape: {bind:?}"))
            })
        })
    }
}

/// Defines the statements of a `store.rs` and `ALL`, the list of them (which a test prepares on
/// every dialect).
///
/// See the [crate's documentation](crate) for a complete example.
#[macro_export]
macro_rules! statements {
    ($( $(#[$meta:meta])* $name:ident $([$n:ident])? : |$d:ident $(, $k:ident)?| $body:expr ;)*) => {
        $(
            $(#[$meta])*
            pub(crate) static $name: $crate::Statement = $crate::Statement::new(
                module_path!(),
                stringify!($name),
                !$crate::statements!(@fixed $($n)?),
                |$d: &$crate::SqlBuilder| {
                    $(let $k = $d.size();)?
                    $d.render(&$body)
                },
            );
        )*
        /// Every statement of this module.
        pub(crate) static ALL: &[&$crate::Statement] = &[$(&$name),*];
    };
    (@fixed) => { true };
    (@fixed $n:ident) => { false };
}

#[cfg(test)]
mod tests {
    use sea_query::{Expr, ExprTrait, Query};

    use super::*;
    use crate::bind::{arg, arg_limit, item};
    use crate::list;

    mod store {
        use super::*;
        statements! {
            /// Arguments out of order, repeated, constants between.
            MIXED: |d| Query::select().column("a").from("t")
                .and_where(Expr::col("b").eq(arg(1))).and_where(Expr::col("c").eq(3))
                .and_where(Expr::col("e").eq(arg(0)).or(Expr::col("f").eq(arg(1))))
                .and_where(Expr::col("g").lt(d.now())).limit(arg_limit(2));
            SIZED[n]: |d, n| Query::select().column("a").from("t")
                .and_where(Expr::col("b").is_in(d.items(0))).limit(n as u64);
            PADDED[n]: |d, _n| d.rows(Query::insert().into_table("t").columns(["b"]),
                |k| vec![item(0, k)]);
        }
    }

    #[test]
    fn markers_are_found_again_wherever_they_land() {
        let rendered = store::MIXED.for_len(SqlDialect::Postgres, 0).unwrap();
        assert_eq!(
            rendered.binds,
            [
                BoundValue::Arg(1),
                BoundValue::Constant(Arg::Int(Some(3))),
                BoundValue::Arg(0),
                BoundValue::Arg(1),
                BoundValue::Shift,
                BoundValue::Arg(2)
            ]
        );
        assert!(rendered.is_read);
        assert_eq!(store::ALL.len(), 3);
    }

    #[test]
    fn sizes_round_up_and_pad() {
        let rendered = store::SIZED.for_len(SqlDialect::Sqlite, 3).unwrap();
        let args = crate::args![list([5_i64, 6, 7])];
        let shift = Arg::from(0);
        let values: Vec<_> = rendered
            .binds
            .iter()
            .map(|b| b.value(&args, &shift))
            .collect();
        let expected = [5, 6, 7, 7, 4].map(Arg::from);
        assert_eq!(values, expected.iter().map(Some).collect::<Vec<_>>());
    }

    #[test]
    fn a_padded_insert_must_ignore_duplicates() {
        assert!(store::PADDED.for_len(SqlDialect::Sqlite, 3).is_err());
    }
}
