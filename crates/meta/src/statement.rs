//! Named statements: built once with sea-query, rendered once per dialect, kept
//! as text, so that the database's statement cache recognises them.
//!
//! Never builds text from a caller's value: values are arguments.

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use sea_query::{
    DeleteStatement, Expr, InsertStatement, MysqlQueryBuilder, PostgresQueryBuilder,
    QueryStatementBuilder, SelectStatement, SqliteQueryBuilder, UpdateStatement, Value, Values,
    WithQuery,
};

use crate::args::{Arg, Args};
use crate::dialect::Dialect;
use crate::error::{Error, Result};

/// The numbers of elements that a sized statement is rendered for.
pub(crate) const SIZES: [usize; 5] = [1, 4, 16, 64, 256];

/// Values at and above this one stand for arguments until the statement is rendered. No constant of ours is near.
const MARK: i64 = 0x5EA0_0000_0000_0000;
const MARK_END: i64 = MARK + (1 << 32);
/// Stands for the shift of the database's clock.
pub(crate) const SHIFT: i64 = MARK_END;

/// The `number`-th argument of the execution, counted from 0. May be used several times and in any order.
pub fn arg(number: u8) -> Expr {
    Expr::val(MARK + (i64::from(number) << 16))
}

/// The `index`-th element of list argument `number`, in a sized statement.
pub fn item(number: u8, index: usize) -> Expr {
    Expr::val(MARK + (i64::from(number) << 16) + 1 + i64::try_from(index).unwrap_or(0))
}

/// The `number`-th argument where sea-query wants a number: `.limit(arg_limit(2))`, `.offset(…)`.
pub fn arg_limit(number: u8) -> u64 {
    MARK.unsigned_abs() + (u64::from(number) << 16)
}

/// A statement known by name; made by [`statements!`](crate::statements).
pub struct Statement {
    name: &'static str,
    module: &'static str,
    sized: bool,
    draw: fn(&Draft) -> Drawn,
    rendered: [OnceLock<Result<Rendered, String>>; 3 * SIZES.len()],
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
        draw: fn(&Draft) -> Drawn,
    ) -> Self {
        Self {
            name,
            module,
            sized,
            draw,
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
    pub fn text(&self, dialect: Dialect) -> Result<String> {
        self.rendering(dialect, 0)
            .map(|rendered| rendered.sql.to_string())
    }

    /// The rendering for so many list elements (at most the largest size).
    pub(crate) fn for_len(&self, dialect: Dialect, len: usize) -> Result<&Rendered> {
        let size = SIZES.iter().position(|size| *size >= len);
        self.rendering(dialect, size.unwrap_or(SIZES.len() - 1))
    }

    /// All renderings in a dialect.
    pub(crate) fn renderings(&self, dialect: Dialect) -> impl Iterator<Item = Result<&Rendered>> {
        let count = if self.sized { SIZES.len() } else { 1 };
        (0..count).map(move |size| self.rendering(dialect, size))
    }

    fn rendering(&self, dialect: Dialect, size: usize) -> Result<&Rendered> {
        let size = if self.sized { size } else { 0 };
        let slot = self.rendered.get(dialect as usize * SIZES.len() + size);
        let rendered = slot.map(|slot| {
            slot.get_or_init(|| {
                let draft = Draft {
                    dialect,
                    size: SIZES[size],
                    traits: Cell::default(),
                };
                let drawn = (self.draw)(&draft);
                drawn.into_rendered(draft.traits.get(), self.sized)
            })
        });
        match rendered {
            Some(Ok(rendered)) => Ok(rendered),
            Some(Err(what)) => Err(self.wrong(what)),
            None => Err(self.wrong("no such size")),
        }
    }

    pub(crate) fn wrong(&self, what: &str) -> Error {
        Error::Other(format!("statement {self:?}: {what}"))
    }
}

/// What the closure of a statement draws with: knows the dialect, hides it.
///
/// Its methods that hide dialects live in `dialect.rs`.
pub struct Draft {
    pub(crate) dialect: Dialect,
    pub(crate) size: usize,
    pub(crate) traits: Cell<Traits>,
}

/// What must be known about a statement when its result is read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traits {
    /// What a duplicate key means.
    pub(crate) duplicate: Duplicate,
    /// The count of affected rows says 2 for one updated row (MariaDB).
    pub(crate) upsert: bool,
    /// The statement itself returns the id of the inserted row.
    pub(crate) returns_id: bool,
}

