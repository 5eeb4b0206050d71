//! The catalog: principals, namespaces, repositories and grants, which all features refer to.
//!
//! [`Op::repo`](crate::Op) is the only way to a repository, and `access` the only place that
//! decides between hidden and forbidden. Nothing here knows manifests or tags.

mod access;
mod facts;
mod found;
pub mod grants;
pub mod listing;
pub mod namespaces;
mod pages;
pub mod principals;
mod repo;
pub mod repositories;
pub mod store;
mod verdict;

pub use access::Allowed;
pub(crate) use facts::{FACTS, FactsKey};
pub use facts::{NamespaceFacts, RepositoryFacts, RepositoryRow};
pub use found::Verdict;
pub use repo::Repo;
