//! What every feature is written in: the operation under way ([`Op`]), the catalog of namespaces,
//! repositories and grants, routes and jobs that name their lane, events, blob references.
//!
//! This crate decides who may do what and in which lane work runs. It must never know a feature,
//! speak a protocol's details, or let anyone reach a repository except through [`Op::repo`].

pub mod auth;
mod backfill;
pub mod blobs;
mod cache;
pub mod catalog;
pub mod changes;
pub mod clearing;
pub mod clock;
pub mod declare;
pub mod events;
pub mod feature;
pub mod health;
pub mod http;
pub mod installation;
pub mod jobs;
mod kernel;
pub mod lanes;
pub mod maintenance;
mod op;
mod plan;
pub mod secrets;
mod settings;
pub mod start;
mod switch;
pub mod tasks;
#[cfg(test)]
mod tests;

pub use auth::{Actor, ActorIdentity, Ceiling};
pub use cache::{CacheShare, ReadCache};
pub use catalog::{Installation, Namespace, Repo, RepositoryFacts, User};
pub use declare::Declarations;
pub use feature::Feature;
pub use health::{HealthCheck, HealthFinding};
pub use kernel::{Kernel, KernelParts};
pub use op::{Op, Origin};
pub use plan::FeaturePlan;
pub use seawall_cache::{LoadedValue, MemorySize};
pub use seawall_types::error::{Error, Reason, Result};
pub use settings::{AccessSettings, BodyTimeouts, CacheConfig, Settings};
pub use switch::{FeatureState, Switch};

/// The kernel's tables.
pub const MIGRATIONS: seawall_meta::Migrations = seawall_meta::migrations!(
    "kernel",
    [
        "0001_create_installation",
        "0002_create_signing_key",
        "0003_create_principal",
        "0004_create_namespace",
        "0005_create_repository",
        "0006_create_namespace_grant",
        "0007_create_repository_grant",
        "0008_create_blob",
        "0010_create_blob_ref",
        "0011_index_blob_ref_by_owner",
        "0012_create_event",
        "0013_create_event_cursor",
        "0014_create_job",
        "0015_index_job_by_time",
        "0016_index_namespace_grant_by_principal",
        "0017_index_repository_grant_by_principal",
        "0022_add_namespace_shows_public",
        "0023_index_namespace_by_public",
        "0024_index_repository_by_visibility",
        "0025_index_namespace_by_owner",
        "0026_index_job_by_kind",
        "0027_index_blob_ref_by_namespace",
        "0028_drop_blob_place",
    ]
);

/// Every statement of the kernel, for the test that prepares them on each database.
pub fn statements() -> Vec<&'static seawall_meta::Statement> {
    [
        blobs::store::ALL,
        catalog::store::ALL,
        catalog::listing::store::ALL,
        events::store::ALL,
        events::store::log::EVENTS.statements,
        installation::store::ALL,
        jobs::store::ALL,
    ]
    .concat()
}

/// What the kernel brings to a program; what it declares, it adds by itself.
pub fn plan<C: 'static>() -> FeaturePlan<C> {
    FeaturePlan::new("kernel")
        .migrations(MIGRATIONS)
        .statements(statements())
        .build_plain(|_| maintenance::feature())
}
