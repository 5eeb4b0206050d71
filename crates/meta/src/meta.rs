//! The database as the rest of the program knows it: opened once, cloned freely.
//!
//! Holds the pools, the database's time and the door to spawned work. It hands
//! out [`Session`]s; nothing else can run a statement.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use seawall_types::{Clock, Context, Lane, Millis, Tasks};

use crate::args::Arg;
use crate::config::{Address, Config};
use crate::dialect::Dialect;
use crate::dialect::errors::Failure;
use crate::error::{Error, Result};
use crate::handshake::Handshakes;
use crate::joint::Line;
use crate::pool::Terms;
use crate::pools::{self, Pools};
use crate::session::Session;
use crate::statement::Statement;
use crate::transaction::PATIENCE;
use crate::{server, session, wal};

/// A clock that is set back by less than this many milliseconds stands still instead.
const STEP: i64 = 1000;
/// An observation of the time that took longer than this is a vague one.
const VAGUE: Duration = Duration::from_millis(500);
/// An observation of the time that is older than this gives way to a vague one.
const OUTDATED: Duration = Duration::from_secs(5);

/// The metadata database.
#[derive(Clone)]
pub struct Meta {
    pub(crate) shared: Arc<Shared>,
}

impl std::fmt::Debug for Meta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meta")
            .field("dialect", &self.dialect())
            .finish_non_exhaustive()
    }
}

pub(crate) struct Shared {
    pub(crate) pools: Pools,
    pub(crate) address: Address,
    pub(crate) config: Config,
    pub(crate) server: server::Facts,
    pub(crate) tasks: Tasks,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) line: Line,
    /// SQLite only.
    pub(crate) looks: wal::Looks,
    shift: AtomicI64,
    observed: Mutex<Observed>,
    /// The latest time that was given out.
    given: AtomicI64,
    /// The database took no writes when it was last heard of.
    standby: AtomicBool,
}

/// The database's time at a moment of our own clock.
#[derive(Clone, Copy)]
struct Observed {
    time: Millis,
    at: Duration,
}

/// Whether the database can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// It accepts writes (it is a primary and not switched to read-only).
    pub writable: bool,
    /// How long the question took.
    pub latency: Duration,
}

