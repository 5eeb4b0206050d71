//! The pools of one database, and how a connection of each dialect is opened.
//!
//! Besides the pool that everything shares there is one connection of its own for what must be seen
//! while all others are taken: the followers of the change log and the check of the database's
//! health. On SQLite there is one writer besides the readers.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::Executor;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};

use crate::config::{Config, DatabaseAddress};
use crate::connection::Connection;
use crate::dialect::errors::{Failure, classify};
use crate::dialect::{ServerProduct, SqlDialect};
use crate::driver::{Driver, DriverConnection, trusted};
use crate::error::Error;
use crate::handshake::{ConnectRefusal, Handshakes, LONGEST_LIMIT, unanswered};
use crate::pool::{ConnectionPool, PoolConfig, PooledConnection};

/// Readers of a SQLite file; more of them are slower on few cores (measured).
const SQLITE_READERS: u32 = 4;

/// What the writer of a SQLite file keeps of it in memory, as SQLite has it: in KiB if it is
/// negative.
const SQLITE_WRITER_CACHE: &str = "-16384";

/// How many pages of 4 KiB the write-ahead log takes before they are copied into the file. Most
/// pushes change the same pages as the ones before, so a longer log copies less; the transaction
/// that fills it waits for the copying, and so does the next start.
pub(crate) const SQLITE_LOG_PAGES: &str = "8192";

/// How long the pools wait for connections on loan when they are closed.
const CLOSING: Duration = Duration::from_secs(5);

/// How long the connection apart waits for an answer: what it asks for is small.
const APART_LIMIT: Duration = Duration::from_secs(5);

/// The connections of this process, opened when they are first needed.
pub(crate) struct Pools {
    by_driver: ByDriver,
    /// How long a connection waits for an answer.
    limit: Duration,
    handshakes: Arc<Handshakes>,
}

enum ByDriver {
    Sqlite(DriverPools<SqliteConnection>),
    Postgres(DriverPools<PgConnection>),
    Mysql(DriverPools<MySqlConnection>),
}

/// The pools of one driver.
struct DriverPools<C> {
    /// One connection for what must be seen while all others are taken.
    apart: ConnectionPool<C>,
    shared: ConnectionPool<C>,
    /// Where transactions have a connection of their own.
    writer: Option<ConnectionPool<C>>,
}

/// Evaluates an expression with the pools of whichever driver it is.
macro_rules! with_pools {
    ($pools:expr, $own:ident => $body:expr) => {
        match &$pools.by_driver {
            ByDriver::Sqlite($own) => $body,
            ByDriver::Postgres($own) => $body,
            ByDriver::Mysql($own) => $body,
        }
    };
}

impl Pools {
    /// Sets up pools without connecting.
    pub(crate) fn new(
        address: &DatabaseAddress,
        config: &Config,
        flavour: ServerProduct,
        pool_config: &PoolConfig,
    ) -> Result<Self, Failure> {
        let session = address.dialect.session(config, flavour);
        // One of them is apart from the pool, which has one at least.
        let most = Ord::max(pool_config.most.saturating_sub(1), 1);
        let by_driver = match address.dialect {
            SqlDialect::Sqlite => {
                let options = sqlite_options(address, config);
                let reading = options.clone().pragma("query_only", "ON");
                let mut own = DriverPools::<SqliteConnection>::new(
                    pool_config,
                    SQLITE_READERS,
                    &reading,
                    &session,
                );
                own.writer = Some(pool(pool_config.with_most(1), writing(options), session));
                ByDriver::Sqlite(own)
            }
            SqlDialect::Postgres => {
                let options = postgres_options(address, config)?;
                ByDriver::Postgres(DriverPools::new(pool_config, most, &options, &session))
            }
            SqlDialect::Mysql => {
                let options = mysql_options(address, config)?;
                ByDriver::Mysql(DriverPools::new(pool_config, most, &options, &session))
            }
        };
        Ok(Self {
            by_driver,
            limit: config.answer_limit(),
            handshakes: Arc::clone(&pool_config.handshakes),
        })
    }

