//! What the closure of a statement builds with: a [`SqlBuilder`] knows the dialect and hides it.
//!
//! sea-query spells most of what differs between the databases; the methods here are the rest of
//! what a store needs. A method that changes how a result must be read (an upsert that counts two
//! rows, a duplicate that is no error) notes it in [`StatementTraits`], so that the caller does not
//! have to know. Nothing here sees a value of a caller.

use std::cell::Cell;

use sea_query::{
    Alias, Condition, DeleteStatement, Expr, ExprTrait as _, InsertStatement, LockBehavior,
    LockType, MysqlQueryBuilder, OnConflict, Order, PostgresQueryBuilder, Query,
    QueryStatementBuilder as _, SelectStatement, SqliteQueryBuilder, UpdateStatement, Values,
    WithQuery,
};

use crate::bind::{SHIFT, item};
use crate::dialect::SqlDialect;

/// What the closure of a statement builds with: it knows the dialect and the number of elements.
pub struct SqlBuilder {
    dialect: SqlDialect,
    size: usize,
    traits: Cell<StatementTraits>,
}

/// What must be known about a statement when its result is read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StatementTraits {
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

impl SqlBuilder {
    pub(crate) fn new(dialect: SqlDialect, size: usize) -> Self {
        Self {
            dialect,
            size,
            traits: Cell::default(),
        }
    }

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
    pub fn render(&self, query: &impl SqlQuery) -> SqlText {
        let (sql, values) = query.render(self.dialect);
        let traits = self.traits.get();
        SqlText {
            sql,
            values,
            traits,
        }
    }

    fn mark(&self, change: impl Fn(&mut StatementTraits)) {
        let mut traits = self.traits.get();
        change(&mut traits);
        self.traits.set(traits);
    }
}

/// What sea-query does not hide of the dialects.
impl SqlBuilder {
    /// The database's time in UTC milliseconds, plus the shift of a test.
    pub fn now(&self) -> Expr {
        Expr::cust(self.dialect.clock()).add(Expr::val(SHIFT))
    }

    /// 1 where the database takes writes, 0 on a standby or a server switched to read-only.
    pub(crate) fn writable(&self) -> Expr {
        Expr::cust(self.dialect.writable())
    }

    /// A number as a 64-bit integer: sums are decimals on two of three dialects.
    pub fn integer(&self, number: impl Into<Expr>) -> Expr {
        let target = if self.dialect == SqlDialect::Mysql {
            "SIGNED"
        } else {
            "BIGINT"
        };
        number.into().cast_as(Alias::new(target))
    }

    /// Text in lower case: ASCII letters everywhere, others on some dialects.
    pub fn lower(&self, text: impl Into<Expr>) -> Expr {
        let text = text.into();
        match self.dialect {
            // Names are bytes there, and bytes have no case.
            SqlDialect::Mysql => {
                Expr::cust_with_exprs("CAST(LOWER(CONVERT(? USING utf8mb4)) AS BINARY)", [text])
            }
            SqlDialect::Sqlite => Expr::cust_with_exprs("LOWER(?)", [text]),
            SqlDialect::Postgres => Expr::cust_with_exprs("LOWER($1)", [text]),
        }
    }

    /// A column that has this value, where the next column of the index has a bound and gives the
    /// order. MariaDB may otherwise look up all rows that have it, and pass over those before the
    /// bound one by one.
    pub fn prefix(&self, column: (&'static str, &'static str), value: i64) -> Expr {
        match self.dialect {
            SqlDialect::Sqlite | SqlDialect::Postgres => Expr::col(column).eq(value),
            SqlDialect::Mysql => Expr::col(column)
                .gte(value)
                .and(Expr::col(column).lte(value)),
        }
    }

