//! The second judgement: how a transaction finds out whether the one at the door still stands.
//!
//! A right is judged at the door, before the body, and the body may take hours. Every change of a
//! grant, a state, a principal or its credentials therefore counts up the generation of the
//! repository, the namespace or the principal that it is about. A [`Judgement`] carries the
//! generations that it was found with, and the statements of a push compare them as they write:
//! equal means that nothing has changed. Else [`Repo::enter`] judges anew, from what the
//! transaction itself reads, so that a change that took nothing away stops no work.
//!
//! The repository's row is locked, shared: what changes it waits, and a push that waited for the
//! change sees the new generation. The rows of the namespace and the principal are compared, not
//! locked. All pushes into a namespace and all of one robot would meet there, and on PostgreSQL a
//! row that many hold at once keeps waiting who wants to change it, and costs a list of its holders
//! for each that comes. So a change of those two does not wait for a transaction which has compared
//! them a moment ago; one that compares later sees it.

use seawall_meta::{Tx, args, list};
use seawall_types::Result;
use seawall_types::ids::PrincipalId;
use seawall_types::permission::Visibility;

use super::access::{RepositoryAct, judge};
use super::facts::RepositoryFacts;
use super::judgement::{FoundRepository, Judgement};
use super::repo::{Repo, gone, make_namespace, make_repository, own};
use super::store;
use super::transaction_actor::{ROUNDS, moving};
use crate::auth::{Act, ActKind, Administer};
use crate::changes;
use crate::op::Op;

impl<A: Act> Repo<A> {
    /// The judgement of the door, if the repository was there. Statements that compare it need no
    /// other look.
    pub fn judgement(&self) -> Option<Judgement> {
        self.found().judgement()
    }

    /// The judgement of the door, or else that of [`enter`](Self::enter).
    pub async fn opened(&self, tx: &mut Tx, op: &Op) -> Result<Judgement> {
        match self.judgement() {
            Some(judgement) => Ok(judgement),
            None => self.enter(tx, op).await,
        }
    }

    /// What to go on with after a statement that compared `before` has touched nothing: the
    /// judgement as it is now, or `None` if it is the same, so that the statement had another
    /// reason.
    pub async fn reopened(
        &self,
        tx: &mut Tx,
        op: &Op,
        before: &Judgement,
    ) -> Result<Option<Judgement>> {
        let now = self.enter_from(tx, op, self.found().at(before)).await?;
        Ok((now != *before).then_some(now))
    }

    /// The judgement inside `tx`; what it says of the repository stays so until `tx` ends. A push
    /// makes the repository, and its namespace where the caller may, if they do not exist. One read
    /// if nothing has changed since the door.
    ///
    /// A namespace made so is an organization, and its maker is its admin.
    /// Errors: those of [`Op::repo`], and `NameUnknown` if the repository was deleted meanwhile.
    pub async fn enter(&self, tx: &mut Tx, op: &Op) -> Result<Judgement> {
        self.enter_from(tx, op, *self.found()).await
    }

    async fn enter_from(
        &self,
        tx: &mut Tx,
        op: &Op,
        mut found: FoundRepository,
    ) -> Result<Judgement> {
        for _ in 0..ROUNDS {
            let entered = match found.judgement() {
                Some(judgement) => {
                    let arguments = judgement.args(args![]);
                    let stands = tx.optional(&store::REPOSITORY_STANDS, arguments).await?;
                    stands.map(|_| judgement)
                }
                None => self.make(tx, op, &found).await?,
            };
            if let Some(judgement) = entered {
                return Ok(judgement);
            }
            found = self.judge_again(tx, op).await?;
        }
        Err(moving())
    }

    /// Makes what is not there; `None` if another transaction did so, or if the right has changed.
    async fn make(
        &self,
        tx: &mut Tx,
        op: &Op,
        found: &FoundRepository,
    ) -> Result<Option<Judgement>> {
        let Some(kind) = A::ON.filter(|_| A::KIND == ActKind::Push) else {
            return Err(gone());
        };
        let name = self.name();
        let namespace = match found.namespace {
            Some(namespace) => namespace,
            None => match make_namespace(tx, op, name.namespace()).await? {
                Some(namespace) => namespace,
                None => return Ok(None),
            },
        };
        let (principal, generation) = found.principal;
        let arguments = args![
            namespace.0,
            name.path(),
            Visibility::Private.code(),
            namespace.1,
            principal,
            generation,
            kind.code()
        ];
        let made = make_repository(tx, op, (namespace.0, name), arguments).await?;
        let Some(repository) = made else {
            return Ok(None);
        };
        if let (true, Some(maker)) = (found.creator, op.actor().principal()) {
            own(tx, repository, maker).await?;
        }
        let found = FoundRepository {
            namespace: Some(namespace),
            repository: Some((repository, store::FIRST)),
            ..*found
        };
        Ok(found.judgement())
    }

    /// Judges by what stands at this moment.
    async fn judge_again(&self, tx: &mut Tx, op: &Op) -> Result<FoundRepository> {
        let actor = op.actor_now(tx).await?;
        let name = self.name();
        let caller = actor.principal().map_or(0, PrincipalId::get);
        let arguments = args![list([name.namespace()]), list([name.path()]), caller];
        let row = tx.optional(&store::FACTS, arguments).await?;
        let facts = row
            .as_ref()
            .map_or_else(|| Ok(RepositoryFacts::default()), RepositoryFacts::read)?;
        let found = FoundRepository::new(&actor, &facts);
        let before = self.found();
        let moved = |before: Option<i64>, now| before.is_some() && before != now;
        let namespace = |found: &FoundRepository| found.namespace.map(|(id, _)| id.get());
        let repository = |found: &FoundRepository| found.repository.map(|(id, _)| id.get());
        if moved(namespace(before), namespace(&found))
            || moved(repository(before), repository(&found))
        {
            return Err(gone());
        }
        let act = RepositoryAct::of::<A>();
        judge(&actor, act, name, &facts, op.kernel().settings())?;
        // What another has made is not heard of yet, and what is cached says that it is not there.
        if let (None, Some((id, _))) = (before.namespace, found.namespace) {
            let kind = changes::NAMESPACE_MADE;
            tx.saw(changes::named(kind, id.get(), 0, name.namespace()));
        }
        if let (None, Some(judgement)) = (before.repository, found.judgement()) {
            let (namespace, id) = judgement.ids();
            let kind = changes::REPOSITORY_MADE;
            tx.saw(changes::named(kind, namespace.get(), id.get(), name.path()));
        }
        Ok(found)
    }
}

impl Repo<Administer> {
    /// Counts up the generation, as every change of the repository or its grants must, and holds
    /// the row alone until `tx` ends: of two changes the second judges by what the first has made.
    ///
    /// Errors: as [`enter`](Self::enter).
    pub(super) async fn alter(&self, tx: &mut Tx, op: &Op) -> Result<()> {
        let mut found = *self.found();
        for _ in 0..ROUNDS {
            let arguments = found.judgement().ok_or_else(gone)?.args(args![]);
            if tx.execute(&store::REPOSITORY_ALTER, arguments).await? > 0 {
                return Ok(());
            }
            found = self.judge_again(tx, op).await?;
        }
        Err(moving())
    }
}
