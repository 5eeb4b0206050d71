//! The section `database`; `compose` hands its values to the crate that acts on them.

use std::path::PathBuf;

use schemars::JsonSchema;
use seawall_types::Secret;
use serde::{Deserialize, Serialize};

use super::error::Invalid;
use super::hidden;

/// Where metadata is kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// The database: `sqlite:PATH`, `postgres://USER:PASSWORD@HOST/NAME` or `mysql://USER:PASSWORD@HOST/NAME` (MariaDB, too).
    /// Without it, the embedded SQLite keeps its file in the data directory, where relative paths start, too.
    #[serde(serialize_with = "hidden")]
    #[schemars(with = "Option<String>")]
    pub url: Option<Secret>,

    /// A file that holds the `url`, so that the password need not stand here.
    pub url_file: Option<PathBuf>,

    /// The most connections that this process may hold to a database server; two at least, one of which is for following the
    /// log of changes and for health.
    pub max_connections: u32,

    /// How long a caller waits for a free connection, or on SQLite for its turn to write, in milliseconds.
    pub acquire_timeout_ms: u32,

    /// How long the database lets one statement run, in milliseconds.
    pub statement_timeout_ms: u32,

    /// How long a statement waits for a lock, in milliseconds.
    pub lock_timeout_ms: u32,

    /// How long a transaction may sit idle before the database ends it, in milliseconds.
    pub idle_in_transaction_timeout_ms: u32,

    /// How many prepared statements each connection keeps.
    pub statement_cache: u32,
}

impl Default for Database {
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

const SCHEMES: [&str; 5] = ["sqlite", "postgres", "postgresql", "mysql", "mariadb"];

impl Database {
    pub(super) fn validate(&self) -> Vec<Invalid> {
        let mut found = Vec::new();
        if let Some(url) = &self.url {
            let scheme = url.expose().split(':').next().unwrap_or_default();
            if !SCHEMES.contains(&scheme) {
                let expected = "expected a URL that begins with sqlite:, postgres:// or mysql://";
                found.push(Invalid::new("database.url", expected));
            }
        }
        let rules = [
            ("max_connections", self.max_connections, 1, 10_000),
            ("acquire_timeout_ms", self.acquire_timeout_ms, 1, 600_000),
            (
                "statement_timeout_ms",
                self.statement_timeout_ms,
                1,
                86_400_000,
            ),
            ("lock_timeout_ms", self.lock_timeout_ms, 1, 86_400_000),
            (
                "idle_in_transaction_timeout_ms",
                self.idle_in_transaction_timeout_ms,
                1,
                86_400_000,
            ),
            ("statement_cache", self.statement_cache, 0, 10_000),
        ];
        found.extend(Invalid::ranges("database", &rules));
        found
    }
}
