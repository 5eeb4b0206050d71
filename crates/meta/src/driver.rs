//! The three drivers behind one trait: what is said to a database once, whichever it is.
//!
//! [`Driver`] is implemented for the connection types of sqlx by one macro, so that each operation
//! stands here once and runs without a box of its own. What a driver does in its own way (values,
//! rows, the id of an inserted row) it takes from `cells.rs`. Nothing here limits how long an
//! answer may take, and nothing knows of pools: that is [`Connection`](crate::connection)'s.

use std::sync::Arc;

use sqlx::mysql::{MySqlConnection, MySqlQueryResult};
use sqlx::postgres::{PgConnection, PgQueryResult};
use sqlx::sqlite::{SqliteConnection, SqliteQueryResult};
use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr as _};

use crate::cells;
use crate::dialect::SqlDialect;
use crate::dialect::errors::{Failure, already_changed, classify};
use crate::pool::PooledConnection;
use crate::row::Row;
use crate::statement::{Execution, RenderedSql};

/// What a statement did that returned no rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExecuteOutcome {
    pub(crate) rows: u64,
    /// MariaDB only.
    pub(crate) last_id: i64,
}

/// A connection of one of the drivers.
pub(crate) trait Driver: sqlx::Connection + 'static {
    /// The language of its database.
    const DIALECT: SqlDialect;

    /// Runs a statement and reads all its rows.
    async fn fetch(&mut self, execution: &Execution<'_>) -> Result<Vec<Row>, Failure>;

    /// Runs a statement that returns no rows.
    async fn execute(&mut self, execution: &Execution<'_>) -> Result<ExecuteOutcome, Failure>;

    /// Reads the rows of text of our own without arguments. It is not prepared, which would be two
    /// round trips more.
    async fn ask(&mut self, text: &str) -> Result<Vec<Row>, Failure>;

    /// Runs text of our own without arguments and without preparing it.
    async fn command(&mut self, text: &str) -> Result<(), Failure>;

    /// Changes the schema; `false` when `tolerant` and the change was made already.
    async fn change_schema(&mut self, text: &str, tolerant: bool) -> Result<bool, Failure>;

    /// Lets the database check a statement without running it.
    async fn check(&mut self, rendered: &RenderedSql) -> Result<(), Failure>;
}

/// A connection on loan, by its driver.
pub(crate) enum DriverConnection {
    Sqlite(PooledConnection<SqliteConnection>),
    Postgres(PooledConnection<PgConnection>),
    Mysql(PooledConnection<MySqlConnection>),
}

/// Evaluates an expression with the connection of whichever driver it is.
macro_rules! on_driver {
    ($driver:expr, $connection:ident => $body:expr) => {
        match $driver {
            $crate::driver::DriverConnection::Sqlite($connection) => $body,
            $crate::driver::DriverConnection::Postgres($connection) => $body,
            $crate::driver::DriverConnection::Mysql($connection) => $body,
        }
    };
}

pub(crate) use on_driver;

impl DriverConnection {
    /// The language of its database.
    pub(crate) fn dialect(&self) -> SqlDialect {
        match self {
            Self::Sqlite(_) => SqlDialect::Sqlite,
            Self::Postgres(_) => SqlDialect::Postgres,
            Self::Mysql(_) => SqlDialect::Mysql,
        }
    }
}

/// Text that sqlx is to take as it is. All of it comes from `Statement`s, migrations and this
/// crate's own constants, never from a caller's value.
pub(crate) fn trusted(text: impl Into<Arc<str>>) -> AssertSqlSafe<Arc<str>> {
    AssertSqlSafe(text.into())
}

/// Implements [`Driver`] for the connection of a dialect: by what makes its arguments, reads its
/// rows, knows the types of its parameters, and reads what a statement did.
macro_rules! driver {
    ($dialect:ident, $connection:ty, $arguments:path, $row:path, $types:expr, $done:expr) => {
        impl Driver for $connection {
            const DIALECT: SqlDialect = SqlDialect::$dialect;

            async fn fetch(&mut self, execution: &Execution<'_>) -> Result<Vec<Row>, Failure> {
                let arguments = $arguments(<_>::default(), execution)?;
                let query = sqlx::query_with(trusted(execution.rendered.sql.clone()), arguments);
                let rows = query.fetch_all(self).await;
                let rows = rows.map_err(|error| classify(Self::DIALECT, &error))?;
                rows.iter().map($row).collect()
            }

            async fn execute(
                &mut self,
                execution: &Execution<'_>,
            ) -> Result<ExecuteOutcome, Failure> {
                let arguments = $arguments(<_>::default(), execution)?;
                let query = sqlx::query_with(trusted(execution.rendered.sql.clone()), arguments);
                let done = query.execute(self).await;
                done.map($done)
                    .map_err(|error| classify(Self::DIALECT, &error))
            }

            async fn ask(&mut self, text: &str) -> Result<Vec<Row>, Failure> {
                let rows = sqlx::raw_sql(trusted(text)).fetch_all(self).await;
                let rows = rows.map_err(|error| classify(Self::DIALECT, &error))?;
                rows.iter().map($row).collect()
            }

            async fn command(&mut self, text: &str) -> Result<(), Failure> {
                let done = sqlx::raw_sql(trusted(text)).execute(self).await;
                done.map(drop)
                    .map_err(|error| classify(Self::DIALECT, &error))
            }

            async fn change_schema(&mut self, text: &str, tolerant: bool) -> Result<bool, Failure> {
                match sqlx::raw_sql(trusted(text)).execute(self).await {
                    Ok(_) => Ok(true),
                    Err(error) if tolerant && already_changed(&error) => Ok(false),
                    Err(error) => Err(classify(Self::DIALECT, &error)),
                }
            }

            async fn check(&mut self, rendered: &RenderedSql) -> Result<(), Failure> {
                let text = trusted(rendered.sql.clone()).into_sql_str();
                let checked = self.prepare_with(text, &$types(rendered)).await;
                checked
                    .map(drop)
                    .map_err(|error| classify(Self::DIALECT, &error))
            }
        }

        impl From<PooledConnection<$connection>> for DriverConnection {
            fn from(connection: PooledConnection<$connection>) -> Self {
                Self::$dialect(connection)
            }
        }
    };
}

driver!(
    Sqlite,
    SqliteConnection,
    cells::sqlite_arguments,
    cells::sqlite_row,
    |_: &RenderedSql| [],
    |done: SqliteQueryResult| ExecuteOutcome {
        rows: done.rows_affected(),
        last_id: 0,
    }
);

driver!(
    Postgres,
    PgConnection,
    cells::postgres_arguments,
    cells::postgres_row,
    cells::postgres_types,
    |done: PgQueryResult| ExecuteOutcome {
        rows: done.rows_affected(),
        last_id: 0,
    }
);

driver!(
    Mysql,
    MySqlConnection,
    cells::mysql_arguments,
    cells::mysql_row,
    |_: &RenderedSql| [],
    |done: MySqlQueryResult| ExecuteOutcome {
        rows: done.rows_affected(),
        last_id: done.last_insert_id().cast_signed(),
    }
);
