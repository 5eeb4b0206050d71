//! `Repo<A>`: a repository that its caller may do `A` to. There is no other way to get one.

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use seawall_cache::{LoadedValue, Lookup, Position};
use seawall_meta::{Args, Expectation, Tx, args, list};
use seawall_types::ids::{NamespaceId, PrincipalId, RepositoryId};
use seawall_types::name::RepositoryName;
use seawall_types::permission::{NamespaceKind, NamespaceRole, Role, Visibility};
use seawall_types::{Error, Reason, Result};

use super::access::{AllowedActions, RepositoryAct, judge};
use super::events::{NamespaceCreated, RepositoryCreated};
use super::facts::{FactsKey, RepositoryFacts, RepositoryRow};
use super::judgement::FoundRepository;
use super::store;
use crate::auth::{Act, ActKind, ExistingAct, Push, StaticKind};
use crate::changes;
use crate::events::Event;
use crate::op::Op;

/// A repository opened for the act `A`. Only [`Op::repo`] makes one.
pub struct Repo<A: Act> {
    inner: Arc<Inner>,
    act: PhantomData<A>,
}

struct Inner {
    name: RepositoryName,
    namespace: Option<NamespaceId>,
    row: Option<RepositoryRow>,
    /// What the judgement at the door has found.
    found: FoundRepository,
    made: OnceLock<(NamespaceId, RepositoryId)>,
}

impl<A: Act> Clone for Repo<A> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            act: PhantomData,
        }
    }
}

impl Op {
    /// Opens `name` for `A`, or says why not: the one place that tells hidden from forbidden.
    ///
    /// Errors: `Unauthenticated`, `Hidden`, `Forbidden`, `InsufficientScope`, `ReadOnly`,
    /// `NameUnknown` (design: who may do what). Costs one read, or none if the facts were read
    /// before.
    pub async fn repo<A: Act>(&self, name: &RepositoryName) -> Result<Repo<A>> {
        let facts = self.repository_facts(name).await?;
        judge(
            self.actor(),
            RepositoryAct::of::<A>(),
            name,
            &facts,
            self.kernel().settings(),
        )?;
        if facts.repository.is_none() && A::KIND != ActKind::Push {
            return Err(gone());
        }
        let inner = Inner {
            name: name.clone(),
            namespace: facts.namespace.as_ref().map(|namespace| namespace.id),
            row: facts.repository.clone(),
            found: FoundRepository::new(self.actor(), &facts),
            made: OnceLock::new(),
        };
        Ok(Repo {
            inner: Arc::new(inner),
            act: PhantomData,
        })
    }

    /// What this operation's subject may do to `name`, whatever its ceiling.
    pub async fn allowed(&self, name: &RepositoryName) -> Result<AllowedActions> {
        let facts = self.repository_facts(name).await?;
        Ok(AllowedActions::of(
            self.actor(),
            &facts,
            self.kernel().settings(),
        ))
    }

    /// [`Op::allowed`] of several names. Costs one read for all that was not read before.
    pub async fn allowed_each(&self, names: &[RepositoryName]) -> Result<Vec<AllowedActions>> {
        // What is asked most is one name, whose read all who ask for it share.
        if let [name] = names {
            return Ok(vec![self.allowed(name).await?]);
        }
        let known = names.iter().map(|name| self.cached_facts(name)).collect();
        let facts = self.complete(names, known).await?;
        let settings = self.kernel().settings();
        let of = |facts: &Arc<RepositoryFacts>| AllowedActions::of(self.actor(), facts, settings);
        Ok(facts.iter().map(of).collect())
    }

    async fn repository_facts(&self, name: &RepositoryName) -> Result<Arc<RepositoryFacts>> {
        let key = FactsKey::new(name, self.caller());
        let facts = self.kernel().facts();
        self.recall(facts, key, || self.read_facts(name)).await
    }

    /// The principal's id; 0 for an anonymous caller.
    fn caller(&self) -> i64 {
        self.actor().principal().map_or(0, PrincipalId::get)
    }

    /// What was read of `name` before, if it is fresh.
    fn cached_facts(&self, name: &RepositoryName) -> Option<Arc<RepositoryFacts>> {
        let now = self.kernel().clock().elapsed();
        let key = FactsKey::new(name, self.caller());
        match self.kernel().facts().get(&key, now) {
            Lookup::Fresh(facts) => Some(facts),
            Lookup::Stale(..) | Lookup::Miss => self.cached_absence(name.namespace()),
        }
    }

