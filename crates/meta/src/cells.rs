//! The border to the drivers' value types: arguments go in, cells come out.

use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::postgres::{PgArguments, PgRow, PgTypeInfo};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    Arguments as _, Decode, MySql, Postgres, Row as _, Sqlite, TypeInfo as _, ValueRef as _,
};

use crate::args::Arg;
use crate::bind::BoundValue;
use crate::dialect::errors::Failure;
use crate::error::Error;
use crate::row::{Cell, Row};
use crate::statement::{Execution, RenderedSql};

macro_rules! arguments {
    ($name:ident, $arguments:ty) => {
        /// Adds the arguments of an execution to those of others before it.
        pub(crate) fn $name(
            mut arguments: $arguments,
            execution: &Execution<'_>,
        ) -> Result<$arguments, Failure> {
            let count = execution.rendered.binds.len();
            arguments.reserve(count, 16 * count);
            for value in execution.values() {
                match value? {
                    Arg::Int(value) => arguments.add(*value),
                    Arg::Text(value) => arguments.add(value.as_deref()),
                    Arg::Bytes(value) => arguments.add(value.as_deref()),
                    Arg::List(_) => return Err(Error::Other("a list is no value".into()).into()),
                }
                .map_err(|error| Failure::from(Error::Other(error.to_string())))?;
            }
            Ok(arguments)
        }
    };
}

arguments!(sqlite_arguments, SqliteArguments);
arguments!(postgres_arguments, PgArguments);
arguments!(mysql_arguments, MySqlArguments);

/// The types of constants; those of arguments are left to the server.
pub(crate) fn postgres_types(rendered: &RenderedSql) -> Vec<PgTypeInfo> {
    let known = |bind: &BoundValue| match bind {
        BoundValue::Shift | BoundValue::Constant(Arg::Int(_)) => {
            <i64 as sqlx::Type<Postgres>>::type_info()
        }
        BoundValue::Constant(Arg::Text(_)) => <str as sqlx::Type<Postgres>>::type_info(),
        BoundValue::Constant(Arg::Bytes(_)) => <[u8] as sqlx::Type<Postgres>>::type_info(),
        _ => PgTypeInfo::with_oid(sqlx::postgres::types::Oid(0)),
    };
    rendered.binds.iter().map(known).collect()
}

pub(crate) fn sqlite_row(row: &SqliteRow) -> Result<Row, Failure> {
    let cell = |column: usize| -> Result<Cell, sqlx::Error> {
        let value = row.try_get_raw(column)?;
        if value.is_null() {
            return Ok(Cell::Null);
        }
        let kind = value.type_info();
        match kind.name() {
            "INTEGER" | "BOOLEAN" => <i64 as Decode<Sqlite>>::decode(value).map(Cell::Int),
            "TEXT" => <String as Decode<Sqlite>>::decode(value).map(Cell::Text),
            "BLOB" => <Vec<u8> as Decode<Sqlite>>::decode(value).map(Cell::Bytes),
            other => Err(format!("type {other}").into()),
        }
        .map_err(sqlx::Error::Decode)
    };
    collect(row.len(), cell)
}

pub(crate) fn postgres_row(row: &PgRow) -> Result<Row, Failure> {
    let cell = |column: usize| -> Result<Cell, sqlx::Error> {
        let value = row.try_get_raw(column)?;
        if value.is_null() {
            return Ok(Cell::Null);
        }
        let kind = value.type_info();
        match kind.name() {
            "INT8" => <i64 as Decode<Postgres>>::decode(value).map(Cell::Int),
            "INT4" => <i32 as Decode<Postgres>>::decode(value).map(|v| Cell::Int(v.into())),
            "INT2" => <i16 as Decode<Postgres>>::decode(value).map(|v| Cell::Int(v.into())),
            "BOOL" => <bool as Decode<Postgres>>::decode(value).map(|v| Cell::Int(v.into())),
            "TEXT" | "VARCHAR" | "NAME" | "CHAR" | "\"CHAR\"" | "UNKNOWN" => {
                <String as Decode<Postgres>>::decode(value).map(Cell::Text)
            }
            "BYTEA" => <Vec<u8> as Decode<Postgres>>::decode(value).map(Cell::Bytes),
            other => Err(format!("type {other}").into()),
        }
        .map_err(sqlx::Error::Decode)
    };
    collect(row.len(), cell)
}

pub(crate) fn mysql_row(row: &MySqlRow) -> Result<Row, Failure> {
    let cell = |column: usize| -> Result<Cell, sqlx::Error> {
        let value = row.try_get_raw(column)?;
        if value.is_null() {
            return Ok(Cell::Null);
        }
        let kind = value.type_info();
        let name = kind.name();
        if name.ends_with("UNSIGNED") {
            let value = <u64 as Decode<MySql>>::decode(value).map_err(sqlx::Error::Decode)?;
            return i64::try_from(value)
                .map(Cell::Int)
                .map_err(|error| sqlx::Error::Decode(error.into()));
        }
        if <i64 as sqlx::Type<MySql>>::compatible(&kind) || name == "BOOLEAN" {
            return <i64 as Decode<MySql>>::decode(value)
                .map(Cell::Int)
                .map_err(sqlx::Error::Decode);
        }
        match name {
            "BINARY" | "VARBINARY" | "BLOB" | "TINYBLOB" | "MEDIUMBLOB" | "LONGBLOB" => {
                <Vec<u8> as Decode<MySql>>::decode(value).map(Cell::Bytes)
            }
            "CHAR" | "VARCHAR" | "TEXT" | "TINYTEXT" | "MEDIUMTEXT" | "LONGTEXT" => {
                <String as Decode<MySql>>::decode(value).map(Cell::Text)
            }
            other => Err(format!("type {other}").into()),
        }
        .map_err(sqlx::Error::Decode)
    };
    collect(row.len(), cell)
}

fn collect(len: usize, cell: impl Fn(usize) -> Result<Cell, sqlx::Error>) -> Result<Row, Failure> {
    let cells = (0..len).map(|column| {
        cell(column)
            .map_err(|error| Failure::from(Error::Decode(format!("column {column}: {error}"))))
    });
    cells.collect::<Result<_, _>>().map(Row)
}
