//! What this process learns of changes: its own at once, those of others by following the log.
//!
//! Every write that others must see appends to the change log in its own transaction. What this
//! process commits is applied here before anybody is told of it; a follower reads the log for what
//! replicas and the command line do. Applying a change strikes the mark of its [`Subject`], which
//! ends every cached value that depends on it, and tells the subscribers. A change of an unknown
//! kind, or a history that went back, ends everything: that is always safe.

mod follow;
mod subject;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use seawall_cache::Coherence;
use seawall_meta::{Change, Committed};
use seawall_types::time::Clock;
use tokio::sync::{Notify, watch};

pub use follow::follow;
pub use seawall_cache::FRESH;
pub use subject::Subject;

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
/// A principal or its credentials changed: (id, 0), or only one of these: (id, its id).
pub const PRINCIPAL: i64 = 6;
/// The signing keys changed.
pub const SIGNING_KEYS: i64 = 7;
/// A tag of a repository was set or deleted: (repository, 0, tag).
pub const TAG: i64 = 8;
/// A manifest of a repository was put or deleted: (repository, 0, digest).
pub const MANIFEST: i64 = 9;
/// A repository serves a blob no more: (repository, 0, digest); or its bytes are elsewhere for all: (0, 0, digest).
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

/// How long a reader waits for the log when what it holds is not fresh.
const PATIENCE: Duration = Duration::from_millis(300);

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

/// The subscribers of this process, the marks of its caches, and how far the log was followed.
#[derive(Default)]
pub struct Changes {
    subscribers: RwLock<Vec<Subscriber>>,
    coherence: Arc<Coherence>,
    bell: Notify,
    /// How many complete looks there were; 0 while nobody follows.
    looks: watch::Sender<u64>,
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

    /// What the caches of this process are coherent by.
    pub fn coherence(&self) -> &Arc<Coherence> {
        &self.coherence
    }

    /// Applies what this process has just committed.
    pub(crate) fn apply<T>(&self, committed: &Committed<T>) {
        for change in &committed.changes {
            self.tell(&Heard::Change {
                kind: change.kind,
                a: change.a,
                b: change.b,
                name: change.name.clone(),
            });
        }
    }

    /// Waits, if what is held is not fresh, for a look at the log that all who wait share; says
    /// whether it is fresh now. Nobody waits longer than 300 ms, or where nobody follows the log.
    pub(crate) async fn catch_up(&self, clock: &dyn Clock) -> bool {
        let mut looks = self.looks.subscribe();
        if self.coherence.is_fresh(clock.elapsed()) {
            return true;
        }
        if *looks.borrow_and_update() == 0 {
            return false;
        }
        self.bell.notify_one();
        let _ = tokio::time::timeout(PATIENCE, looks.changed()).await;
        self.coherence.is_fresh(clock.elapsed())
    }

    fn tell(&self, heard: &Heard) {
        match Subject::of(heard) {
            Some(subject) => self.coherence.strike(self.coherence.mark(&subject)),
            None => self.coherence.strike_all(),
        }
        let subscribers = self
            .subscribers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for subscriber in &subscribers {
            subscriber(heard);
        }
    }

    /// Notes a look that saw all that was committed when it began.
    fn looked(&self, began: Duration) {
        self.coherence.looked(began);
        self.looks.send_modify(|looks| *looks += 1);
    }
}
