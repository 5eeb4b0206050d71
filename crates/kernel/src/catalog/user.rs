//! `User<A>`: a user's account that its caller may do `A` to. There is no other way to get one.
//!
//! ```compile_fail
//! # async fn forgets(op: &seawall_kernel::Op, tx: &mut seawall_meta::Tx) -> seawall_kernel::Result<()> {
//! use seawall_kernel::catalog::principals;
//! // No operation by itself deletes a user.
//! principals::delete_user(tx, op, "ann").await
//! # }
//! ```
//!
//! ```
//! # async fn remembers(op: &seawall_kernel::Op, tx: &mut seawall_meta::Tx) -> seawall_kernel::Result<()> {
//! use seawall_kernel::auth::Administer;
//! use seawall_kernel::catalog::principals;
//! use seawall_types::NamespaceName;
//! let user = op.user::<Administer>(&NamespaceName::parse("ann")?).await?;
//! principals::delete_user(tx, op, &user).await
//! # }
//! ```

use std::marker::PhantomData;

use seawall_meta::{Row, Tx, args};
use seawall_types::ids::PrincipalId;
use seawall_types::name::NamespaceName;
use seawall_types::permission::PrincipalKind;
use seawall_types::{Error, Reason, Result};

use super::access::{judge_user, no_user};
use super::store;
use super::transaction_actor::TransactionActor;
use crate::auth::UserAct;
use crate::op::Op;

/// A user opened for the act `A`. [`Op::user`] and [`Op::account`] make one, and making a user
/// does.
pub struct User<A: UserAct> {
    name: NamespaceName,
    id: PrincipalId,
    act: PhantomData<A>,
}

impl<A: UserAct> Clone for User<A> {
    fn clone(&self) -> Self {
        Self::opened(self.name.clone(), self.id)
    }
}

impl Op {
    /// Opens the user `name` for `A`, or says why not. One read.
    ///
    /// Errors: `Unauthenticated`, `Hidden`, `Forbidden`, `InsufficientScope`; `NotFound` for a
    /// superuser or the operator, if there is none.
    pub async fn user<A: UserAct>(&self, name: &NamespaceName) -> Result<User<A>> {
        let arguments = args![name.as_str()];
        let sql = self.sql();
        let row = sql.optional(&store::PRINCIPAL_BY_NAME, arguments);
        let found = row.await?.as_ref().map(user_id).transpose()?.flatten();
        let id = judge_user(self.actor(), A::KIND, name.as_str(), found)?;
        Ok(User::opened(name.clone(), id))
    }

    /// Opens the account of the user who acts. Costs nothing.
    ///
    /// Errors: `Unauthenticated` where no user acts, `Forbidden`, `InsufficientScope`.
    pub fn account<A: UserAct>(&self) -> Result<User<A>> {
        let identity = self.actor().identity();
        let Some(identity) = identity.filter(|who| who.kind == PrincipalKind::User) else {
            let words = "only a user has an account";
            return Err(Error::new(Reason::Unauthenticated, words));
        };
        let id = judge_user(self.actor(), A::KIND, &identity.name, Some(identity.id))?;
        Ok(User::opened(NamespaceName::parse(&identity.name)?, id))
    }
}

impl<A: UserAct> User<A> {
    pub(super) fn opened(name: NamespaceName, id: PrincipalId) -> Self {
        let act = PhantomData;
        Self { name, id, act }
    }

    /// Its name, which is its namespace's, too.
    pub fn name(&self) -> &NamespaceName {
        &self.name
    }

    /// Its id.
    pub fn id(&self) -> PrincipalId {
        self.id
    }

    /// Judges again inside `tx`, and holds the user's row alone until `tx` ends. Every change of a
    /// user or of its credentials begins with this.
    ///
    /// Errors: as [`Op::user`].
    pub async fn enter(&self, tx: &mut Tx, op: &Op) -> Result<()> {
        let present = TransactionActor::of(tx, op).await?;
        let name = self.name.as_str();
        judge_user(&present.actor, A::KIND, name, Some(self.id))?;
        let row = tx.optional(&store::PRINCIPAL_LOCK, args![self.id]).await?;
        row.map(drop).ok_or_else(|| no_user(Reason::NotFound, name))
    }
}

/// The id of a user in a row of `store::PRINCIPAL_BY_NAME`; nothing for a principal of another
/// kind.
pub(super) fn user_id(row: &Row) -> Result<Option<PrincipalId>> {
    let is_user = row.int(1)? == PrincipalKind::User.code();
    Ok(is_user.then_some(row.int(0)?.into()))
}
