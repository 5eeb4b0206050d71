//! What is asked of a server when it is opened: which product and version it is,
//! and whether it keeps what it acknowledges.

use crate::config::DatabaseAddress;
use crate::connection::Connection;
use crate::dialect::errors::Failure;
use crate::dialect::{ServerProduct, SqlDialect};
use crate::error::Error;

/// What is known about the server.
#[derive(Debug, Clone)]
pub(crate) struct ServerFacts {
    pub(crate) flavour: ServerProduct,
    pub(crate) version: String,
}

/// Looks at a fresh connection; refuses servers that are too old and warns of those that may lose
/// commits.
pub(crate) async fn inspect(
    connection: &mut Connection,
    address: &DatabaseAddress,
) -> Result<ServerFacts, Failure> {
    let dialect = address.dialect;
    if !address.is_local() && !is_encrypted(connection, dialect).await? {
        tracing::warn!(
            "the database server is reached over the network without TLS, passwords and all: set sslmode=verify-full \
             (PostgreSQL) or ssl-mode=VERIFY_IDENTITY (MariaDB, MySQL) in the address"
        );
    }
    match dialect {
        SqlDialect::Sqlite => {
            let version = text(connection, "SELECT sqlite_version()").await?;
            Ok(ServerFacts {
                flavour: ServerProduct::Sqlite,
                version: format!("SQLite {version}"),
            })
        }
        SqlDialect::Postgres => postgres(connection).await,
        SqlDialect::Mysql => mysql(connection).await,
    }
}

/// Whether what is said on this connection is.
async fn is_encrypted(connection: &mut Connection, dialect: SqlDialect) -> Result<bool, Failure> {
    match dialect {
        SqlDialect::Sqlite => Ok(true),
        SqlDialect::Postgres => {
            let question = "SELECT ssl::int::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            Ok(text(connection, question).await? == "1")
        }
        SqlDialect::Mysql => {
            let rows = connection
                .ask("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
                .await?;
            let cipher = rows.first().and_then(|row| row.string(1).ok());
            Ok(cipher.is_some_and(|cipher| !cipher.is_empty()))
        }
    }
}

/// Whether the server takes writes.
pub(crate) async fn is_writable(
    connection: &mut Connection,
    dialect: SqlDialect,
) -> Result<bool, Failure> {
    let rows = connection
        .ask(&format!("SELECT {}", dialect.writable()))
        .await?;
    Ok(rows.first().is_some_and(|row| row.bool(0).unwrap_or(false)))
}

async fn postgres(connection: &mut Connection) -> Result<ServerFacts, Failure> {
    let version = text(connection, "SHOW server_version").await?;
    let number = text(connection, "SHOW server_version_num").await?;
    if number.parse::<u32>().unwrap_or(0) < 150_000 {
        return Err(
            Error::Configuration(format!("PostgreSQL {version} is too old; 15 is needed")).into(),
        );
    }
    let encoding = text(connection, "SHOW server_encoding").await?;
    if encoding != "UTF8" {
        return Err(Error::Configuration(format!(
            "the database is encoded in {encoding}; UTF8 is needed"
        ))
        .into());
    }
    let commit = text(connection, "SHOW synchronous_commit").await?;
    let fsync = text(connection, "SHOW fsync").await?;
    if !matches!(commit.as_str(), "on" | "remote_apply") || fsync != "on" {
        tracing::warn!(
            synchronous_commit = commit,
            fsync,
            "PostgreSQL may lose acknowledged pushes when the machine fails: set synchronous_commit and fsync to on"
        );
    }
    Ok(ServerFacts {
        flavour: ServerProduct::Postgres,
        version: format!("PostgreSQL {version}"),
    })
}

async fn mysql(connection: &mut Connection) -> Result<ServerFacts, Failure> {
    let version = text(connection, "SELECT VERSION()").await?;
    let mariadb = version.to_ascii_lowercase().contains("mariadb");
    let (flavour, product, least) = if mariadb {
        (ServerProduct::MariaDb, "MariaDB", [10, 11, 0])
    } else {
        (ServerProduct::Mysql, "MySQL", [8, 0, 16])
    };
    if numbers(&version) < least {
        let [major, minor, patch] = least;
        let text = format!("{product} {version} is too old; {major}.{minor}.{patch} is needed");
        return Err(Error::Configuration(text).into());
    }
    let flush = connection
        .ask("SELECT CAST(@@global.innodb_flush_log_at_trx_commit AS SIGNED)")
        .await?;
    if flush
        .first()
        .is_none_or(|row| row.int(0).is_ok_and(|value| value != 1))
    {
        tracing::warn!(
            "{product} may lose acknowledged pushes when the machine fails: set innodb_flush_log_at_trx_commit to 1"
        );
    }
    Ok(ServerFacts {
        flavour,
        version: format!("{product} {version}"),
    })
}

/// The first three numbers of a version, also of MariaDB's old `5.5.5-10.11.2-MariaDB`.
fn numbers(version: &str) -> [u32; 3] {
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = version
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

async fn text(connection: &mut Connection, question: &str) -> Result<String, Failure> {
    let rows = connection.ask(question).await?;
    let row = rows
        .first()
        .ok_or_else(|| Error::Decode(format!("no answer to {question}")))?;
    Ok(row.string(0)?)
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(numbers("10.11.19-MariaDB-0+deb12u1"), [10, 11, 19]);
        assert_eq!(numbers("5.5.5-10.6.2-MariaDB"), [10, 6, 2]);
        assert_eq!(numbers("8.4.0"), [8, 4, 0]);
        assert!(numbers("11.4.2-MariaDB") > [10, 11, 0]);
    }
}