    /// A connection for one statement that reads.
    pub(crate) async fn reader(&self) -> Result<Connection, Failure> {
        with_pools!(self, own => Ok(Connection::new(own.shared.lend().await?, self.limit)))
    }

    /// A connection for a transaction.
    pub(crate) async fn writer(&self) -> Result<Connection, Failure> {
        self.writer_within(None).await
    }

    /// The same for a caller that has only so much time left.
    pub(crate) async fn writer_within(
        &self,
        left: Option<Duration>,
    ) -> Result<Connection, Failure> {
        with_pools!(self, own => {
            let pool = own.writer.as_ref().unwrap_or(&own.shared);
            Ok(Connection::new(pool.lend_within(left).await?, self.limit))
        })
    }

    /// The connection apart, for a small statement that reads.
    pub(crate) async fn apart(&self) -> Result<Connection, Failure> {
        let limit = Ord::min(self.limit, APART_LIMIT);
        with_pools!(self, own => Ok(Connection::new(own.apart.lend().await?, limit)))
    }

    /// No connection that is open now is used again. A file is the same for all of them.
    pub(crate) fn distrust(&self) {
        if self.dialect() != SqlDialect::Sqlite {
            self.handshakes.distrust();
        }
    }

    /// Opens the connection apart anew for its next use, likewise.
    pub(crate) fn renew_dedicated(&self) {
        if self.dialect() != SqlDialect::Sqlite {
            with_pools!(self, own => own.apart.renew());
        }
    }

    pub(crate) fn dialect(&self) -> SqlDialect {
        match self.by_driver {
            ByDriver::Sqlite(_) => SqlDialect::Sqlite,
            ByDriver::Postgres(_) => SqlDialect::Postgres,
            ByDriver::Mysql(_) => SqlDialect::Mysql,
        }
    }

    /// Open and idle connections.
    pub(crate) fn size(&self) -> (u32, usize) {
        with_pools!(self, own => own.size())
    }

    /// Waits for work under way and closes; what takes longer than [`CLOSING`] is left to end by
    /// itself.
    pub(crate) async fn close(&self) {
        let closed = with_pools!(self, own => own.close().await);
        if !closed {
            tracing::warn!("connections to the database break in the middle of transactions");
        }
    }
}

impl<C: Driver> DriverPools<C>
where
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
{
    /// Pools without a writer of their own.
    fn new(
        config: &PoolConfig,
        most: u32,
        options: &<C as sqlx::Connection>::Options,
        session: &[String],
    ) -> Self {
        let pool = |most| pool(config.with_most(most), options.clone(), session.to_vec());
        Self {
            apart: pool(1),
            shared: pool(most),
            writer: None,
        }
    }
}

impl<C: Driver> DriverPools<C> {
    fn pools(&self) -> impl Iterator<Item = &ConnectionPool<C>> {
        [&self.apart, &self.shared].into_iter().chain(&self.writer)
    }

    fn size(&self) -> (u32, usize) {
        let add = |sum: (u32, usize), size: (u32, usize)| (sum.0 + size.0, sum.1 + size.1);
        self.pools().map(ConnectionPool::size).fold((0, 0), add)
    }

    /// Says whether all were closed in time.
    async fn close(&self) -> bool {
        let (apart, shared) = futures::join!(self.apart.close(CLOSING), self.shared.close(CLOSING));
        // The writer last: the last connection folds the write-ahead log back into the file.
        let writer = match &self.writer {
            Some(writer) => writer.close(CLOSING).await,
            None => true,
        };
        apart && shared && writer
    }
}

