//! The pools of one database, and how a connection of each dialect is opened.
//!
//! Besides the pool that everything shares there is one connection of its own for what must be heard while all others
//! are taken: the followers of the change log and the look at the database's health.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection, Executor};

use crate::config::{Address, Config};
use crate::connection::{Lease, Link, trusted};
use crate::dialect::errors::{Failure, classify};
use crate::dialect::{Dialect, Flavour};
use crate::error::Error;
use crate::handshake::{Handshakes, LONGEST_LIMIT, Refusal, unanswered};
use crate::pool::{Lent, Pool, Terms};

/// Readers of a SQLite file; more of them are slower on few cores (measured).
const SQLITE_READERS: u32 = 4;

/// What the writer of a SQLite file keeps of it in memory, as SQLite has it: in KiB if it is negative.
const SQLITE_WRITER_CACHE: &str = "-16384";

/// How many pages of 4 KiB the write-ahead log takes before they are copied into the file. Most pushes change the same
/// pages as the ones before, so a longer log copies less; whoever fills it waits for the copying, and so does the next
/// start.
pub(crate) const SQLITE_LOG_PAGES: &str = "8192";

/// How long the pools wait for what is lent when they are closed.
const CLOSING: Duration = Duration::from_secs(5);

/// How long the connection apart waits for an answer: what it asks for is small.
const APART_LIMIT: Duration = Duration::from_secs(5);

/// The connections of this process, opened when they are first needed.
pub(crate) struct Pools {
    shared: ByDialect,
    /// How long a connection waits for an answer.
    limit: Duration,
    handshakes: Arc<Handshakes>,
}

enum ByDialect {
    Sqlite {
        apart: Pool<SqliteConnection>,
        readers: Pool<SqliteConnection>,
        writer: Pool<SqliteConnection>,
    },
    Postgres {
        apart: Pool<PgConnection>,
        pool: Pool<PgConnection>,
    },
    Mysql {
        apart: Pool<MySqlConnection>,
        pool: Pool<MySqlConnection>,
    },
}

impl Pools {
    /// Opens pools without connecting.
    pub(crate) fn new(
        address: &Address,
        config: &Config,
        flavour: Flavour,
        terms: &Terms,
    ) -> Result<Self, Failure> {
        let session = address.dialect.session(config, flavour);
        // One of them is apart from the pool, which has one at least.
        let most = Ord::max(terms.most.saturating_sub(1), 1);
        let shared = match address.dialect {
            Dialect::Sqlite => {
                let options = sqlite_options(address, config);
                let readers = options.clone().pragma("query_only", "ON");
                ByDialect::Sqlite {
                    apart: pool(
                        address.dialect,
                        terms.of(1),
                        readers.clone(),
                        session.clone(),
                    ),
                    readers: pool(
                        address.dialect,
                        terms.of(SQLITE_READERS),
                        readers,
                        session.clone(),
                    ),
                    writer: pool(address.dialect, terms.of(1), writing(options), session),
                }
            }
            Dialect::Postgres => {
                let options = postgres_options(address, config)?;
                ByDialect::Postgres {
                    apart: pool(
                        address.dialect,
                        terms.of(1),
                        options.clone(),
                        session.clone(),
                    ),
                    pool: pool(address.dialect, terms.of(most), options, session),
                }
            }
            Dialect::Mysql => {
                let options = mysql_options(address, config)?;
                ByDialect::Mysql {
                    apart: pool(
                        address.dialect,
                        terms.of(1),
                        options.clone(),
                        session.clone(),
                    ),
                    pool: pool(address.dialect, terms.of(most), options, session),
                }
            }
        };
        let (limit, handshakes) = (config.answer_limit(), Arc::clone(&terms.handshakes));
        Ok(Self {
            shared,
            limit,
            handshakes,
        })
    }

    /// A connection for one statement that reads.
    pub(crate) async fn reader(&self) -> Result<Lease, Failure> {
        let link = match &self.shared {
            ByDialect::Sqlite { readers, .. } => Link::Sqlite(readers.lend().await?),
            ByDialect::Postgres { pool, .. } => Link::Postgres(pool.lend().await?),
            ByDialect::Mysql { pool, .. } => Link::Mysql(pool.lend().await?),
        };
        Ok(Lease::new(link, self.limit))
    }

    /// A connection for a transaction.
    pub(crate) async fn writer(&self) -> Result<Lease, Failure> {
        match &self.shared {
            ByDialect::Sqlite { writer, .. } => {
                let link = Link::Sqlite(writer.lend().await?);
                Ok(Lease::new(link, self.limit))
            }
            _ => self.reader().await,
        }
    }

    /// The connection apart, for a small statement that reads.
    pub(crate) async fn apart(&self) -> Result<Lease, Failure> {
        let link = match &self.shared {
            ByDialect::Sqlite { apart, .. } => Link::Sqlite(apart.lend().await?),
            ByDialect::Postgres { apart, .. } => Link::Postgres(apart.lend().await?),
            ByDialect::Mysql { apart, .. } => Link::Mysql(apart.lend().await?),
        };
        Ok(Lease::new(link, Ord::min(self.limit, APART_LIMIT)))
    }

    /// No connection that is open now is used again. A file is the same for all of them.
    pub(crate) fn distrust(&self) {
        if self.dialect() != Dialect::Sqlite {
            self.handshakes.distrust();
        }
    }