    /// Inserts, and leaves a row alone that has the same key: any unique key, `key` names the
    /// primary one.
    ///
    /// Executing says how many rows were inserted; for a sized statement the count is unspecified.
    /// Rows that repeat within the statement are fine, so sized ones may be padded.
    pub fn insert_ignore(&self, insert: &InsertStatement, key: &[&'static str]) -> InsertStatement {
        let mut insert = insert.clone();
        self.mark(|traits| traits.duplicate = Duplicate::Ignored);
        match self.dialect {
            SqlDialect::Sqlite | SqlDialect::Postgres => {
                insert.on_conflict(OnConflict::new().do_nothing().to_owned());
            }
            // INSERT IGNORE would swallow every other error, too. One row: the duplicate's error is
            // told apart and swallowed, which keeps the count. Several: an update that changes
            // nothing, whose count says nothing.
            SqlDialect::Mysql if self.size == 1 => {
                self.mark(|traits| traits.duplicate = Duplicate::Swallowed);
            }
            SqlDialect::Mysql => {
                let keep = key.first().map(|column| (*column, Expr::col(*column)));
                insert.on_conflict(OnConflict::new().values(keep).to_owned());
            }
        }
        insert
    }

    /// Inserts, or sets the columns `update` of the row with the same `key` to what would have been
    /// inserted.
    ///
    /// `key` must be the only unique key that can clash (MariaDB looks at all of them). Executing
    /// says 1 either way. One row only: a sized statement is padded, and PostgreSQL refuses to
    /// touch a row twice.
    pub fn upsert(
        &self,
        insert: &InsertStatement,
        key: &[&'static str],
        update: &[&'static str],
    ) -> InsertStatement {
        let conflict = OnConflict::columns(key.iter().copied())
            .update_columns(update.iter().copied())
            .to_owned();
        self.upsert_with(insert, conflict)
    }

    /// [`upsert`](Self::upsert) with expressions: `OnConflict::columns([…]).value(column,
    /// expression)`. In them, `Expr::col((table, column))` is the value that is there.
    pub fn upsert_with(&self, insert: &InsertStatement, conflict: OnConflict) -> InsertStatement {
        self.mark(|traits| traits.upsert = true);
        insert.clone().on_conflict(conflict).to_owned()
    }

    /// Inserts one row and returns its id; run with [`Tx::insert`](crate::Tx::insert).
    pub fn insert_returning(&self, insert: &InsertStatement, id: &'static str) -> InsertStatement {
        let mut insert = insert.clone();
        if self.dialect != SqlDialect::Mysql {
            self.mark(|traits| traits.returns_id = true);
            insert.returning_col(id);
        }
        insert
    }

    /// [`insert_returning`](Self::insert_returning) for an append-only log that is read by a
    /// [`Follower`](crate::log::Follower): a clash with a void row runs the transaction again.
    pub fn append(&self, insert: &InsertStatement, id: &'static str) -> InsertStatement {
        self.mark(|traits| traits.duplicate = Duplicate::Retried);
        self.insert_returning(insert, id)
    }

    /// Locks the rows read until the transaction ends. On SQLite the transaction is the only writer
    /// anyway.
    pub fn for_update(&self, select: &SelectStatement) -> SelectStatement {
        select.clone().lock(LockType::Update).to_owned()
    }

    /// [`for_update`](Self::for_update) that passes over rows which others have locked.
    pub fn skip_locked(&self, select: &SelectStatement) -> SelectStatement {
        select
            .clone()
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .to_owned()
    }

    /// Deletes at most `batch.limit` of the rows that meet `condition`, without a look at more.
    pub fn delete_batch(&self, batch: &Batch, condition: impl Into<Condition>) -> DeleteStatement {
        let condition = condition.into();
        let mut delete = Query::delete();
        delete.from_table(batch.table);
        // MariaDB evaluates a subquery of a deletion anew for every row of the table.
        if self.dialect == SqlDialect::Mysql {
            delete.cond_where(condition);
            for column in batch.order {
                delete.order_by(*column, Order::Asc);
            }
            return delete.limit(batch.limit).to_owned();
        }
        let postgres = self.dialect == SqlDialect::Postgres;
        let key: &[&'static str] = if postgres { &["ctid"] } else { batch.key };
        let mut some = Query::select();
        some.columns(key.iter().copied())
            .from(batch.table)
            .cond_where(condition.clone())
            .limit(batch.limit);
        for column in batch.order {
            some.order_by(*column, Order::Asc);
        }
        let found = if postgres {
            // Rows are fetched by their places; a join may take it for better to read all of them.
            // One that was changed meanwhile is judged again.
            delete.cond_where(condition);
            let places = Expr::SubQuery(None, Box::new(some.into()));
            Expr::cust_with_exprs("ctid = ANY(ARRAY $1)", [places])
        } else {
            // With the condition here, too, SQLite goes through all that meet it.
            Expr::tuple(key.iter().map(|column| Expr::col(*column))).in_subquery(some)
        };
        delete.and_where(found).to_owned()
    }
}

/// Which rows a [`delete_batch`](SqlBuilder::delete_batch) takes.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// Of this table.
    pub table: &'static str,
    /// Its primary key.
    pub key: &'static [&'static str],
    /// In this order: that of an index which the condition is on.
    pub order: &'static [&'static str],
    /// At most so many; an [`arg_limit`](crate::arg_limit).
    pub limit: u64,
}

/// A statement as text with its values; opaque.
pub struct SqlText {
    pub(crate) sql: String,
    pub(crate) values: Values,
    pub(crate) traits: StatementTraits,
}

/// What [`statements!`](crate::statements) accepts as a statement's body.
pub trait SqlQuery {
    #[doc(hidden)]
    fn render(&self, dialect: SqlDialect) -> (String, Values);
}

impl<T: SqlQuery + ?Sized> SqlQuery for &mut T {
    fn render(&self, dialect: SqlDialect) -> (String, Values) {
        (**self).render(dialect)
    }
}

macro_rules! sql_query {
    ($($statement:ty),*) => {$(
        impl SqlQuery for $statement {
            fn render(&self, dialect: SqlDialect) -> (String, Values) {
                match dialect {
                    SqlDialect::Sqlite => self.build_any(&SqliteQueryBuilder),
                    SqlDialect::Postgres => self.build_any(&PostgresQueryBuilder),
                    SqlDialect::Mysql => self.build_any(&MysqlQueryBuilder),
                }
            }
        }
    )*};
}

sql_query!(
    SelectStatement,
    InsertStatement,
    UpdateStatement,
    DeleteStatement,
    WithQuery
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bind::arg;

    fn texts(query: impl Fn(&SqlBuilder) -> SqlText) -> [String; 3] {
        [SqlDialect::Sqlite, SqlDialect::Postgres, SqlDialect::Mysql]
            .map(|dialect| query(&SqlBuilder::new(dialect, 1)).sql)
    }

    #[test]
    fn upsert_in_three_dialects() {
        let upsert = |d: &SqlBuilder| {
            let insert = Query::insert()
                .into_table("t")
                .columns(["k", "v"])
                .values_panic([arg(0), arg(1)])
                .to_owned();
            d.render(&d.upsert(&insert, &["k"], &["v"]))
        };
        let [sqlite, postgres, mysql] = texts(upsert);
        assert!(
            sqlite.ends_with(r#"ON CONFLICT ("k") DO UPDATE SET "v" = "excluded"."v""#),
            "{sqlite}"
        );
        assert_eq!(postgres, sqlite.replacen("?, ?", "$1, $2", 1));
        assert!(
            mysql.ends_with("ON DUPLICATE KEY UPDATE `v` = VALUES(`v`)"),
            "{mysql}"
        );
    }

    #[test]
    fn ignoring_duplicates_never_uses_insert_ignore() {
        let insert = Query::insert()
            .into_table("t")
            .columns(["k"])
            .values_panic([arg(0)])
            .to_owned();
        let many = SqlBuilder::new(SqlDialect::Mysql, 4);
        let text = many.render(&many.insert_ignore(&insert, &["k"])).sql;
        let keeps = "ON DUPLICATE KEY UPDATE `k` = `k`";
        assert!(text.ends_with(keeps), "{text}");
        let one = SqlBuilder::new(SqlDialect::Mysql, 1);
        let single = one.render(&one.insert_ignore(&insert, &["k"]));
        assert!(!single.sql.contains("DUPLICATE"), "{}", single.sql);
        assert_eq!(single.traits.duplicate, Duplicate::Swallowed);
    }

    #[test]
    fn sums_become_integers() {
        let sum = |d: &SqlBuilder| {
            let mut select = Query::select();
            select.expr(d.integer(Expr::col("a").sum())).from("t");
            d.render(&select)
        };
        let [sqlite, postgres, mysql] = texts(sum);
        assert_eq!(sqlite, r#"SELECT CAST(SUM("a") AS BIGINT) FROM "t""#);
        assert_eq!(postgres, sqlite);
        assert_eq!(mysql, "SELECT CAST(SUM(`a`) AS SIGNED) FROM `t`");
    }
}
