//! The database as the rest of the program knows it: opened once, cloned freely.
//!
//! It hands out [`Session`]s; nothing else can run a statement.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use seawall_types::{Clock, Context, Lane, Millis, Tasks};

use crate::config::Config;
use crate::detached::detached;
use crate::dialect::SqlDialect;
use crate::dialect::errors::Failure;
use crate::error::Result;
use crate::server;
use crate::session::Session;
use crate::shared::SharedDatabase;
use crate::statement::Statement;

/// The metadata database.
#[derive(Clone)]
pub struct Meta {
    pub(crate) shared: Arc<SharedDatabase>,
}

impl std::fmt::Debug for Meta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meta")
            .field("dialect", &self.dialect())
            .finish_non_exhaustive()
    }
}

/// Whether the database can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseHealth {
    /// It accepts writes (it is a primary and not switched to read-only).
    pub writable: bool,
    /// How long the question took.
    pub latency: Duration,
}

/// Connections of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Open now.
    pub open: u32,
    /// Open and not in use.
    pub idle: u32,
}

impl Meta {
    /// Connects, says why if that fails, and checks that the server is one that is admitted.
    ///
    /// `data` is the data directory, in which the default SQLite file lies. Applies no migrations.
    pub async fn open(
        config: &Config,
        data: &Path,
        tasks: Tasks,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let address = config.address(data)?;
        let config = config.clone();
        let opening = SharedDatabase::open(address, config, Arc::clone(&tasks), clock);
        let shared = Arc::new(detached(&tasks, "meta.open", opening).await??);
        Ok(Self { shared })
    }

    /// The language of the database.
    pub fn dialect(&self) -> SqlDialect {
        self.shared.pools.dialect()
    }

    /// Name and version of the server, for the log.
    pub fn server(&self) -> &str {
        &self.shared.server.version
    }

    /// The handle by which one operation or job reads and writes; charges that operation.
    pub fn session(&self, context: Context) -> Session {
        Session::new(Arc::clone(&self.shared), context)
    }

    /// The database's time as far as known without asking: the last observation plus the time
    /// since.
    ///
    /// Every poll of a log observes it, so it follows the database's clock wherever that is set,
    /// and drifts from it by no more than two clocks part between polls. It does not go back,
    /// unless the database's clock does by a second or more.
    pub fn now(&self) -> Millis {
        self.shared.time.now()
    }

    /// Asks for the database's time, so that [`now`](Self::now) stays right when clocks drift.
    pub async fn observe_time(&self) -> Result<Millis> {
        let shared = Arc::clone(&self.shared);
        let asked = async move { shared.observe_time().await };
        detached(&self.shared.tasks, "meta.time", asked)
            .await?
            .map_err(|failure| failure.error)
    }

    /// Moves the database's time, as this handle and its statements see it, forward. For tests.
    pub fn shift_time(&self, by: Duration) {
        self.shared.time.advance(by);
    }

    /// Sets the clock of the database, by so many milliseconds, without this handle's knowing of it
    /// before it asks. For tests.
    pub fn set_clock(&self, by: i64) {
        self.shared.time.set_clock(by);
    }

    /// Asks the database whether it can be used; when no connection is to be had, says why.
    ///
    /// Asks on the connection apart, so that it costs no slot of the pool and there is one question
    /// at a time: a caller who gives up while another asks leaves the queue.
    pub async fn health(&self) -> Result<DatabaseHealth> {
        let shared = Arc::clone(&self.shared);
        let begun = shared.clock.elapsed();
        let connection = shared.pools.apart().await;
        let connection = connection.map_err(|failure| failure.error)?;
        let asked = async move {
            let dialect = shared.pools.dialect();
            let mut connection = connection;
            let writable = match server::is_writable(&mut connection, dialect).await {
                // It broke while it was idle.
                Err(failure) if failure.lost => {
                    drop(connection);
                    connection = shared.pools.apart().await?;
                    server::is_writable(&mut connection, dialect).await
                }
                other => other,
            };
            if !matches!(&writable, Err(failure) if failure.lost) {
                connection.finish().await;
            }
            let (writable, now) = (writable?, shared.clock.elapsed());
            let latency = now.saturating_sub(begun);
            Ok(DatabaseHealth { writable, latency })
        };
        let asked: std::result::Result<DatabaseHealth, Failure> =
            detached(&self.shared.tasks, "meta.health", asked).await?;
        asked.map_err(|failure| failure.error)
    }

    /// Connections at this moment.
    pub fn stats(&self) -> ConnectionStats {
        let (open, idle) = self.shared.pools.size();
        ConnectionStats {
            open,
            idle: u32::try_from(idle).unwrap_or(u32::MAX),
        }
    }

    /// Lets the database check each of these statements, in every size, without running them; one
    /// line per failure.
    pub async fn check(&self, statements: &[&'static Statement]) -> Result<Vec<String>> {
        let shared = Arc::clone(&self.shared);
        let statements = statements.to_vec();
        let checked = async move {
            let mut wrong = Vec::new();
            let mut connection = shared.pools.writer().await?;
            for statement in statements {
                for rendered in statement.renderings(shared.pools.dialect()) {
                    let prepared = match rendered {
                        Ok(rendered) => connection.check(rendered).await,
                        Err(error) => Err(error.into()),
                    };
                    if let Err(failure) = prepared {
                        wrong.push(format!("{statement:?}: {}", failure.error));
                    }
                }
            }
            connection.finish().await;
            Ok(wrong)
        };
        let checked: std::result::Result<Vec<String>, Failure> =
            detached(&self.shared.tasks, "meta.check", checked).await?;
        checked.map_err(|failure| failure.error)
    }

    /// Waits for running statements and closes all connections, within ten seconds whatever the
    /// database does.
    pub async fn close(&self) {
        self.shared.pools.close().await;
    }

    /// A session for work of the database layer itself.
    pub(crate) fn own_session(&self) -> Session {
        self.session(Context::new(Lane::Control))
    }

    /// A session that reads on the connection apart, whatever the pool is busy with.
    pub(crate) fn dedicated_session(&self) -> Session {
        self.own_session().apart()
    }
}