    /// Opens the connection apart anew for its next use.
    pub(crate) fn renew_apart(&self) {
        match &self.shared {
            ByDialect::Sqlite { .. } => {}
            ByDialect::Postgres { apart, .. } => apart.renew(),
            ByDialect::Mysql { apart, .. } => apart.renew(),
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.shared {
            ByDialect::Sqlite { .. } => Dialect::Sqlite,
            ByDialect::Postgres { .. } => Dialect::Postgres,
            ByDialect::Mysql { .. } => Dialect::Mysql,
        }
    }

    /// Open and idle connections.
    pub(crate) fn size(&self) -> (u32, usize) {
        let sizes = match &self.shared {
            ByDialect::Sqlite {
                apart,
                readers,
                writer,
            } => vec![apart.size(), readers.size(), writer.size()],
            ByDialect::Postgres { apart, pool } => vec![apart.size(), pool.size()],
            ByDialect::Mysql { apart, pool } => vec![apart.size(), pool.size()],
        };
        sizes
            .into_iter()
            .fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }

    /// Waits for work under way and closes; what takes longer than [`CLOSING`] is left to end by itself.
    pub(crate) async fn close(&self) {
        let closed = match &self.shared {
            ByDialect::Sqlite {
                apart,
                readers,
                writer,
            } => {
                let (apart, readers) = futures::join!(apart.close(CLOSING), readers.close(CLOSING));
                // The writer last: the last connection folds the write-ahead log back into the file.
                writer.close(CLOSING).await && apart && readers
            }
            ByDialect::Postgres { apart, pool } => {
                let closed = futures::join!(apart.close(CLOSING), pool.close(CLOSING));
                closed.0 && closed.1
            }
            ByDialect::Mysql { apart, pool } => {
                let closed = futures::join!(apart.close(CLOSING), pool.close(CLOSING));
                closed.0 && closed.1
            }
        };
        if !closed {
            tracing::warn!("connections to the database are closed in the middle of their work");
        }
    }
}

/// Opens a connection outside the pools, with the server's own words when that fails.
pub(crate) async fn connect(address: &Address, config: &Config) -> Result<Lease, Failure> {
    let opening = async {
        match address.dialect {
            Dialect::Sqlite => SqliteConnection::connect_with(&sqlite_options(address, config))
                .await
                .map(|connection| Link::Sqlite(Lent::apart(connection))),
            Dialect::Postgres => PgConnection::connect_with(&postgres_options(address, config)?)
                .await
                .map(|connection| Link::Postgres(Lent::apart(connection))),
            Dialect::Mysql => MySqlConnection::connect_with(&mysql_options(address, config)?)
                .await
                .map(|connection| Link::Mysql(Lent::apart(connection))),
        }
        .map_err(|error| classify(address.dialect, &error))
    };
    let link = match address.dialect {
        Dialect::Sqlite => opening.await?,
        _ => tokio::time::timeout(LONGEST_LIMIT, opening)
            .await
            .unwrap_or_else(|_| Err(unanswered(LONGEST_LIMIT).failure))?,
    };
    Ok(Lease::new(link, config.answer_limit()))
}

/// What the driver met with when it opened a connection.
fn refusal(dialect: Dialect, error: &sqlx::Error) -> Refusal {
    let passes = error.as_database_error().is_some_and(|error| {
        let number = error
            .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
            .map_or(0, sqlx::mysql::MySqlDatabaseError::number);
        // The second: too many connections.
        error.is_transient_in_connect_phase() || number == 1040
    });
    let failure = classify(dialect, error);
    Refusal { failure, passes }
}

/// Connections that are opened as `options` say, each told what a `session` of it is to be like.
fn pool<C>(
    dialect: Dialect,
    terms: Terms,
    options: <C as Connection>::Options,
    session: Vec<String>,
) -> Pool<C>
where
    C: Connection + 'static,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
{
    let open = move || {
        let (options, session) = (options.clone(), session.clone());
        Box::pin(async move {
            let opening = async {
                let mut connection = C::connect_with(&options).await?;
                for statement in session {
                    (&mut connection)
                        .execute(sqlx::raw_sql(trusted(statement)))
                        .await?;
                }
                Ok(connection)
            };
            opening.await.map_err(|error| refusal(dialect, &error))
        }) as BoxFuture<'static, _>
    };
    Pool::new(terms, Box::new(open))
}

fn sqlite_options(address: &Address, config: &Config) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&address.url)
        .create_if_missing(true)
        .busy_timeout(Duration::from_millis(config.sqlite_patience_ms()))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .statement_cache_capacity(config.statement_cache)
}

/// What makes writing cheaper and takes nothing from what is promised: all of it is about copies of pages on their way.
fn writing(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        // Else what a savepoint would bring back is written to a file, twice the size of what was changed.
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", SQLITE_WRITER_CACHE)
        .pragma("wal_autocheckpoint", SQLITE_LOG_PAGES)
}

fn postgres_options(address: &Address, config: &Config) -> Result<PgConnectOptions, Failure> {
    let options = PgConnectOptions::from_str(&address.url).map_err(|_| malformed())?;
    let named = options.get_application_name().is_some();
    let options = options.statement_cache_capacity(config.statement_cache);
    Ok(if named {
        options
    } else {
        options.application_name("seawall")
    })
}

fn mysql_options(address: &Address, config: &Config) -> Result<MySqlConnectOptions, Failure> {
    let options = MySqlConnectOptions::from_str(&address.url).map_err(|_| malformed())?;
    Ok(options
        .charset("utf8mb4")
        .statement_cache_capacity(config.statement_cache))
}

/// The driver's own words could contain the password.
fn malformed() -> Failure {
    Error::Configuration("the database address cannot be parsed".into()).into()
}
