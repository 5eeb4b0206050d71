//! `Repo<A>`: a repository that its caller may do `A` to. There is no other way to get one.

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use seawall_cache::Loaded;
use seawall_meta::{Expect, Tx, args};
use seawall_types::ids::{NamespaceId, PrincipalId, RepositoryId};
use seawall_types::name::RepositoryName;
use seawall_types::permission::{NamespaceKind, NamespaceRole, RepositoryState, Role, Visibility};
use seawall_types::{Error, Reason, Result};

use super::access::{Allowed, accepts, judge};
use super::facts::{FactsKey, RepositoryFacts, RepositoryRow, stored};
use super::store;
use crate::auth::{Act, ActKind, Existing, Push};
use crate::changes;
use crate::events::{Event, EventKind};
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
    /// The caller may make repositories in the namespace, and owns none of what is in it by that.
    creator: bool,
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
    /// `NameUnknown` (design: who may do what). Costs one read, or none if the facts were read before.
    pub async fn repo<A: Act>(&self, name: &RepositoryName) -> Result<Repo<A>> {
        let facts = self.repository_facts(name).await?;
        judge(
            self.actor(),
            A::KIND,
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
            creator: facts.namespace_role == Some(NamespaceRole::Creator),
            made: OnceLock::new(),
        };
        Ok(Repo {
            inner: Arc::new(inner),
            act: PhantomData,
        })
    }

    /// What this operation's subject may do to `name`, whatever its ceiling. For the token service.
    pub async fn allowed(&self, name: &RepositoryName) -> Result<Allowed> {
        let facts = self.repository_facts(name).await?;
        Ok(Allowed::of(self.actor(), &facts, self.kernel().settings()))
    }

    async fn repository_facts(&self, name: &RepositoryName) -> Result<Arc<RepositoryFacts>> {
        let caller = self.actor().principal().map_or(0, PrincipalId::get);
        let key = FactsKey::new(name, caller);
        let facts = self.kernel().facts();
        self.recall(facts, key, || self.read_facts(name, caller))
            .await
    }

    async fn read_facts(
        &self,
        name: &RepositoryName,
        caller: i64,
    ) -> Result<Loaded<Arc<RepositoryFacts>>> {
        let row = self
            .sql()
            .optional(&store::FACTS, args![name.namespace(), name.path(), caller])
            .await?;
        let facts = row
            .as_ref()
            .map_or_else(|| Ok(RepositoryFacts::default()), RepositoryFacts::read)?;
        let on = facts.depend_on(name, caller);
        let marks: Vec<_> = on.iter().map(|subject| self.mark(subject)).collect();
        Ok(Loaded::new(Arc::new(facts), marks))
    }
}

