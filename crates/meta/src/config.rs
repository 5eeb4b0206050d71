//! Where the metadata lives and how much of the database this process may use.
//!
//! Parses the configuration only. Never connects, and never lets the address
//! out whole: it carries the password.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use seawall_config::{NumberRange, RuleViolation, SecretKey, Section};
use seawall_types::Secret;
use serde::{Deserialize, Serialize};

use crate::dialect::SqlDialect;
use crate::error::{Error, Result};

/// How long a server may take at most to say that it has ended a statement.
const GRACE: Duration = Duration::from_secs(5);

/// Where metadata is kept.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The database: `sqlite:PATH`, `postgres://USER:PASSWORD@HOST/NAME` or
    /// `mysql://USER:PASSWORD@HOST/NAME` (MariaDB, too). Without it, the embedded SQLite keeps its
    /// file in the data directory, where relative paths start, too.
    #[serde(serialize_with = "seawall_config::hidden")]
    #[schemars(with = "Option<String>")]
    pub url: Option<Secret>,

    /// A file that holds the `url`, so that the password need not stand here.
    pub url_file: Option<PathBuf>,

    /// The most connections that this process may hold to a database server; two at least, one of
    /// which is for following the log of changes and for health. SQLite has one writer and four
    /// readers besides it.
    pub max_connections: u32,

    /// How long a caller waits for a free connection, or on SQLite for its turn to write, in
    /// milliseconds.
    pub acquire_timeout_ms: u64,

    /// How long the database lets one statement run, in milliseconds.
    pub statement_timeout_ms: u64,

    /// How long a statement waits for a lock, in milliseconds. MariaDB rounds up to seconds.
    pub lock_timeout_ms: u64,

    /// How long a transaction may sit idle before the database ends it, in milliseconds
    /// (PostgreSQL, MariaDB).
    pub idle_in_transaction_timeout_ms: u64,

    /// How many prepared statements each connection keeps.
    pub statement_cache: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            max_connections: 16,
            acquire_timeout_ms: 5_000,
            statement_timeout_ms: 30_000,
            lock_timeout_ms: 5_000,
            idle_in_transaction_timeout_ms: 30_000,
            statement_cache: 200,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("url", &self.url)
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

const SCHEMES: [&str; 5] = ["sqlite", "postgres", "postgresql", "mysql", "mariadb"];

const DAY_MS: u64 = 86_400_000;

impl Section for Config {
    fn validate(&self) -> Vec<RuleViolation> {
        let mut found = Vec::new();
        if let Some(url) = &self.url {
            let scheme = url.expose().split(':').next().unwrap_or_default();
            if !SCHEMES.contains(&scheme) {
                let expected = "expected a URL that begins with sqlite:, postgres:// or mysql://";
                found.push(RuleViolation::new("url", expected));
            }
        }
        let cache = u64::try_from(self.statement_cache).unwrap_or(u64::MAX);
        let idle = self.idle_in_transaction_timeout_ms;
        found.extend(RuleViolation::ranges(&[
            NumberRange::new("max_connections", self.max_connections, 1, 10_000),
            NumberRange::new("acquire_timeout_ms", self.acquire_timeout_ms, 1, 600_000),
            NumberRange::new("statement_timeout_ms", self.statement_timeout_ms, 1, DAY_MS),
            NumberRange::new("lock_timeout_ms", self.lock_timeout_ms, 1, DAY_MS),
            NumberRange::new("idle_in_transaction_timeout_ms", idle, 1, DAY_MS),
            NumberRange::new("statement_cache", cache, 0, 10_000),
        ]));
        found
    }

    fn secrets(&mut self) -> Vec<SecretKey<'_>> {
        vec![SecretKey::new("url", &mut self.url, self.url_file.as_ref())]
    }
}

impl Config {
    /// A configuration for this address, all else by default.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: Some(Secret::new(url)),
            ..Self::default()
        }
    }

    pub(crate) fn address(&self, data: &Path) -> Result<DatabaseAddress> {
        let Some(url) = &self.url else {
            let path = data.join("seawall.db");
            return Ok(DatabaseAddress {
                dialect: SqlDialect::Sqlite,
                url: path.to_string_lossy().into_owned(),
            });
        };
        let url = url.expose();
        let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
        match scheme {
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() || path == ":memory:" {
                    return Err(Error::Configuration(
                        "a SQLite database needs a file".into(),
                    ));
                }
                Ok(DatabaseAddress {
                    dialect: SqlDialect::Sqlite,
                    url: data.join(path).to_string_lossy().into_owned(),
                })
            }
            "postgres" | "postgresql" => Ok(DatabaseAddress {
                dialect: SqlDialect::Postgres,
                url: url.to_owned(),
            }),
            "mysql" | "mariadb" => Ok(DatabaseAddress {
                dialect: SqlDialect::Mysql,
                url: format!("mysql:{rest}"),
            }),
            _ => Err(Error::Configuration(
                "the database address must begin with sqlite:, postgres:// or mysql://".into(),
            )),
        }
    }

    /// How long SQLite waits for a lock of its file; the command line writes beside the server.
    pub(crate) fn sqlite_busy_timeout_ms(&self) -> u64 {
        self.lock_timeout_ms.max(5_000)
    }

    pub(crate) fn acquire_timeout(&self) -> Duration {
        Duration::from_millis(self.acquire_timeout_ms)
    }

    /// How long an answer of the database is waited for: the server ends the statement before, and
    /// then has some time to say so. One that has said nothing until then is not there any more.
    pub(crate) fn answer_limit(&self) -> Duration {
        let statement = Duration::from_millis(self.statement_timeout_ms);
        statement + Ord::min(statement, GRACE)
    }
}