    /// The facts of any name in a namespace that was found absent before, if that is fresh.
    fn cached_absence(&self, namespace: &str) -> Option<Arc<RepositoryFacts>> {
        let now = self.kernel().clock().elapsed();
        let key = FactsKey::absent(namespace);
        match self.kernel().facts().get(&key, now) {
            Lookup::Fresh(facts) => Some(facts),
            Lookup::Stale(..) | Lookup::Miss => None,
        }
    }

    async fn read_facts(&self, name: &RepositoryName) -> Result<LoadedValue<Arc<RepositoryFacts>>> {
        if let Some(absent) = self.cached_absence(name.namespace()) {
            return Ok(self.worth(name, &absent));
        }
        let since = self.position();
        let facts = self.facts_of(&[name]).await?.pop().unwrap_or_default();
        Ok(self.found(name, &facts, since))
    }

    /// Reads what is not `known` of `names` at once, and keeps it.
    async fn complete(
        &self,
        names: &[RepositoryName],
        known: Vec<Option<Arc<RepositoryFacts>>>,
    ) -> Result<Vec<Arc<RepositoryFacts>>> {
        let open = names.iter().zip(&known);
        let open = open.filter_map(|(name, known)| known.is_none().then_some(name));
        let open: Vec<_> = open.collect();
        let since = self.position();
        let mut read = self.facts_of(&open).await?.into_iter();
        let mut facts = Vec::with_capacity(names.len());
        for (name, known) in names.iter().zip(known) {
            facts.push(known.unwrap_or_else(|| {
                let found = read.next().unwrap_or_default();
                let key = FactsKey::new(name, self.caller());
                let loaded = self.found(name, &found, since);
                self.kernel().facts().put(&key, since, loaded);
                found
            }));
        }
        Ok(facts)
    }

    /// Facts about `name` with what they depend on.
    fn worth(
        &self,
        name: &RepositoryName,
        facts: &Arc<RepositoryFacts>,
    ) -> LoadedValue<Arc<RepositoryFacts>> {
        let on = facts.depend_on(name, self.caller());
        let marks: Vec<_> = on.iter().map(|subject| self.mark(subject)).collect();
        LoadedValue::new(Arc::clone(facts), marks)
    }

    /// The same of what was read from `since` on. That its namespace is absent spares the other
    /// names in it their reads.
    fn found(
        &self,
        name: &RepositoryName,
        facts: &Arc<RepositoryFacts>,
        since: Position,
    ) -> LoadedValue<Arc<RepositoryFacts>> {
        let loaded = self.worth(name, facts);
        if facts.namespace.is_none() {
            let key = FactsKey::absent(name.namespace());
            self.kernel().facts().put(&key, since, loaded.clone());
        }
        loaded
    }

    /// One read, or none for no names.
    async fn facts_of(&self, names: &[&RepositoryName]) -> Result<Vec<Arc<RepositoryFacts>>> {
        let mut facts = vec![Arc::<RepositoryFacts>::default(); names.len()];
        if names.is_empty() {
            return Ok(facts);
        }
        let namespaces = list(names.iter().map(|name| name.namespace()));
        let paths = list(names.iter().map(|name| name.path()));
        let arguments = args![namespaces, paths, self.caller()];
        for row in self.sql().all(&store::FACTS, arguments).await? {
            let place = usize::try_from(row.int(11)?).unwrap_or(usize::MAX);
            // A short list is padded, so the last name is found more than once.
            if let Some(found) = facts.get_mut(place) {
                *found = Arc::new(RepositoryFacts::read(&row)?);
            }
        }
        Ok(facts)
    }
}

impl<A: Act> Repo<A> {
    /// Its name, as the client wrote it and as it is stored.
    pub fn name(&self) -> &RepositoryName {
        &self.inner.name
    }

    /// What the judgement at the door has found.
    pub(super) fn found(&self) -> &FoundRepository {
        &self.inner.found
    }

    /// Its id, if it exists (a push may be about to make it).
    pub fn existing(&self) -> Option<RepositoryId> {
        self.inner
            .row
            .as_ref()
            .map(|row| row.id)
            .or_else(|| self.inner.made.get().map(|(_, repository)| *repository))
    }

