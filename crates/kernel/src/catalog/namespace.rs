//! `Namespace<A>`: a namespace that its caller may do `A` to. There is no other way to get one.
//!
//! ```compile_fail
//! # async fn forgets(op: &seawall_kernel::Op) -> seawall_kernel::Result<()> {
//! use seawall_kernel::catalog::namespaces;
//! // No operation by itself deletes an organization.
//! namespaces::delete_organization(op).await
//! # }
//! ```
//!
//! ```
//! # async fn remembers(op: &seawall_kernel::Op) -> seawall_kernel::Result<()> {
//! use seawall_kernel::auth::Administer;
//! use seawall_kernel::catalog::namespaces;
//! use seawall_types::NamespaceName;
//! let name = NamespaceName::parse("acme")?;
//! let namespace = op.namespace::<Administer>(&name).await?;
//! namespaces::delete_organization(op, &namespace).await
//! # }
//! ```

use std::marker::PhantomData;

use seawall_meta::{Row, Tx, args};
use seawall_types::Result;
use seawall_types::ids::{NamespaceId, PrincipalId};
use seawall_types::name::NamespaceName;
use seawall_types::permission::{NamespaceKind, NamespaceRole};

use super::access::{NamespaceCase, judge_namespace};
use super::facts::{NamespaceFacts, stored};
use super::store;
use super::transaction_actor::{ROUNDS, TransactionActor, moving};
use crate::auth::{Actor, Administer, NamespaceAct};
use crate::op::Op;

/// A namespace opened for the act `A`. Only [`Op::namespace`] makes one.
pub struct Namespace<A: NamespaceAct> {
    name: NamespaceName,
    id: NamespaceId,
    kind: NamespaceKind,
    /// What the judgement at the door was found with.
    generation: i64,
    act: PhantomData<A>,
}

impl<A: NamespaceAct> Clone for Namespace<A> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            ..*self
        }
    }
}

impl Op {
    /// Opens the namespace `name` for `A`, or says why not. One read.
    ///
    /// Errors: `Unauthenticated`, `Hidden`, `Forbidden`, `InsufficientScope`; `NotFound` for a
    /// superuser or the operator, if there is none.
    pub async fn namespace<A: NamespaceAct>(&self, name: &NamespaceName) -> Result<Namespace<A>> {
        let arguments = args![name.as_str(), caller(self.actor())];
        let sql = self.sql();
        let row = sql.optional(&store::NAMESPACE_FACTS, arguments);
        let found = row.await?.as_ref().map(read).transpose()?;
        let facts = judge_namespace(self.actor(), A::KIND, name.as_str(), found.as_ref())?;
        Ok(Namespace {
            name: name.clone(),
            id: facts.id,
            kind: facts.kind,
            generation: facts.generation,
            act: PhantomData,
        })
    }
}

impl<A: NamespaceAct> Namespace<A> {
    /// Its name.
    pub fn name(&self) -> &NamespaceName {
        &self.name
    }

    /// Its id.
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// A user's own, or an organization.
    pub fn kind(&self) -> NamespaceKind {
        self.kind
    }
}

impl Namespace<Administer> {
    /// Judges again inside `tx`, counts up the generation, as every change of the namespace or of
    /// the grants on it must, and holds the row alone until `tx` ends: of two changes the second
    /// judges by what the first has made.
    ///
    /// Errors: as [`Op::namespace`].
    pub(super) async fn alter(&self, tx: &mut Tx, op: &Op) -> Result<()> {
        let present = TransactionActor::of(tx, op).await?;
        let mut judged = present.unchanged.then_some(self.generation);
        for _ in 0..ROUNDS {
            let generation = match judged {
                Some(generation) => generation,
                None => self.judge_again(tx, &present.actor).await?,
            };
            let arguments = args![self.id, generation];
            if tx.execute(&store::NAMESPACE_ALTER, arguments).await? > 0 {
                return Ok(());
            }
            judged = None;
        }
        Err(moving())
    }

    /// Judges by what stands at this moment; says the generation that the judgement rests on.
    async fn judge_again(&self, tx: &mut Tx, actor: &Actor) -> Result<i64> {
        let name = self.name.as_str();
        let arguments = args![name, caller(actor)];
        let row = tx.optional(&store::NAMESPACE_FACTS, arguments).await?;
        let found = row.as_ref().map(read).transpose()?;
        // Another namespace may have the name by now; the one that was opened is gone.
        let found = found.filter(|found| found.facts.id == self.id);
        let act = <Administer as NamespaceAct>::KIND;
        let facts = judge_namespace(actor, act, name, found.as_ref())?;
        Ok(facts.generation)
    }
}

/// The principal's id; 0 for a caller who is none.
fn caller(actor: &Actor) -> i64 {
    actor.principal().map_or(0, PrincipalId::get)
}

/// Reads the columns of `store::NAMESPACE_FACTS`.
fn read(row: &Row) -> Result<NamespaceCase> {
    let facts = NamespaceFacts {
        id: row.int(0)?.into(),
        kind: stored(NamespaceKind::from_code(row.int(1)?))?,
        owner: row.opt_int(2)?.map(PrincipalId::from),
        generation: row.int(3)?,
    };
    let granted = row
        .opt_int(4)?
        .map(|code| stored(NamespaceRole::from_code(code)))
        .transpose()?;
    Ok(NamespaceCase { facts, granted })
}