impl<A: Act> Repo<A> {
    /// Its name, as the client wrote it and as it is stored.
    pub fn name(&self) -> &RepositoryName {
        &self.inner.name
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

impl<A: Existing> Repo<A> {
    /// Its id. [`Op::repo`] gives out no repository for these acts that does not exist.
    pub fn id(&self) -> RepositoryId {
        self.existing().unwrap_or(RepositoryId::from(0))
    }

    /// Whether anybody may read it.
    pub fn is_public(&self) -> bool {
        self.inner
            .row
            .as_ref()
            .is_some_and(|row| row.visibility == Visibility::Public)
    }
}

impl Repo<Push> {
    /// The repository's ids inside `tx`; makes the repository, and its namespace where the caller
    /// may, if they do not exist. What was decided at [`Op::repo`] holds for this, but for one thing:
    /// what was deleted or closed since takes no more, and stays as it is until `tx` ends. One read
    /// if the repository exists.
    ///
    /// A namespace made so is an organization, and its maker is its admin.
    /// Errors: `NameUnknown`, `ReadOnly`.
    pub async fn ensure(&self, tx: &mut Tx, op: &Op) -> Result<(NamespaceId, RepositoryId)> {
        if let (Some(namespace), Some(row)) = (self.inner.namespace, &self.inner.row) {
            let found = tx
                .optional(&store::REPOSITORY_STANDS, args![row.id])
                .await?;
            let found = found.ok_or_else(gone)?;
            let state = stored(RepositoryState::from_code(found.int(0)?))?;
            if state == RepositoryState::Deleting || found.int(1)? != store::ACTIVE {
                return Err(gone());
            }
            accepts(state)?;
            return Ok((namespace, row.id));
        }
        let name = &self.inner.name;
        let namespace = match self.inner.namespace {
            Some(namespace) => namespace,
            None => make_namespace(tx, op, name.namespace()).await?,
        };
        let (repository, made) = make_repository(tx, op, namespace, name).await?;
        if let (true, true, Some(maker)) = (made, self.inner.creator, op.actor().principal()) {
            // A creator has no say over the namespace, but owns what they made.
            let arguments = args![repository, maker, Role::Admin.code()];
            tx.send(&store::REPOSITORY_GRANT_SET, arguments, Expect::Nothing)
                .await?;
            tx.change(changes::change(
                changes::GRANT,
                repository.get(),
                maker.get(),
            ))
            .await?;
        }
        Ok((namespace, repository))
    }

    /// Remembers what [`Repo::ensure`] made, once its transaction is committed.
    pub fn made(&self, ids: (NamespaceId, RepositoryId)) {
        // A second remembering is of the same ids.
        let _ = self.inner.made.set(ids);
    }
}

/// The answer to a push whose repository went while it was under way.
fn gone() -> Error {
    Error::new(Reason::NameUnknown, "no such repository")
}

async fn make_namespace(tx: &mut Tx, op: &Op, name: &str) -> Result<NamespaceId> {
    let kind = NamespaceKind::Organization.code();
    tx.execute(&store::NAMESPACE_INSERT, args![name, kind, None::<i64>])
        .await?;
    let row = tx.one(&store::NAMESPACE_BY_NAME, args![name]).await?;
    let id = NamespaceId::from(row.int(0)?);
    if let Some(maker) = op.actor().principal() {
        let role = NamespaceRole::Admin.code();
        let arguments = args![id, maker, role];
        tx.send(&store::NAMESPACE_GRANT_SET, arguments, Expect::Nothing)
            .await?;
    }
    tx.change(changes::named(changes::NAMESPACE_MADE, id.get(), 0, name))
        .await?;
    op.emit(
        tx,
        Event::new(EventKind::NamespaceCreated).namespace(id, name),
    )
    .await?;
    Ok(id)
}

async fn make_repository(
    tx: &mut Tx,
    op: &Op,
    namespace: NamespaceId,
    name: &RepositoryName,
) -> Result<(RepositoryId, bool)> {
    let arguments = args![namespace, name.path(), Visibility::Private.code()];
    let Some(id) = tx.try_insert(&store::REPOSITORY_INSERT, arguments).await? else {
        let id = find_repository(tx, namespace, name).await?;
        // Whoever made it may not have been answered yet, and what is cached still says that there is none.
        let (kind, within) = (changes::REPOSITORY_MADE, namespace.get());
        tx.saw(changes::named(kind, within, id.get(), name.path()));
        return Ok((id, false));
    };
    let id = RepositoryId::from(id);
    let (kind, within) = (changes::REPOSITORY_MADE, namespace.get());
    tx.change(changes::named(kind, within, id.get(), name.path()))
        .await?;
    let event = Event::new(EventKind::RepositoryCreated)
        .namespace(namespace, name.namespace())
        .repository(id, name.path());
    op.emit(tx, event).await?;
    Ok((id, true))
}

/// A repository that could not be made: somebody else made it, unless its namespace goes.
async fn find_repository(
    tx: &mut Tx,
    namespace: NamespaceId,
    name: &RepositoryName,
) -> Result<RepositoryId> {
    let found = tx
        .optional(&store::NAMESPACE_STANDS, args![namespace])
        .await?;
    if found.ok_or_else(gone)?.int(0)? != store::ACTIVE {
        return Err(gone());
    }
    let arguments = args![namespace, name.path()];
    let row = tx.one(&store::REPOSITORY_BY_NAME, arguments).await?;
    Ok(RepositoryId::from(row.int(0)?))
}
