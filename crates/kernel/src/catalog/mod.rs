//! The catalog: principals, namespaces, repositories and grants, which all features refer to.
//!
//! [`Op::repo`](crate::Op), [`Op::namespace`](crate::Op), [`Op::user`](crate::Op) and
//! [`Op::installation`](crate::Op) are the only ways to what can be acted on, the functions here
//! demand what they give out, and `access` is the only place that decides between hidden and
//! forbidden. Nothing here knows manifests or tags.

mod access;
pub mod events;
mod facts;
mod found;
pub mod grants;
mod installation;
pub mod listing;
mod namespace;
pub mod namespaces;
mod pages;
mod present;
pub mod principals;
mod repo;
pub mod repositories;
pub mod rights;
pub mod store;
mod user;
mod verdict;

pub use access::Allowed;
pub(crate) use facts::{FACTS, FactsKey};
pub use facts::{NamespaceFacts, RepositoryFacts, RepositoryRow};
pub use found::Verdict;
pub use installation::Installation;
pub use namespace::Namespace;
pub use repo::Repo;
pub use user::User;