/// A parsed address. For SQLite `url` is the path of the file.
#[derive(Clone)]
pub(crate) struct DatabaseAddress {
    pub(crate) dialect: SqlDialect,
    pub(crate) url: String,
}

impl DatabaseAddress {
    /// Whether nothing of it goes over a network: a file, a socket of this machine, or a loopback
    /// address.
    pub(crate) fn is_local(&self) -> bool {
        let Some((_, rest)) = self.url.split_once("://") else {
            return self.dialect == SqlDialect::Sqlite;
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if ["host=/", "host=%2F", "socket="]
            .iter()
            .any(|word| query.contains(word))
        {
            return true;
        }
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        let host = place.split('/').next().unwrap_or_default();
        let host = match host.strip_prefix('[') {
            Some(six) => six.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let address = host.parse::<IpAddr>();
        let socket = host.is_empty() || host.to_ascii_lowercase().starts_with("%2f");
        socket || host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip| ip.is_loopback())
    }

    /// The address without its credentials.
    pub(crate) fn describe(&self) -> String {
        let scheme = self.dialect.name();
        match self.url.split_once("://") {
            Some((_, rest)) => {
                let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                format!("{scheme}://{}", rest.split('?').next().unwrap_or_default())
            }
            None => format!("{scheme}:{}", self.url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_over_a_network_is_told_from_what_does_not() {
        let local = |url: &str| {
            let url = Some(Secret::new(url));
            let config = Config {
                url,
                ..Config::default()
            };
            config.address(Path::new("/data")).unwrap().is_local()
        };
        for here in [
            "sqlite:/x.db",
            "postgres://u:p@localhost:5432/d",
            "postgres://u:p%40@127.0.0.1/d?sslmode=disable",
            "postgres://u@[::1]:5/d",
            "postgres:///d?host=/run/postgresql",
            "postgres://u@%2Frun%2Fpostgresql/d",
            "mysql://u:p@LOCALHOST/d?socket=/run/mysqld.sock",
        ] {
            assert!(local(here), "{here}");
        }
        for far in [
            "postgres://u:p@db.example.com/d",
            "mysql://localhost:p@10.0.0.5:3306/d",
            "postgres://u@[2001:db8::1]/d",
            "postgres://u@localhost.example.com/d",
        ] {
            assert!(!local(far), "{far}");
        }
    }

    #[test]
    fn without_an_address_it_is_a_file_in_the_data_directory() {
        let address = Config::default().address(Path::new("/data")).unwrap();
        assert_eq!(address.dialect, SqlDialect::Sqlite);
        assert_eq!(address.url, "/data/seawall.db");
    }

    #[test]
    fn schemes_choose_the_dialect() {
        let check = |url: &str| {
            Config::at(url)
                .address(Path::new("/data"))
                .map(|a| a.dialect)
        };
        assert_eq!(check("postgresql://h/d").unwrap(), SqlDialect::Postgres);
        assert_eq!(check("mariadb://h/d").unwrap(), SqlDialect::Mysql);
        assert_eq!(check("sqlite:x.db").unwrap(), SqlDialect::Sqlite);
        assert!(check("mongodb://h/d").is_err());
        assert!(check("sqlite::memory:").is_err());
    }

    #[test]
    fn an_address_is_described_without_its_password() {
        let check = |url: &str| {
            Config::at(url)
                .address(Path::new("/data"))
                .unwrap()
                .describe()
        };
        assert_eq!(
            check("postgres://u:p@ss@h:5432/d?password=x"),
            "postgres://h:5432/d"
        );
        assert_eq!(check("sqlite:x.db"), "sqlite:/data/x.db");
    }

    #[test]
    fn an_answer_is_waited_for_a_little_longer_than_a_statement_may_run() {
        let limit = |ms| {
            let config = Config {
                statement_timeout_ms: ms,
                ..Config::default()
            };
            config.answer_limit().as_millis()
        };
        assert_eq!((limit(30_000), limit(1_000)), (35_000, 2_000));
    }

    #[test]
    fn the_password_is_not_printed() {
        assert!(!format!("{:?}", Config::at("postgres://u:hunter2@h/d")).contains("hunter2"));
    }
}
