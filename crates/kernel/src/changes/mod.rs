//! Changes in this process: its own are applied at once, those of others by following the log.
//!
//! Every write that others must see appends to the change log in its own transaction. What this
//! process commits is applied here before its caller is answered; a follower reads the log for what
//! replicas and the command line do. Publishing a change invalidates the mark of its [`Subject`],
//! which ends every cached value that depends on it, and notifies the subscribers. A change of a
//! kind that no crate of this process declares, or a history that went back, ends everything: that
//! is always safe.

mod follow;
pub mod kind;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use seawall_cache::Coherence;
use seawall_meta::{Change, CommitOutcome};
use seawall_types::time::Clock;
use tokio::sync::{Notify, watch};

pub use follow::follow;
pub use kind::{ById, ByIdAndName, ByIds, ByName, ChangeKind, ChangeKinds, Single, Subject};
use kind::{NamedShape, UnnamedShape};
pub use seawall_cache::FRESH;

/// A namespace was made: (id, 0, name). Its subject is that no namespace has this name.
pub const NAMESPACE_MADE: ChangeKind<ByName> = ChangeKind::new(1, "namespace made");
/// A namespace or a grant on it changed: (id, principal or 0). Its subject is the namespace with
/// the grants on it, and whether it is there.
pub const NAMESPACE: ChangeKind<ById> = ChangeKind::new(2, "namespace");
/// A repository was made: (namespace, id, path). Its subject is that the namespace has no
/// repository of this name.
pub const REPOSITORY_MADE: ChangeKind<ByIdAndName> = ChangeKind::new(3, "repository made");
/// A repository changed or went: (id, 0). Its subject is the repository, and whether it is there.
pub const REPOSITORY: ChangeKind<ById> = ChangeKind::new(4, "repository");
/// A grant on a repository changed: (repository, principal).
pub const GRANT: ChangeKind<ByIds> = ChangeKind::new(5, "grant");
/// A principal or its credentials changed: (id, 0), or only one of these: (id, its id).
pub const PRINCIPAL: ChangeKind<ById> = ChangeKind::new(6, "principal");

/// A change to append, of a kind without names; the kind says what `a` and `b` are.
pub const fn change<S: UnnamedShape>(kind: ChangeKind<S>, a: i64, b: i64) -> Change {
    kind.change(a, b)
}

/// A change to append, of something that readers know by name.
pub fn named<S: NamedShape>(kind: ChangeKind<S>, a: i64, b: i64, name: &str) -> Change {
    kind.change_of(a, b, name)
}

/// Marks a job that is due at once. It is never written: other processes read the queue by
/// themselves.
const JOB_QUEUED: i64 = -1;

/// What a transaction that queues a job leaves for [`Changes::apply`].
pub(crate) const fn queued_job() -> Change {
    Change {
        kind: JOB_QUEUED,
        a: 0,
        b: 0,
        name: None,
    }
}

/// How long a reader waits for the log when what it holds is not fresh.
const PATIENCE: Duration = Duration::from_millis(300);

/// One change, as subscribers receive it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeNotice<'a> {
    /// A change of a kind that a crate of this process declares.
    Change {
        /// The number of its kind.
        kind: i64,
        /// The first id.
        a: i64,
        /// The second id.
        b: i64,
        /// The name, where the kind has one.
        name: Option<&'a str>,
    },
    /// Something that this process does not know, or a gap in history: drop everything.
    Everything,
}

