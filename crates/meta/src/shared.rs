//! What everything of one database holds in common: its pools, its time, its queue of writers and
//! the way to spawn work.
//!
//! It runs no statement of a caller; sessions and transactions do, on connections from here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use seawall_types::{Clock, Context, Millis, Tasks};

use crate::args::Args;
use crate::config::{Config, DatabaseAddress};
use crate::connection::Connection;
use crate::database_time::DatabaseTime;
use crate::dialect::SqlDialect;
use crate::dialect::errors::Failure;
use crate::error::{Error, Result};
use crate::handshake::Handshakes;
use crate::pool::PoolConfig;
use crate::pools::{self, Pools};
use crate::server;
use crate::statement::{Execution, RenderedSql};
use crate::write_queue::WriteQueue;

/// One database, as its sessions share it.
pub(crate) struct SharedDatabase {
    pub(crate) pools: Pools,
    pub(crate) address: DatabaseAddress,
    pub(crate) config: Config,
    pub(crate) server: server::ServerFacts,
    pub(crate) tasks: Tasks,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) time: DatabaseTime,
    /// SQLite only.
    pub(crate) write_queue: WriteQueue<Arc<Self>>,
    /// When the writer looks at the length of the write-ahead log next, on
    /// [`Clock::elapsed`](seawall_types::Clock::elapsed). SQLite only.
    pub(crate) wal_check_due: Mutex<Duration>,
    /// The database took no writes when it last answered.
    standby: AtomicBool,
}

impl SharedDatabase {
    /// Connects, says why if that fails, and checks that the server is one that is admitted.
    pub(crate) async fn open(
        address: DatabaseAddress,
        config: Config,
        tasks: Tasks,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let connected = pools::connect(&address, &config).await;
        let mut connection = connected.map_err(|failure| match failure.error {
            Error::Configuration(_) => failure.error,
            error => {
                Error::Unavailable(format!("cannot connect to {}: {error}", address.describe()))
            }
        })?;
        let server = server::inspect(&mut connection, &address)
            .await
            .map_err(|failure| failure.error)?;
        connection.finish().await;
        let pool_config = PoolConfig {
            most: config.max_connections.max(2),
            patience: config.acquire_timeout(),
            handshakes: Handshakes::new(Arc::clone(&clock), address.dialect != SqlDialect::Sqlite),
            clock: Arc::clone(&clock),
            tasks: Arc::clone(&tasks),
        };
        let pools = Pools::new(&address, &config, server.flavour, &pool_config)
            .map_err(|failure| failure.error)?;
        let shared = Self {
            pools,
            address,
            config,
            server,
            tasks,
            time: DatabaseTime::new(Arc::clone(&clock)),
            clock,
            write_queue: WriteQueue::default(),
            wal_check_due: Mutex::default(),
            standby: AtomicBool::new(false),
        };
        let observed = shared.observe_time().await;
        observed.map_err(|failure| failure.error)?;
        Ok(shared)
    }

    /// Whether an operation has no time left.
    pub(crate) fn is_past_deadline(&self, context: &Context) -> bool {
        let left = context.remaining(&*self.clock);
        left.is_some_and(|left| left.is_zero())
    }

    /// How long a caller waits for what it reads. Only a file needs this: the answers of servers
    /// have a limit each, after which their connection is closed.
    pub(crate) fn reading_limit(&self) -> Option<Duration> {
        let is_file = self.pools.dialect() == SqlDialect::Sqlite;
        is_file.then(|| self.config.acquire_timeout() + self.config.answer_limit())
    }

    /// Notes that a server takes no writes: another one may, and then this one tells what is no
    /// longer so. At the first sign, no connection is used again; the connection apart is opened
    /// anew each time, until it leads to a primary.
    pub(crate) fn observe_standby(&self) {
        if !self.standby.swap(true, Ordering::AcqRel) {
            self.pools.distrust();
        }
        self.pools.renew_dedicated();
    }

    /// Notes that the server which is asked first takes writes. What was opened before leads to the
    /// other one.
    pub(crate) fn observe_primary(&self) {
        if self.standby.swap(false, Ordering::AcqRel) {
            self.pools.distrust();
        }
    }

    /// Asks for the database's time. On the connection apart: what goes by the time must not wait
    /// for what fills the pool.
    pub(crate) async fn observe_time(&self) -> Result<Millis, Failure> {
        let mut connection = self.pools.apart().await?;
        let begun = self.clock.elapsed();
        let question = format!("SELECT {}", self.pools.dialect().clock());
        let rows = connection.ask(&question).await?;
        connection.finish().await;
        let row = rows.first().ok_or_else(no_time)?;
        let shifted = self.time.shifted(row.millis(0)?);
        self.time.note(shifted, begun);
        Ok(shifted)
    }

    /// One execution of a statement, by the database's clock as tests have shifted it.
    pub(crate) fn execution<'a>(&self, rendered: &'a RenderedSql, args: &'a Args) -> Execution<'a> {
        Execution {
            rendered,
            args,
            shift: self.time.shift(),
        }
    }

    /// A connection to read on: from the pool, or the one apart.
    pub(crate) async fn lend(&self, apart: bool) -> Result<Connection, Failure> {
        if apart {
            self.pools.apart().await
        } else {
            self.pools.reader().await
        }
    }
}

fn no_time() -> Error {
    Error::Decode("no time".into())
}

/// How often work is tried on another connection when one was found broken: as often as there were
/// connections that may have broken while idle, and no longer than a caller waits for a connection.
pub(crate) struct ReconnectBudget<'s> {
    shared: &'s SharedDatabase,
    left: u32,
    until: Duration,
}

impl<'s> ReconnectBudget<'s> {
    pub(crate) fn new(shared: &'s SharedDatabase) -> Self {
        Self {
            shared,
            left: shared.pools.size().0 + 1,
            until: shared.clock.elapsed() + shared.config.acquire_timeout(),
        }
    }

    /// Whether another may be tried.
    pub(crate) fn one_more(&mut self) -> bool {
        let has_one = self.left > 0 && self.shared.clock.elapsed() < self.until;
        self.left = self.left.saturating_sub(1);
        has_one
    }
}