/// What a duplicate key means to a statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Duplicate {
    /// An error.
    #[default]
    Fails,
    /// Nothing is inserted; the text says so.
    Ignored,
    /// Nothing is inserted; the database reports an error, which is swallowed (MariaDB, one row).
    Swallowed,
    /// It is overcome by running the transaction again.
    Retried,
}

impl Draft {
    /// How many elements this rendering of a sized statement takes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// All elements of list argument `number`, for `IN`: `.is_in(d.items(1))`.
    pub fn items(&self, number: u8) -> Vec<Expr> {
        (0..self.size).map(|index| item(number, index)).collect()
    }

    /// Adds one row of values per list element: `d.rows(insert, |k| vec![arg(0), item(1, k)])`.
    pub fn rows<'q>(
        &self,
        insert: &'q mut InsertStatement,
        row: impl Fn(usize) -> Vec<Expr>,
    ) -> &'q mut InsertStatement {
        for index in 0..self.size {
            insert.values_panic(row(index));
        }
        insert
    }

    /// Used by [`statements!`](crate::statements).
    #[doc(hidden)]
    pub fn draw(&self, query: &impl Draw) -> Drawn {
        let (sql, values) = query.draw(self.dialect);
        Drawn { sql, values }
    }

    pub(crate) fn mark(&self, change: impl Fn(&mut Traits)) {
        let mut traits = self.traits.get();
        change(&mut traits);
        self.traits.set(traits);
    }
}

/// A statement as text with its values; opaque.
pub struct Drawn {
    sql: String,
    values: Values,
}

impl Drawn {
    fn into_rendered(self, traits: Traits, sized: bool) -> Result<Rendered, String> {
        let binds = self
            .values
            .0
            .into_iter()
            .map(bind)
            .collect::<Result<Vec<_>, _>>()?;
        let verb = self.sql.split_whitespace().next().unwrap_or_default();
        let is_read = matches!(verb, "SELECT" | "WITH")
            && !["FOR UPDATE", "FOR SHARE", "INSERT ", "UPDATE ", "DELETE "]
                .iter()
                .any(|word| self.sql.contains(word));
        let ignores = matches!(traits.duplicate, Duplicate::Ignored | Duplicate::Swallowed);
        if sized && verb == "INSERT" && !ignores {
            return Err("is padded with repeated rows, so it must ignore duplicates".into());
        }
        Ok(Rendered {
            sql: self.sql.into(),
            binds,
            traits,
            is_read,
        })
    }
}

/// What [`statements!`](crate::statements) accepts as a statement's body.
pub trait Draw {
    #[doc(hidden)]
    fn draw(&self, dialect: Dialect) -> (String, Values);
}

impl<T: Draw + ?Sized> Draw for &mut T {
    fn draw(&self, dialect: Dialect) -> (String, Values) {
        (**self).draw(dialect)
    }
}

macro_rules! draw {
    ($($statement:ty),*) => {$(
        impl Draw for $statement {
            fn draw(&self, dialect: Dialect) -> (String, Values) {
                match dialect {
                    Dialect::Sqlite => self.build_any(&SqliteQueryBuilder),
                    Dialect::Postgres => self.build_any(&PostgresQueryBuilder),
                    Dialect::Mysql => self.build_any(&MysqlQueryBuilder),
                }
            }
        }
    )*};
}

draw!(
    SelectStatement,
    InsertStatement,
    UpdateStatement,
    DeleteStatement,
    WithQuery
);

/// A statement in one dialect and size: text, and what to bind where.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) sql: Arc<str>,
    pub(crate) binds: Vec<Bind>,
    pub(crate) traits: Traits,
    pub(crate) is_read: bool,
}

