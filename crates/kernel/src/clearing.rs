//! How a crate says what it clears when a repository or a namespace goes.
//!
//! The rows of what was deleted go by a job of the kernel, in many short transactions, which asks
//! every crate that is composed, whether its feature is on or not: the tables of a feature that is
//! switched off may refer to the repository by a foreign key all the same.

use futures::future::BoxFuture;
use seawall_meta::Tx;
use seawall_types::Result;
use seawall_types::ids::{NamespaceId, RepositoryId};

/// Removes up to so many rows of one thing in a transaction, and says how many there were; 0 if
/// nothing is left.
pub type ClearStep<I> = for<'t> fn(&'t mut Tx, I, u32) -> BoxFuture<'t, Result<u64>>;

/// What one crate clears.
#[derive(Debug, Clone, Copy)]
pub enum Clearing {
    /// The rows of a deleted repository.
    Repository(ClearStep<RepositoryId>),
    /// The rows of a deleted namespace, when its repositories are gone.
    Namespace(ClearStep<NamespaceId>),
}