/// Opens a connection outside the pools, with the server's own words when that fails.
pub(crate) async fn connect(
    address: &DatabaseAddress,
    config: &Config,
) -> Result<Connection, Failure> {
    let opening = async {
        match address.dialect {
            SqlDialect::Sqlite => {
                unpooled::<SqliteConnection>(&sqlite_options(address, config)).await
            }
            SqlDialect::Postgres => {
                unpooled::<PgConnection>(&postgres_options(address, config)?).await
            }
            SqlDialect::Mysql => {
                unpooled::<MySqlConnection>(&mysql_options(address, config)?).await
            }
        }
    };
    let driver: DriverConnection = match address.dialect {
        SqlDialect::Sqlite => opening.await?,
        _ => tokio::time::timeout(LONGEST_LIMIT, opening)
            .await
            .unwrap_or_else(|_| Err(unanswered(LONGEST_LIMIT).failure))?,
    };
    Ok(Connection::new(driver, config.answer_limit()))
}

/// A connection that belongs to no pool.
async fn unpooled<C>(
    options: &<C as sqlx::Connection>::Options,
) -> Result<DriverConnection, Failure>
where
    C: Driver,
    PooledConnection<C>: Into<DriverConnection>,
{
    let connection = C::connect_with(options).await;
    let connection = connection.map_err(|error| classify(C::DIALECT, &error))?;
    Ok(PooledConnection::unpooled(connection).into())
}

/// What the driver met with when it opened a connection.
fn refusal(dialect: SqlDialect, error: &sqlx::Error) -> ConnectRefusal {
    let passes = error.as_database_error().is_some_and(|error| {
        let number = error
            .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
            .map_or(0, sqlx::mysql::MySqlDatabaseError::number);
        // The second: too many connections.
        error.is_transient_in_connect_phase() || number == 1040
    });
    let failure = classify(dialect, error);
    ConnectRefusal { failure, passes }
}

/// A pool of connections that are opened as `options` say, in which a session begins with these
/// statements.
fn pool<C>(
    config: PoolConfig,
    options: <C as sqlx::Connection>::Options,
    session: Vec<String>,
) -> ConnectionPool<C>
where
    C: Driver,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
{
    let open = move || {
        let (options, session) = (options.clone(), session.clone());
        Box::pin(async move {
            let opening = async {
                let mut connection = C::connect_with(&options).await?;
                for statement in session {
                    let told = sqlx::raw_sql(trusted(statement));
                    told.execute(&mut connection).await?;
                }
                Ok(connection)
            };
            opening.await.map_err(|error| refusal(C::DIALECT, &error))
        }) as BoxFuture<'static, _>
    };
    ConnectionPool::new(config, Box::new(open))
}

fn sqlite_options(address: &DatabaseAddress, config: &Config) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&address.url)
        .create_if_missing(true)
        .busy_timeout(Duration::from_millis(config.sqlite_busy_timeout_ms()))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .statement_cache_capacity(config.statement_cache)
}

/// What makes writing cheaper and takes nothing from what is promised: all of it is about copies of
/// pages before they are durable.
fn writing(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        // Else what a savepoint would bring back is written to a file, twice the size of what was
        // changed.
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", SQLITE_WRITER_CACHE)
        .pragma("wal_autocheckpoint", SQLITE_LOG_PAGES)
}

fn postgres_options(
    address: &DatabaseAddress,
    config: &Config,
) -> Result<PgConnectOptions, Failure> {
    let options = PgConnectOptions::from_str(&address.url).map_err(|_| malformed())?;
    let named = options.get_application_name().is_some();
    let options = options.statement_cache_capacity(config.statement_cache);
    Ok(if named {
        options
    } else {
        options.application_name("seawall")
    })
}

fn mysql_options(
    address: &DatabaseAddress,
    config: &Config,
) -> Result<MySqlConnectOptions, Failure> {
    let options = MySqlConnectOptions::from_str(&address.url).map_err(|_| malformed())?;
    Ok(options
        .charset("utf8mb4")
        .statement_cache_capacity(config.statement_cache))
}

/// The driver's own words could contain the password.
fn malformed() -> Failure {
    Error::Configuration("the database address cannot be parsed".into()).into()
}
