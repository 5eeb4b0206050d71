//! What this process learns of changes that others made: replicas, and the command line.
//!
//! Every write that others must see appends to the change log in its own transaction. A follower
//! reads the log and tells the subscribers here. A change of an unknown kind, or a history that
//! went back, tells them to drop all they hold: that is always safe.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use seawall_meta::log::LogRow;
use seawall_meta::{CHANGES, Change};
use seawall_types::Result;
use seawall_types::work::Spawn;
use tokio::sync::Notify;

use crate::kernel::Kernel;

/// A namespace was made: (id, 0, name).
pub const NAMESPACE_MADE: i64 = 1;
/// A namespace or a grant on it changed: (id, principal or 0).
pub const NAMESPACE: i64 = 2;
/// A repository was made: (namespace, id, path).
pub const REPOSITORY_MADE: i64 = 3;
/// A repository changed or went: (id, 0).
pub const REPOSITORY: i64 = 4;
/// A grant on a repository changed: (repository, principal).
pub const GRANT: i64 = 5;
/// A principal or its credentials changed: (id, 0).
pub const PRINCIPAL: i64 = 6;
/// The signing keys changed.
pub const SIGNING_KEYS: i64 = 7;
/// A tag of a repository was set or deleted: (repository, 0, tag).
pub const TAG: i64 = 8;
/// A manifest of a repository was put or deleted: (repository, 0, digest).
pub const MANIFEST: i64 = 9;
/// A repository serves a blob no more: (repository, 0, digest).
pub const BLOB: i64 = 10;

/// A change to append, see this module's constants for what `a` and `b` are.
pub fn change(kind: i64, a: i64, b: i64) -> Change {
    Change {
        kind,
        a,
        b,
        name: None,
    }
}

/// [`change`] of something that readers know by name only.
pub fn named(kind: i64, a: i64, b: i64, name: &str) -> Change {
    Change {
        kind,
        a,
        b,
        name: Some(name.to_owned()),
    }
}

/// How often the log is asked when nothing says "sooner".
const PERIOD: Duration = Duration::from_millis(200);

/// One change, as subscribers hear it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A change of a known kind.
    Change {
        /// One of this module's constants.
        kind: i64,
        /// The first id.
        a: i64,
        /// The second id.
        b: i64,
        /// The name, where the kind has one.
        name: Option<String>,
    },
    /// Something that this release does not know, or a gap in history: drop everything.
    Everything,
}

type Subscriber = Arc<dyn Fn(&Heard) + Send + Sync>;

/// The subscribers of this process and the bell that makes the follower look sooner.
#[derive(Default)]
pub struct Changes {
    subscribers: RwLock<Vec<Subscriber>>,
    bell: Notify,
}

impl Changes {
    /// Calls `subscriber` for every change heard, in the order of local application. It must be
    /// quick and must not block: it drops what it holds, and loads nothing.
    pub fn subscribe(&self, subscriber: impl Fn(&Heard) + Send + Sync + 'static) {
        let mut subscribers = self
            .subscribers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        subscribers.push(Arc::new(subscriber));
    }

    /// Makes the follower look now.
    pub fn nudge(&self) {
        self.bell.notify_one();
    }

    fn tell(&self, heard: &Heard) {
        let subscribers = self
            .subscribers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for subscriber in &subscribers {
            subscriber(heard);
        }
    }
}

/// Follows the change log until the process stops.
///
/// Starts at the log's stored floor, never at its highest id. A poll that fails is logged once per
/// outage and tried again; what the subscribers hold grows stale meanwhile, and they know its age.
pub async fn follow(kernel: &Arc<Kernel>) -> Result<()> {
    let floor = kernel.meta().log_floor(&CHANGES).await?;
    let mut follower = kernel.meta().changes(floor).await?;
    let kernel = Arc::clone(kernel);
    let tracker = Arc::clone(kernel.tracker());
    tracker.spawn("change-follower", {
        let tracker = Arc::clone(&tracker);
        Box::pin(async move {
            let mut failing = false;
            while !tracker.is_stopping() {
                match follower.poll().await {
                    Ok(poll) => {
                        if std::mem::take(&mut failing) {
                            tracing::info!("the change log is followed again");
                        }
                        if poll.history_changed {
                            kernel.changes().tell(&Heard::Everything);
                        }
                        poll.rows
                            .iter()
                            .for_each(|row| kernel.changes().tell(&hear(row)));
                    }
                    Err(error) if !failing => {
                        failing = true;
                        tracing::warn!(%error, "the change log cannot be followed");
                    }
                    Err(_) => {}
                }
                tokio::select! {
                    () = tokio::time::sleep(PERIOD) => {}
                    () = kernel.changes().bell.notified() => {}
                    () = tracker.stopping() => {}
                }
            }
        })
    });
    Ok(())
}

fn hear(row: &LogRow) -> Heard {
    let known = (NAMESPACE_MADE..=BLOB).contains(&row.kind);
    let read = || -> seawall_meta::Result<Heard> {
        let (a, b) = (row.row.int(0)?, row.row.int(1)?);
        Ok(Heard::Change {
            kind: row.kind,
            a,
            b,
            name: row.row.opt_string(2)?,
        })
    };
    // What cannot be understood may mean anything, so nothing that is held may be trusted.
    if known {
        read().unwrap_or(Heard::Everything)
    } else {
        Heard::Everything
    }
}
