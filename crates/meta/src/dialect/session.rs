//! The settings of a new session: its timeouts, its isolation, how it reads SQL.
//!
//! Timeouts are the database's own, so that a statement ends there, too, when its caller has gone.
//! SQLite's settings are connect options (`pools.rs`).

use super::{ServerProduct, SqlDialect, seconds};
use crate::config::Config;

impl SqlDialect {
    /// The settings of a new session, one statement each. SQLite's settings are connect
    /// options.
    pub(crate) fn session(self, config: &Config, flavour: ServerProduct) -> Vec<String> {
        let statement = config.statement_timeout_ms;
        let lock = config.lock_timeout_ms;
        let idle = config.idle_in_transaction_timeout_ms;
        match self {
            Self::Sqlite => Vec::new(),
            Self::Postgres => vec![
                format!("SET statement_timeout = {statement}"),
                format!("SET lock_timeout = {lock}"),
                format!("SET idle_in_transaction_session_timeout = {idle}"),
                "SET default_transaction_isolation = 'read committed'".into(),
                "SET client_min_messages = warning".into(),
            ],
            Self::Mysql => {
                let lock = seconds(lock);
                let timeouts = if flavour == ServerProduct::Mysql {
                    format!("max_execution_time = {statement}")
                } else {
                    let (statement, idle) = (seconds(statement), seconds(idle));
                    format!("max_statement_time = {statement}, idle_transaction_timeout = {idle}")
                };
                vec![
                    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".into(),
                    format!(
                        "SET sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_ZERO_DATE,NO_ZERO_IN_DATE,\
                         ERROR_FOR_DIVISION_BY_ZERO,ANSI_QUOTES,PIPES_AS_CONCAT,NO_AUTO_VALUE_ON_ZERO', \
                         time_zone = '+00:00', innodb_lock_wait_timeout = {lock}, {timeouts}"
                    ),
                ]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_in_seconds_round_up() {
        let config = Config {
            lock_timeout_ms: 1,
            ..Config::default()
        };
        let session = SqlDialect::Mysql
            .session(&config, ServerProduct::MariaDb)
            .join(";");
        assert!(
            session.contains("innodb_lock_wait_timeout = 1,"),
            "{session}"
        );
    }
}