/// Connections of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
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
        let opening = Self::open_here(address, config, Arc::clone(&tasks), clock);
        session::detached(&tasks, "meta.open", opening).await?
    }

    async fn open_here(
        address: Address,
        config: Config,
        tasks: Tasks,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let mut lease = pools::connect(&address, &config)
            .await
            .map_err(|failure| match failure.error {
                Error::Configuration(_) => failure.error,
                error => {
                    Error::Unavailable(format!("cannot connect to {}: {error}", address.describe()))
                }
            })?;
        let server = server::inspect(&mut lease, &address)
            .await
            .map_err(|failure| failure.error)?;
        lease.finish().await;
        let terms = Terms {
            most: config.max_connections.max(2),
            patience: config.acquire_timeout(),
            handshakes: Handshakes::new(Arc::clone(&clock), address.dialect != Dialect::Sqlite),
            clock: Arc::clone(&clock),
            tasks: Arc::clone(&tasks),
        };
        let pools = Pools::new(&address, &config, server.flavour, &terms)
            .map_err(|failure| failure.error)?;
        let observed = Mutex::new(Observed {
            time: clock.wall(),
            at: clock.elapsed(),
        });
        let shift = AtomicI64::new(0);
        let meta = Self {
            shared: Arc::new(Shared {
                pools,
                address,
                config,
                server,
                tasks,
                clock,
                line: Line::default(),
                looks: wal::Looks::default(),
                shift,
                observed,
                given: AtomicI64::new(i64::MIN),
                standby: AtomicBool::new(false),
            }),
        };
        meta.shared
            .observe()
            .await
            .map_err(|failure| failure.error)?;
        Ok(meta)
    }

    /// The language of the database.
    pub fn dialect(&self) -> Dialect {
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

    /// The database's time as far as known without asking: the last observation plus the time since.
    ///
    /// Every poll of a log observes it, so it follows the database's clock wherever that is set, and drifts from it by
    /// no more than two clocks part between polls. It does not go back, unless the database's clock does by a second
    /// or more.
    pub fn now(&self) -> Millis {
        self.shared.now()
    }

    /// Asks for the database's time, so that [`now`](Self::now) stays right when clocks drift.
    pub async fn observe_time(&self) -> Result<Millis> {
        let shared = Arc::clone(&self.shared);
        let asked = async move { shared.observe().await };
        session::detached(&self.shared.tasks, "meta.time", asked)
            .await?
            .map_err(|failure| failure.error)
    }

    /// Moves the database's time, as this handle and its statements see it, forward. For tests.
    pub fn shift_time(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.shared.shift.fetch_add(by, Ordering::AcqRel);
    }

    /// Sets the clock of the database, by so many milliseconds, without this handle's knowing of it before it asks. For
    /// tests.
    pub fn set_clock(&self, by: i64) {
        let mut observed = self.shared.observed();
        self.shared.shift.fetch_add(by, Ordering::AcqRel);
        observed.time = Millis(observed.time.0.saturating_sub(by));
    }

    /// Asks the database whether it can be used; when no connection is to be had, says why.
    ///
    /// Asks on the connection apart, so that it costs no place in the pool and there is one question at a time: a caller
    /// who gives up while another asks leaves the line.
    pub async fn health(&self) -> Result<Health> {
        let shared = Arc::clone(&self.shared);
        let begun = shared.clock.elapsed();
        let lease = shared.pools.apart().await;
        let lease = lease.map_err(|failure| failure.error)?;
        let asked = async move {
            let dialect = shared.pools.dialect();
            let mut lease = lease;
            let writable = match server::is_writable(&mut lease, dialect).await {
                // It broke while it was idle.
                Err(failure) if failure.lost => {
                    drop(lease);
                    lease = shared.pools.apart().await?;
                    server::is_writable(&mut lease, dialect).await
                }
                other => other,
            };
            if !matches!(&writable, Err(failure) if failure.lost) {
                lease.finish().await;
            }
            let (writable, now) = (writable?, shared.clock.elapsed());
            let latency = now.saturating_sub(begun);
            Ok(Health { writable, latency })
        };
        let asked: std::result::Result<Health, Failure> =
            session::detached(&self.shared.tasks, "meta.health", asked).await?;
        asked.map_err(|failure| failure.error)
    }

    /// Connections at this moment.
    pub fn stats(&self) -> Stats {
        let (open, idle) = self.shared.pools.size();
        Stats {
            open,
            idle: u32::try_from(idle).unwrap_or(u32::MAX),
        }
    }

    /// Lets the database check each of these statements, in every size, without running them; one line per failure.
    pub async fn check(&self, statements: &[&'static Statement]) -> Result<Vec<String>> {
        let shared = Arc::clone(&self.shared);
        let statements = statements.to_vec();
        let checked = async move {
            let mut wrong = Vec::new();
            let mut lease = shared.pools.writer().await?;
            for statement in statements {
                for rendered in statement.renderings(shared.pools.dialect()) {
                    let prepared = match rendered {
                        Ok(rendered) => lease.prepare(rendered).await,
                        Err(error) => Err(error.into()),
                    };
                    if let Err(failure) = prepared {
                        wrong.push(format!("{statement:?}: {}", failure.error));
                    }
                }
            }
            lease.finish().await;
            Ok(wrong)
        };
        let checked: std::result::Result<Vec<String>, Failure> =
            session::detached(&self.shared.tasks, "meta.check", checked).await?;
        checked.map_err(|failure| failure.error)
    }

    /// Waits for running statements and closes all connections, within ten seconds whatever the database does.
    pub async fn close(&self) {
        self.shared.pools.close().await;
    }

    /// A session for work of the database layer itself.
    pub(crate) fn own_session(&self) -> Session {
        self.session(Context::new(Lane::Control))
    }

    /// A session that reads on the connection apart, whatever the pool is busy with.
    pub(crate) fn session_apart(&self) -> Session {
        self.own_session().apart()
    }
}

impl Shared {
    pub(crate) fn now(&self) -> Millis {
        let observed = *self.observed();
        let since = self.clock.elapsed().saturating_sub(observed.at);
        let shift = self.shift.load(Ordering::Acquire);
        let now = (observed.time + since).0.saturating_add(shift);
        let given = self.given.fetch_max(now, Ordering::AcqRel);
        if given.saturating_sub(now) < STEP {
            return Millis(now.max(given));
        }
        // The clock was set back. What was given out since by others is of no concern.
        self.given.store(now, Ordering::Release);
        Millis(now)
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock()
    }

    /// How long a caller waits for what it reads. Only a file needs this: the answers of servers have a limit each, after
    /// which their connection goes.
    pub(crate) fn reading_limit(&self) -> Option<Duration> {
        let is_file = self.pools.dialect() == Dialect::Sqlite;
        is_file.then(|| self.config.acquire_timeout() + self.config.answer_limit())
    }

    /// How long a caller waits for the end of a transaction, likewise.
    pub(crate) fn writing_limit(&self) -> Option<Duration> {
        self.reading_limit().map(|limit| PATIENCE + limit)
    }

    /// Notes that a server takes no writes: another one may, and then this one tells what is no longer so. At the first
    /// sign, no connection is used again; the one that asks is opened anew each time, until it leads to a primary.
    pub(crate) fn saw_standby(&self) {
        if !self.standby.swap(true, Ordering::AcqRel) {
            self.pools.distrust();
        }
        self.pools.renew_apart();
    }

    /// Notes that the server which is asked first takes writes. What was opened before leads to the other one.
    pub(crate) fn saw_primary(&self) {
        if self.standby.swap(false, Ordering::AcqRel) {
            self.pools.distrust();
        }
    }

    pub(crate) fn shift(&self) -> Arg {
        Arg::from(self.shift.load(Ordering::Acquire))
    }

    /// Notes a time that a statement brought, taken between `begun` and now.
    pub(crate) fn note_time(&self, shifted: Millis, begun: Duration) {
        let time = Millis(shifted.0.saturating_sub(self.shift.load(Ordering::Acquire)));
        let ended = self.clock.elapsed();
        let at = begun + ended.saturating_sub(begun) / 2;
        let mut observed = self.observed();
        // An answer that was long on its way says little about now, and less than what is known from lately.
        let vague = ended.saturating_sub(begun) > VAGUE;
        if !vague || ended.saturating_sub(observed.at) > OUTDATED {
            *observed = Observed { time, at };
        }
    }

    async fn observe(&self) -> std::result::Result<Millis, Failure> {
        // What goes by the time must not wait for what fills the pool.
        let mut lease = self.pools.apart().await?;
        let begun = self.clock.elapsed();
        let rows = lease
            .ask(&format!("SELECT {}", self.pools.dialect().clock()))
            .await?;
        lease.finish().await;
        let time = rows
            .first()
            .map_or_else(|| Err(Error::Decode("no time".into())), |row| row.millis(0))?;
        let shifted = Millis(time.0.saturating_add(self.shift.load(Ordering::Acquire)));
        self.note_time(shifted, begun);
        Ok(shifted)
    }
}
