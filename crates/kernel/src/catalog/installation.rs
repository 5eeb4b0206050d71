//! `Installation<A>`: the installation as a whole, which its caller may do `A` to. There is no
//! other way to get one.
//!
//! ```compile_fail
//! # async fn forgets(op: &seawall_kernel::Op) -> seawall_kernel::Result<()> {
//! // No operation by itself sees all namespaces.
//! seawall_kernel::catalog::namespaces::list(op).await?;
//! # Ok(()) }
//! ```
//!
//! ```compile_fail
//! // Nor is what a judgement gives out made without one.
//! use seawall_kernel::{Installation, auth::Inspect};
//! let act = std::marker::PhantomData;
//! let forged: Installation<Inspect> = Installation { act };
//! ```
//!
//! ```
//! # async fn remembers(op: &seawall_kernel::Op) -> seawall_kernel::Result<()> {
//! use seawall_kernel::auth::Inspect;
//! seawall_kernel::catalog::namespaces::list(op, &op.installation::<Inspect>()?).await?;
//! # Ok(()) }
//! ```

use std::marker::PhantomData;

use seawall_meta::Tx;
use seawall_types::Result;

use super::access::judge_installation;
use super::transaction_actor::TransactionActor;
use crate::auth::InstallationAct;
use crate::op::Op;

/// The installation opened for the act `A`. Only [`Op::installation`] gives one out.
#[derive(Debug)]
pub struct Installation<A: InstallationAct> {
    act: PhantomData<A>,
}

impl<A: InstallationAct> Clone for Installation<A> {
    fn clone(&self) -> Self {
        Self { act: PhantomData }
    }
}

impl Op {
    /// Opens the installation for `A`, or says why not. Costs nothing.
    ///
    /// Errors: `Unauthenticated`, `Forbidden`, `InsufficientScope`.
    pub fn installation<A: InstallationAct>(&self) -> Result<Installation<A>> {
        judge_installation(self.actor(), A::KIND)?;
        Ok(Installation { act: PhantomData })
    }
}

impl<A: InstallationAct> Installation<A> {
    /// Judges again inside `tx`, and keeps who acts as they are until `tx` ends.
    ///
    /// Errors: as [`Op::installation`], and those of a credential that has ended.
    pub async fn enter(&self, tx: &mut Tx, op: &Op) -> Result<()> {
        let present = TransactionActor::of(tx, op).await?;
        judge_installation(&present.actor, A::KIND)
    }
}
