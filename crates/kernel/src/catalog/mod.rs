//! The catalog: principals, namespaces, repositories and grants, which all features refer to.
//!
//! [`Op::repo`](crate::Op), [`Op::namespace`](crate::Op), [`Op::user`](crate::Op) and
//! [`Op::installation`](crate::Op) are the only ways to what can be acted on, the functions here
//! demand what they give out, and `access` is the only place that decides between hidden and
//! forbidden. Nothing here knows manifests or tags.

mod access;
pub mod events;
mod facts;
pub mod grants;
mod installation;
mod judgement;
pub mod listing;
mod namespace;
pub mod namespaces;
mod pages;
pub mod principals;
mod repo;
pub mod repositories;
pub mod rights;
mod second_judgement;
pub mod store;
mod transaction_actor;
mod user;

pub use access::AllowedActions;
pub(crate) use facts::{FACTS, FactsKey};
pub use facts::{NamespaceFacts, RepositoryFacts, RepositoryRow};
pub use installation::Installation;
pub use judgement::Judgement;
pub use namespace::Namespace;
pub use repo::Repo;
pub use user::User;