impl Rendered {
    /// Whether a duplicate is overcome by running the transaction again.
    pub(crate) fn is_retried(&self) -> bool {
        self.traits.duplicate == Duplicate::Retried
    }
}

/// One bound value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bind {
    Arg(usize),
    Item(usize, usize),
    Shift,
    Constant(Arg),
}

impl Bind {
    /// The value to bind, `None` when the caller passed too few arguments or one of the wrong shape.
    pub(crate) fn value<'a>(&'a self, args: &'a Args, shift: &'a Arg) -> Option<&'a Arg> {
        match self {
            Self::Constant(value) => Some(value),
            Self::Shift => Some(shift),
            Self::Arg(number) => args.0.get(*number).filter(|v| !matches!(v, Arg::List(_))),
            // A short list is padded by its last element.
            Self::Item(number, index) => match args.0.get(*number) {
                Some(Arg::List(values)) => values.get(*index).or(values.last()),
                _ => None,
            },
        }
    }
}

fn bind(value: Value) -> Result<Bind, String> {
    let constant = match value {
        Value::BigInt(Some(SHIFT)) => return Ok(Bind::Shift),
        Value::BigInt(Some(mark)) if (MARK..MARK_END).contains(&mark) => {
            return Ok(marked(mark - MARK));
        }
        Value::BigUnsigned(Some(mark))
            if (MARK.unsigned_abs()..MARK_END.unsigned_abs()).contains(&mark) =>
        {
            return Ok(marked((mark - MARK.unsigned_abs()).cast_signed()));
        }
        Value::Bool(value) => Arg::from(value),
        Value::TinyInt(value) => Arg::Int(value.map(i64::from)),
        Value::SmallInt(value) => Arg::Int(value.map(i64::from)),
        Value::Int(value) => Arg::from(value),
        Value::BigInt(value) => Arg::from(value),
        Value::TinyUnsigned(value) => Arg::from(value),
        Value::SmallUnsigned(value) => Arg::Int(value.map(i64::from)),
        Value::Unsigned(value) => Arg::from(value),
        Value::BigUnsigned(value) => Arg::from(value),
        Value::String(value) => Arg::from(value),
        Value::Char(value) => Arg::Text(value.map(String::from)),
        Value::Bytes(value) => Arg::from(value),
        other => return Err(format!("constant of unsupported type {other:?}")),
    };
    Ok(Bind::Constant(constant))
}

fn marked(offset: i64) -> Bind {
    let number = usize::try_from(offset >> 16).unwrap_or(usize::MAX);
    match usize::try_from(offset & 0xFFFF).unwrap_or(0) {
        0 => Bind::Arg(number),
        index => Bind::Item(number, index - 1),
    }
}

/// Defines the statements of a `store.rs` and `ALL`, the list of them (which a test prepares on every dialect).
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
                |$d: &$crate::Draft| {
                    $(let $k = $d.size();)?
                    $d.draw(&$body)
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
    use sea_query::{ExprTrait, Query};

    use super::*;
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
        let rendered = store::MIXED.for_len(Dialect::Postgres, 0).unwrap();
        assert_eq!(
            rendered.binds,
            [
                Bind::Arg(1),
                Bind::Constant(Arg::Int(Some(3))),
                Bind::Arg(0),
                Bind::Arg(1),
                Bind::Shift,
                Bind::Arg(2)
            ]
        );
        assert!(rendered.is_read);
        assert_eq!(store::ALL.len(), 3);
    }

    #[test]
    fn sizes_round_up_and_pad() {
        let rendered = store::SIZED.for_len(Dialect::Sqlite, 3).unwrap();
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
        assert!(store::PADDED.for_len(Dialect::Sqlite, 3).is_err());
    }

    #[test]
    fn missing_arguments_are_noticed() {
        let shift = Arg::from(0);
        assert_eq!(Bind::Arg(2).value(&crate::args![1_i64], &shift), None);
        assert_eq!(
            Bind::Arg(0).value(&crate::args![list([1_i64])], &shift),
            None
        );
    }
}
