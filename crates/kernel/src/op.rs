//! `Op`: one operation under way, from the moment a request or a job is taken up.
//!
//! It carries who acts, from where, in which lane, by when, and what it has cost. SQL and transfers
//! run only through the handles it gives out, and [`Op::repo`](crate::catalog) is the only way to a
//! repository. No request is answered before its `Op` exists.

use std::any::Any;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use seawall_blob::Transfers;
use seawall_cache::{LoadedValue, Lookup, Mark, MemorySize, Position};
use seawall_meta::{CommitOutcome, Session, Tx};
use seawall_types::Result;
use seawall_types::lane::Lane;
use seawall_types::time::Millis;
use seawall_types::work::{Context, Cost};

use crate::auth::{Actor, ActorIdentity, IdentitySource};
use crate::cache::ReadCache;
use crate::changes::Subject;
use crate::kernel::Kernel;
use crate::lanes;

/// Where an operation comes from, as it goes into logs and events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The client's address, behind configured proxies; `None` for the command line and jobs.
    pub address: Option<IpAddr>,
    /// Whether the client reached us over TLS (as configured proxies tell it).
    pub secure: bool,
    /// The validated `Host` that the client used.
    pub host: Option<String>,
    /// The request's id; at most 128 safe characters.
    pub request_id: String,
    /// The client's `User-Agent`, cut to 256 characters.
    pub agent: String,
}

impl Origin {
    /// The origin of work that no request caused, `name`d after the command or the job.
    pub fn internal(name: &str) -> Self {
        Self {
            address: None,
            secure: true,
            host: None,
            request_id: String::new(),
            agent: format!("seawall {name}"),
        }
    }
}

/// One operation under way. Cheap to clone; clones share cost and position.
#[derive(Clone)]
pub struct Op {
    kernel: Arc<Kernel>,
    context: Context,
    actor: Arc<Actor>,
    /// What says whether the actor's credential still holds.
    identities: Option<Arc<dyn IdentitySource>>,
    origin: Arc<Origin>,
    /// Whether SQL is refused.
    from_caches: bool,
}

impl Kernel {
    /// Takes up an operation. `limit` bounds how long it may take from now.
    pub fn op(
        self: &Arc<Self>,
        lane: Lane,
        actor: Actor,
        origin: Origin,
        limit: Option<Duration>,
    ) -> Op {
        Op::begin(Arc::clone(self), lane, actor, origin, limit)
    }

    /// An operation of the operator's own: the command line, or a job called `name`.
    pub fn internal_op(self: &Arc<Self>, lane: Lane, name: &str) -> Op {
        self.op(lane, Actor::operator(), Origin::internal(name), None)
    }
}

impl Op {
    fn begin(
        kernel: Arc<Kernel>,
        lane: Lane,
        actor: Actor,
        origin: Origin,
        limit: Option<Duration>,
    ) -> Self {
        let deadline = limit.map(|limit| kernel.clock().elapsed() + limit);
        let context = Context {
            lane,
            deadline,
            cost: Arc::new(Cost::default()),
            seen: Arc::default(),
            guard: None,
        };
        Self {
            kernel,
            context,
            actor: Arc::new(actor),
            identities: None,
            origin: Arc::new(origin),
            from_caches: false,
        }
    }

    /// The same operation, whose actor `identities` has proved and can renew.
    pub fn proved_by(&self, identities: Arc<dyn IdentitySource>) -> Self {
        Self {
            identities: Some(identities),
            ..self.clone()
        }
    }

