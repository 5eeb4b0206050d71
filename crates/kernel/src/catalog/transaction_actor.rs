//! The actor as the transaction that uses its right reads it.
//!
//! A namespace, a user or the installation is opened by a judgement at the door. What changes them
//! judges again inside its transaction, under a lock on the row of the principal who acts: a right
//! that has ended meanwhile does not land, and one that ends at the same time waits until this
//! transaction is over. The operator has no row, and costs no statement.

use seawall_meta::{Tx, args};
use seawall_types::{Error, Reason, Result};

use super::store;
use crate::auth::Actor;
use crate::op::Op;

/// How often a judgement is made anew in one transaction, while others change what it rests on.
pub(super) const ROUNDS: usize = 4;

/// The actor inside a transaction.
pub(super) struct TransactionActor {
    /// Who acts, as they stand until the transaction ends.
    pub(super) actor: Actor,
    /// Whether that is who was judged at the door, unchanged.
    pub(super) unchanged: bool,
}

impl TransactionActor {
    /// Reads the actor of `op` as `tx` has them, and keeps them so until `tx` ends. One read of a
    /// principal that has not changed since the door.
    ///
    /// Errors: `Unauthenticated`, `InvalidToken` if the principal or the credential has ended.
    pub(super) async fn of(tx: &mut Tx, op: &Op) -> Result<Self> {
        let mut actor = op.actor().clone();
        for round in 0..ROUNDS {
            let stands = match actor.identity() {
                Some(identity) => {
                    let arguments = args![identity.id, identity.generation];
                    let row = tx.optional(&store::PRINCIPAL_STANDS, arguments).await?;
                    row.is_some()
                }
                None => true,
            };
            if stands {
                let unchanged = round == 0;
                return Ok(Self { actor, unchanged });
            }
            actor = op.actor_now(tx).await?;
        }
        Err(moving())
    }
}

/// The answer where what a right rests on changes faster than it can be judged.
pub(super) fn moving() -> Error {
    let words = "rights are being changed at this moment; try again";
    Error::new(Reason::Conflict, words)
}