type Subscriber = Arc<dyn Fn(ChangeNotice<'_>) + Send + Sync>;

/// The subscribers of this process, the marks of its caches, and how far the log was followed.
#[derive(Default)]
pub struct Changes {
    kinds: ChangeKinds,
    subscribers: RwLock<Vec<Subscriber>>,
    coherence: Arc<Coherence>,
    bell: Notify,
    /// Notified when a job was queued here or a worker has become free.
    jobs: Notify,
    /// How many complete polls there were; 0 while nothing follows the log.
    polls: watch::Sender<u64>,
}

impl Changes {
    /// The changes of a process that knows `kinds`.
    pub fn new(kinds: ChangeKinds) -> Self {
        Self {
            kinds,
            ..Self::default()
        }
    }

    /// Calls `subscriber` for every change, in the order of local application. It must be quick and
    /// must not block: it drops what it holds, and loads nothing.
    pub fn subscribe(&self, subscriber: impl Fn(ChangeNotice<'_>) + Send + Sync + 'static) {
        let mut subscribers = self.subscribers.write();
        subscribers.push(Arc::new(subscriber));
    }

    /// What wakes the reader of the job queue in this process.
    pub(crate) fn job_bell(&self) -> &Notify {
        &self.jobs
    }

    /// What the caches of this process are coherent by.
    pub fn coherence(&self) -> &Arc<Coherence> {
        &self.coherence
    }

    /// Applies what this process has just committed.
    pub(crate) fn apply<T>(&self, committed: &CommitOutcome<T>) {
        for change in &committed.changes {
            if change.kind == JOB_QUEUED {
                self.jobs.notify_one();
                continue;
            }
            self.publish(ChangeNotice::Change {
                kind: change.kind,
                a: change.a,
                b: change.b,
                name: change.name.as_deref(),
            });
        }
    }

    /// Waits, if what is held is not fresh, for a poll of the log that all waiting readers share;
    /// says whether it is fresh now. No reader waits longer than 300 ms, or where nothing follows
    /// the log.
    pub(crate) async fn catch_up(&self, clock: &dyn Clock) -> bool {
        let mut polls = self.polls.subscribe();
        if self.coherence.is_fresh(clock.elapsed()) {
            return true;
        }
        if *polls.borrow_and_update() == 0 {
            return false;
        }
        self.bell.notify_one();
        let _ = tokio::time::timeout(PATIENCE, polls.changed()).await;
        self.coherence.is_fresh(clock.elapsed())
    }

    /// Invalidates what depends on the subject of a change, and then notifies the subscribers. What
    /// no crate of this process declares may mean anything, so nothing that is held is trusted
    /// then.
    fn publish(&self, notice: ChangeNotice<'_>) {
        let subject = match notice {
            ChangeNotice::Change { kind, a, b, name } => self.kinds.subject(kind, a, b, name),
            ChangeNotice::Everything => None,
        };
        let notice = if let Some(subject) = subject {
            self.coherence.invalidate(self.coherence.mark(&subject));
            notice
        } else {
            self.coherence.invalidate_all();
            ChangeNotice::Everything
        };
        let subscribers = self.subscribers.read().clone();
        for subscriber in &subscribers {
            subscriber(notice);
        }
    }

    /// Notes a complete poll that saw all that was committed when it began.
    fn polled(&self, began: Duration) {
        self.coherence.polled(began);
        self.polls.send_modify(|polls| *polls += 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const CHANNEL: ChangeKind<ByIdAndName> = ChangeKind::new(40, "channel");

    /// The changes of a process that knows channels, and what its subscriber was told of kinds.
    fn following() -> (Changes, Arc<Mutex<Vec<Option<i64>>>>) {
        let changes = Changes::new(ChangeKinds::new(vec![CHANNEL.declared()]));
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        changes.subscribe(move |notice| {
            telling.lock().unwrap().push(match notice {
                ChangeNotice::Change { kind, .. } => Some(kind),
                ChangeNotice::Everything => None,
            });
        });
        (changes, told)
    }

    fn publish(changes: &Changes, change: &Change) {
        changes.publish(ChangeNotice::Change {
            kind: change.kind,
            a: change.a,
            b: change.b,
            name: change.name.as_deref(),
        });
    }

    #[test]
    fn a_declared_kind_ends_what_depends_on_its_subject_and_nothing_else() {
        let (changes, told) = following();
        let coherence = changes.coherence();
        let (this, other) = (CHANNEL.subject(1, "stable"), CHANNEL.subject(2, "stable"));
        let since = coherence.begin();
        publish(&changes, &CHANNEL.change_of(1, 9, "stable"));
        assert!(!coherence.holds(since, &[coherence.mark(&this)]));
        assert!(coherence.holds(since, &[coherence.mark(&other)]));
        assert_eq!(*told.lock().unwrap(), [Some(CHANNEL.number())]);
    }

    #[test]
    fn a_kind_that_no_crate_declares_ends_everything() {
        let (changes, told) = following();
        let coherence = changes.coherence();
        let since = coherence.begin();
        publish(&changes, &NAMESPACE.change(1, 2));
        assert!(!coherence.holds(since, &[]));
        assert_eq!(*told.lock().unwrap(), [None]);
    }
}