    /// Its namespace's id, if that exists.
    pub fn namespace(&self) -> Option<NamespaceId> {
        self.inner
            .namespace
            .or_else(|| self.inner.made.get().map(|(namespace, _)| *namespace))
    }
}

impl<A: ExistingAct> Repo<A> {
    /// Its id. [`Op::repo`] gives out no repository for these acts that does not exist.
    pub fn id(&self) -> RepositoryId {
        self.existing().unwrap_or(RepositoryId::from(0))
    }

    /// Whether every caller may read it.
    pub fn is_public(&self) -> bool {
        self.inner
            .row
            .as_ref()
            .is_some_and(|row| row.visibility == Visibility::Public)
    }
}

impl<K: StaticKind> Repo<Push<K>> {
    /// The ids of what [`enter`](Self::enter) finds or makes inside `tx`.
    pub async fn ensure(&self, tx: &mut Tx, op: &Op) -> Result<(NamespaceId, RepositoryId)> {
        Ok(self.enter(tx, op).await?.ids())
    }

    /// Remembers what [`Repo::ensure`] made, once its transaction is committed.
    pub fn made(&self, ids: (NamespaceId, RepositoryId)) {
        // A second remembering is of the same ids.
        let _ = self.inner.made.set(ids);
    }
}

impl Event {
    /// Names the repository that `repo` opened, and its namespace.
    pub fn within<A: Act>(mut self, repo: &Repo<A>) -> Self {
        if let (Some(namespace), Some(id)) = (repo.namespace(), repo.existing()) {
            self = self
                .namespace(namespace, repo.name().namespace())
                .repository(id, repo.name().path());
        }
        self
    }
}

/// The answer to what was under way when its repository went.
pub(super) fn gone() -> Error {
    Error::new(Reason::NameUnknown, "no such repository")
}

/// Makes an organization with its maker as its admin; says its id and its generation, or nothing if
/// the name is taken.
pub(super) async fn make_namespace(
    tx: &mut Tx,
    op: &Op,
    name: &str,
) -> Result<Option<(NamespaceId, i64)>> {
    let kind = NamespaceKind::Organization.code();
    let arguments = args![name, kind, None::<i64>];
    if tx.execute(&store::NAMESPACE_INSERT, arguments).await? == 0 {
        return Ok(None);
    }
    let row = tx.one(&store::NAMESPACE_BY_NAME, args![name]).await?;
    let id = NamespaceId::from(row.int(0)?);
    if let Some(maker) = op.actor().principal() {
        let role = NamespaceRole::Admin.code();
        let arguments = args![id, maker, role];
        tx.send(&store::NAMESPACE_GRANT_SET, arguments, Expectation::Nothing)
            .await?;
    }
    tx.change(changes::named(changes::NAMESPACE_MADE, id.get(), 0, name))
        .await?;
    let event = Event::new(&NamespaceCreated)?.namespace(id, name);
    op.emit(tx, event).await?;
    Ok(Some((id, store::FIRST)))
}

/// Makes a repository; nothing if it is there, or if what the right to make it rests on has
/// changed.
pub(super) async fn make_repository(
    tx: &mut Tx,
    op: &Op,
    (namespace, name): (NamespaceId, &RepositoryName),
    arguments: Args,
) -> Result<Option<RepositoryId>> {
    let Some(id) = tx.try_insert(&store::REPOSITORY_INSERT, arguments).await? else {
        return Ok(None);
    };
    let id = RepositoryId::from(id);
    let (kind, within) = (changes::REPOSITORY_MADE, namespace.get());
    tx.change(changes::named(kind, within, id.get(), name.path()))
        .await?;
    let event = Event::new(&RepositoryCreated)?
        .namespace(namespace, name.namespace())
        .repository(id, name.path());
    op.emit(tx, event).await?;
    Ok(Some(id))
}

/// Makes who has just made a repository its owner: a creator has no say over the namespace.
pub(super) async fn own(tx: &mut Tx, repository: RepositoryId, maker: PrincipalId) -> Result<()> {
    let arguments = args![repository, maker, Role::Admin.code()];
    tx.send(
        &store::REPOSITORY_GRANT_SET,
        arguments,
        Expectation::Nothing,
    )
    .await?;
    let change = changes::change(changes::GRANT, repository.get(), maker.get());
    Ok(tx.change(change).await?)
}
