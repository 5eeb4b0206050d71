//! The types of the registry's domain: names, digests, references, manifests, permissions, errors.
//!
//! This is ring 0: every other crate speaks in these types, so nothing unparsed travels further
//! than the edge that received it. Each parser of outside bytes is a pure function of `&str` or
//! `&[u8]`, checks lengths before it looks at content, runs in linear time, never panics and
//! allocates nothing whose size the sender merely *claims*. The limits are named constants beside
//! the parsers.
//!
//! It must never do I/O, name an async runtime, read a clock or draw randomness: clocks, randomness
//! and task spawning are traits here ([`time::Clock`], [`time::Random`], [`work::Spawner`]) and
//! live elsewhere. Words and statuses of a wire dialect do not belong here either:
//! [`error::Reason`] is neutral, and each dialect's renderer translates it.
//!
//! The hard part is [`manifest`]: bytes that other programs will decode more leniently than we do.

pub mod basic;
pub mod condition;
pub mod digest;
pub mod error;
pub mod host;
pub mod ids;
pub mod lane;
pub mod link;
pub mod manifest;
pub mod media_type;
pub mod name;
pub mod page;
pub mod permission;
pub mod range;
pub mod reference;
pub mod scope;
pub mod secret;
pub mod tag;
pub mod time;
pub mod work;

mod codes;
mod text;

pub use digest::{Algorithm, Digest};
pub use error::{Error, Reason, Result};
pub use ids::{ChangeId, CredentialId, EventId, JobId, NamespaceId, PrincipalId, RepositoryId};
pub use lane::Lane;
pub use manifest::{Descriptor, Manifest, ManifestKind};
pub use media_type::MediaType;
pub use name::{NamespaceName, RepositoryName};
pub use reference::Reference;
pub use secret::Secret;
pub use tag::Tag;
pub use time::{Clock, Millis, Random};
pub use work::{Context, Cost, CostSnapshot, Spawner, Tasks};