    /// The same operation, now that its actor is known.
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self {
            actor: Arc::new(actor),
            ..self.clone()
        }
    }

    /// The same operation in another lane, once its content has told which one it belongs to.
    pub fn in_lane(&self, lane: Lane) -> Self {
        Self {
            context: Context {
                lane,
                ..self.context.clone()
            },
            ..self.clone()
        }
    }

    /// The same operation, whose every part keeps `guard` alive: its clones, and the SQL and the
    /// transfers that run on after their caller has gone.
    pub(crate) fn guarded_by(mut self, guard: Arc<dyn Any + Send + Sync>) -> Self {
        self.context.guard = Some(guard);
        self
    }

    /// The same operation without its guard, for what the guard itself holds.
    pub(crate) fn unguarded(&self) -> Self {
        let mut op = self.clone();
        op.context.guard = None;
        op
    }

    /// The same operation, which is answered from caches only: its SQL is refused as unavailable.
    pub(crate) fn without_sql(&self) -> Self {
        Self {
            from_caches: true,
            ..self.clone()
        }
    }

    /// Who acts.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Who acts, as they are at this moment by what `tx` reads. One read if it is a principal.
    ///
    /// Errors: `Unauthenticated`, `InvalidToken` if the principal or the credential has ended.
    pub(crate) async fn actor_now(&self, tx: &mut Tx) -> Result<Actor> {
        let Some(identity) = self.actor.identity() else {
            return Ok((*self.actor).clone());
        };
        // An identity that no source has proved cannot be renewed: it counts as it was.
        let Some(identities) = &self.identities else {
            return Ok((*self.actor).clone());
        };
        let identity = identities.renew(tx, identity, self.now()).await?;
        Ok(Actor {
            who: ActorIdentity::Principal(Arc::new(identity)),
            ceiling: self.actor.ceiling.clone(),
        })
    }

    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The lane it runs in.
    pub fn lane(&self) -> Lane {
        self.context.lane
    }

    /// What it has cost so far.
    pub fn cost(&self) -> &Cost {
        &self.context.cost
    }

    /// What it has cost so far, for what charges it from elsewhere.
    pub(crate) fn shared_cost(&self) -> Arc<Cost> {
        Arc::clone(&self.context.cost)
    }

    /// The kernel that it runs in.
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// The database's time, without asking it: its last word plus what has passed since.
    pub fn now(&self) -> Millis {
        self.kernel.now()
    }

    /// The handle for SQL: it charges this operation and keeps to its deadline. Where the operation
    /// has none, as a request whose body may take a day and a job, the handle has one of its own:
    /// that of the lane, from now on.
    pub fn sql(&self) -> Session {
        let session = self.kernel.meta().session(self.bounded_context());
        if self.from_caches {
            return session.refusing();
        }
        session
    }

    /// The context of one use of the database that begins now.
    fn bounded_context(&self) -> Context {
        let context = self.context.clone();
        if context.deadline.is_some() {
            return context;
        }
        context.within(lanes::deadline(self.lane()), &**self.kernel.clock())
    }

    /// The handle for bytes: it charges this operation.
    pub fn transfers(&self) -> Transfers {
        self.kernel.blobs().session(self.context.clone())
    }

    /// Runs `body` in one transaction, to its end, even if the caller hangs up.
    ///
    /// The body owns its `input` and may run again after a deadlock, so it must do nothing but SQL.
    /// The position of what was committed is remembered, and the answer waits for it in one place.
    pub async fn transaction<I, T, F>(&self, input: I, body: F) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Tx, &'t Op, &'t I) -> BoxFuture<'t, Result<T>>
            + Send
            + Sync
            + 'static,
    {
        let owned = Arc::new((self.clone(), input, body));
        let kernel = Arc::clone(&self.kernel);
        // Where it was committed, not where it is waited for: the caller may have gone.
        let apply = move |committed: &CommitOutcome<T>| kernel.changes().apply(committed);
        let committed = self
            .sql()
            .transaction_then(
                move |tx| {
                    let owned = Arc::clone(&owned);
                    Box::pin(async move { (owned.2)(tx, &owned.0, &owned.1).await })
                },
                apply,
            )
            .await?;
        if let Some(change) = committed.change {
            self.context.seen.fetch_max(change.get(), Ordering::Relaxed);
        }
        Ok(committed.value)
    }

    /// A value from `cache`, or from `load`, which runs once for all who ask for `key` meanwhile.
    ///
    /// The one place that decides what a cached value is worth. What is fresh is given out. What is
    /// not waits for a look at the change log that all share, and then for the database.
    pub async fn recall<K, V, F, R>(&self, cache: &ReadCache<K, V>, key: K, load: F) -> Result<V>
    where
        K: Eq + Hash + Clone + MemorySize + Send + Sync,
        V: Clone + MemorySize + Send + Sync,
        F: Fn() -> R + Send + Sync,
        R: Future<Output = Result<LoadedValue<V>>> + Send,
    {
        let clock = self.kernel.clock();
        let got = cache.get(&key, clock.elapsed());
        if let Lookup::Fresh(value) = got {
            return Ok(value);
        }
        // Boxed: the miss path's future is large, and every hit would carry it, since
        // a future is made for each request.
        let looking = async move {
            if matches!(got, Lookup::Stale(..))
                && self.kernel.changes().catch_up(&**clock).await
                && let Lookup::Fresh(value) = cache.get(&key, clock.elapsed())
            {
                return Ok(value);
            }
            // Those that wait for this load may have time left when its caller has none, by the
            // deadline of its operation or by that of this use of the database.
            let begun = OnceLock::new();
            let load = || {
                begun.get_or_init(|| self.bounded_context());
                load()
            };
            let is_own = |_: &_| {
                let left = begun.get().and_then(|load| load.remaining(&**clock));
                left == Some(Duration::ZERO)
            };
            cache
                .load_unless(key, || clock.elapsed(), is_own, load)
                .await
        };
        looking.boxed().await
    }

    /// The position at which a load begins whose value is kept by [`ReadCache::put`].
    pub fn position(&self) -> Position {
        self.kernel.changes().coherence().begin()
    }

    /// The mark of what a cached value depends on.
    pub fn mark(&self, subject: &Subject<'_>) -> Mark {
        self.kernel.changes().coherence().mark(subject)
    }

    /// The highest change that this operation has committed; 0 for none.
    pub fn seen(&self) -> i64 {
        self.context.seen.load(Ordering::Relaxed)
    }
}
