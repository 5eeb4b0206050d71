//! What the databases' error codes mean.

use sqlx::Error as Driver;

use super::SqlDialect;
use crate::error::Error;

/// A classified error and what follows from it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The transaction may be run again: its rollback has undone everything, and the cause passes.
    pub(crate) retry: bool,
    /// The connection is of no further use.
    pub(crate) lost: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            retry: false,
            lost: false,
        }
    }
}

#[derive(Clone, Copy)]
enum ErrorClass {
    Unique,
    ForeignKey,
    /// A conflict with another transaction; a retry helps.
    Conflict,
    /// The database ended the statement or refuses work for now.
    Refused,
    Lost,
    ReadOnly,
    Full,
    Corrupt,
    Other,
}

/// Puts a driver's error into our words.
pub(crate) fn classify(dialect: SqlDialect, error: &Driver) -> Failure {
    let Driver::Database(database) = error else {
        return transport(error);
    };
    let code = database.code().unwrap_or_default();
    let class = match dialect {
        SqlDialect::Sqlite => sqlite(code.parse().unwrap_or(0)),
        SqlDialect::Postgres => postgres(&code),
        SqlDialect::Mysql => mysql(
            database
                .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
                .map_or(0, sqlx::mysql::MySqlDatabaseError::number),
        ),
    };
    let text = format!("{} ({code})", database.message());
    failure(class, text)
}

/// Whether a failed schema change says that it was made already (MariaDB, after a crash before the
/// bookkeeping).
pub(crate) fn already_changed(error: &Driver) -> bool {
    let number = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>())
        .map_or(0, sqlx::mysql::MySqlDatabaseError::number);
    // Table, column, index or foreign key exists; column, index or table to be dropped is gone.
    matches!(number, 1050 | 1051 | 1060 | 1061 | 1091 | 1826)
}

fn transport(error: &Driver) -> Failure {
    let class = match error {
        Driver::Io(_) | Driver::Tls(_) | Driver::Protocol(_) | Driver::WorkerCrashed => {
            ErrorClass::Lost
        }
        Driver::PoolTimedOut | Driver::PoolClosed => ErrorClass::Refused,
        Driver::ColumnDecode { .. } | Driver::Decode(_) | Driver::ColumnIndexOutOfBounds { .. } => {
            return Error::Decode(error.to_string()).into();
        }
        Driver::Configuration(_) => return Error::Configuration(error.to_string()).into(),
        _ => ErrorClass::Other,
    };
    failure(class, error.to_string())
}

fn failure(class: ErrorClass, text: String) -> Failure {
    let retry = matches!(class, ErrorClass::Conflict);
    // A server that became a standby refuses writes for ever; a new connection may find the new
    // primary.
    let lost = matches!(class, ErrorClass::Lost | ErrorClass::ReadOnly);
    let error = match class {
        ErrorClass::Unique => Error::Unique(text),
        ErrorClass::ForeignKey => Error::ForeignKey(text),
        ErrorClass::Conflict => Error::Busy(text),
        ErrorClass::Refused | ErrorClass::Lost => Error::Unavailable(text),
        ErrorClass::ReadOnly => Error::ReadOnly(text),
        ErrorClass::Full => Error::Full(text),
        ErrorClass::Corrupt => Error::Corrupt(text),
        ErrorClass::Other => Error::Other(text),
    };
    Failure { error, retry, lost }
}

/// Extended result codes; the low byte is the primary one.
fn sqlite(code: i32) -> ErrorClass {
    match (code, code & 0xFF) {
        (1555 | 2067 | 2579, _) => ErrorClass::Unique,
        (787, _) => ErrorClass::ForeignKey,
        (_, 5 | 6) => ErrorClass::Conflict,
        (_, 8) => ErrorClass::ReadOnly,
        (_, 9) => ErrorClass::Refused,
        (_, 10 | 14) => ErrorClass::Lost,
        (_, 11 | 26) => ErrorClass::Corrupt,
        (_, 13) => ErrorClass::Full,
        _ => ErrorClass::Other,
    }
}

fn postgres(state: &str) -> ErrorClass {
    match state {
        "23505" => ErrorClass::Unique,
        "23503" | "23001" => ErrorClass::ForeignKey,
        // Serialization failure, deadlock, lock not available in time.
        "40001" | "40P01" | "55P03" => ErrorClass::Conflict,
        // A standby, or a primary that became one while we were connected: this connection helps no
        // more.
        "25006" => ErrorClass::ReadOnly,
        "53100" => ErrorClass::Full,
        "XX001" | "XX002" => ErrorClass::Corrupt,
        // Statement cancelled by its timeout, too many connections, out of memory.
        "57014" | "53000" | "53200" | "53300" | "53400" => ErrorClass::Refused,
        // Terminated, idle in transaction for too long, shutting down or starting up.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => ErrorClass::Lost,
        _ if state.starts_with("08") => ErrorClass::Lost,
        _ => ErrorClass::Other,
    }
}

fn mysql(number: u16) -> ErrorClass {
    match number {
        1062 | 1586 => ErrorClass::Unique,
        1216 | 1217 | 1451 | 1452 => ErrorClass::ForeignKey,
        // Record changed since it was read (MariaDB 11), lock wait timeout, deadlock, NOWAIT.
        1020 | 1205 | 1213 | 3572 => ErrorClass::Conflict,
        1290 | 1792 | 1836 | 3100 => ErrorClass::ReadOnly,
        1021 | 1114 => ErrorClass::Full,
        1034 | 1712 => ErrorClass::Corrupt,
        // Too many connections, query interrupted, statement timeouts of both products, out of
        // memory.
        1037 | 1038 | 1040 | 1041 | 1203 | 1226 | 1317 | 1969 | 3024 => ErrorClass::Refused,
        // Server shutdown, connection killed, idle transaction ended, network errors.
        1053 | 1077 | 1079 | 1080 | 1152..=1161 | 1927 | 4031 => ErrorClass::Lost,
        _ => ErrorClass::Other,
    }
}
