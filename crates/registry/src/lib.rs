//! The distribution protocol: manifests, tags, blobs, uploads, referrers.
//!
//! This crate owns what a repository shows (manifests and their edges, tags and their history,
//! which blobs it may serve) and the uploads on their way into it. It must never decide who may do
//! what ([`seawall_kernel::Op::repo`] does), touch a file (`seawall-blob` does), or serve a blob
//! through a repository that does not link it: knowing a digest gives no right to its bytes.
//!
//! Inside, `api` turns HTTP into calls and answers, the other modules hold the rules, each with its
//! statements in a `store.rs`. The hard part is the order in which an upload becomes a blob: bytes
//! durable first, then one transaction that makes them visible (`upload::commit`).

// Futures of futures: an optimised build asks deeper than the compiler goes by itself.
#![recursion_limit = "256"]

pub mod acts;
mod api;
mod blob;
pub mod changes;
mod clear;
mod config;
mod content_headers;
mod declare;
pub mod events;
mod keeper;
mod manifest;
mod referrer;
mod tag;
#[cfg(test)]
mod tests;
mod upload;

use std::sync::Arc;

use seawall_kernel::{Feature, FeaturePlan, Kernel};
use seawall_limit::Limiter;
use seawall_meta::{Migrations, Statement};
use seawall_types::Result;
use seawall_types::lane::Lane;

pub use api::OCI;
pub use blob::{linked, walk_links};
pub use config::{Config, ContentPolicy, ListingsConfig, ManifestsConfig, UploadsConfig};
pub use declare::declarations;
pub use keeper::keeper;
pub use manifest::{EdgeKind, ManifestRow, walk_manifests};

/// The tables of this crate.
pub const MIGRATIONS: Migrations = seawall_meta::migrations!(
    "registry",
    [
        "0001_create_repository_blob",
        "0002_index_repository_blob_by_digest",
        "0003_create_upload",
        "0004_index_upload_by_activity",
        "0005_index_upload_by_repository",
        "0006_index_upload_by_principal",
        "0011_create_manifest",
        "0012_index_manifest_by_subject",
        "0013_index_manifest_by_artifact_type",
        "0014_index_manifest_by_hiding",
        "0015_create_manifest_edge",
        "0016_index_manifest_edge_by_digest",
        "0017_create_tag_history",
        "0018_index_tag_history_by_name",
        "0019_create_tag",
        "0020_index_tag_by_digest",
        "0027_index_manifest_by_subject_and_state",
        "0028_drop_manifest_by_subject",
        "0029_index_manifest_by_type_and_state",
        "0030_drop_manifest_by_artifact_type",
        "0040_create_manifest_untagging",
        "0041_index_tag_history_by_id",
        "0042_add_manifest_layers_size",
        "0043_add_manifest_config_media_type",
        "0044_add_tag_immutable",
        "0045_index_tag_by_immutable",
        "0046_drop_upload_algorithm",
    ]
);

/// Every statement of this crate, for the test that prepares each of them on every database.
pub fn statements() -> Vec<&'static Statement> {
    [
        blob::store::ALL,
        upload::store::ALL,
        manifest::store::ALL,
        tag::store::ALL,
    ]
    .concat()
}

/// What the registry holds: the facade for the features above it.
pub struct Content {
    kernel: Arc<Kernel>,
    config: Config,
    shelf: manifest::ManifestCache,
    links: blob::LinkCache,
    ended: upload::EndedUploads,
    catalog_reads: Limiter,
}

impl Content {
    /// The registry over a kernel.
    ///
    /// Errors: `Internal` if the kernel was opened without this crate's [`declarations`].
    pub fn new(kernel: Arc<Kernel>, config: Config) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            shelf: manifest::ManifestCache::new(&kernel)?,
            links: blob::LinkCache::new(&kernel)?,
            ended: upload::EndedUploads::default(),
            catalog_reads: Limiter::new("catalog", api::CATALOG_READS),
            kernel,
            config,
        }))
    }

    /// Which uploads this process has ended.
    pub(crate) fn ended(&self) -> &upload::EndedUploads {
        &self.ended
    }

    /// How many pages of the catalog are read at once.
    pub(crate) fn catalog_reads(&self) -> &Limiter {
        &self.catalog_reads
    }

    /// The kernel that it runs in.
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// What it is set to.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

/// What the registry brings to a program that holds its contents.
pub fn plan<C: AsRef<Arc<Content>> + 'static>() -> FeaturePlan<C> {
    FeaturePlan::new("registry")
        .migrations(MIGRATIONS)
        .statements(statements())
        .declares(declarations())
        .keeps(keeper::keeper())
        .build_plain(|core: &C| feature(core.as_ref()))
}

/// What the registry runs: its routes and its jobs.
pub fn feature(content: &Arc<Content>) -> Feature {
    let (sweeping, forgetting) = (Arc::clone(content), Arc::clone(content));
    Feature::required("registry")
        .mount("/v2", &OCI)
        .routes(api::routes(content))
        .job::<upload::SweepUploads, _, _>(Lane::Background, move |op, _| {
            let content = Arc::clone(&sweeping);
            async move { upload::sweep(&content, &op).await }
        })
        .always(&upload::SweepUploads {}, upload::SWEEP_FIRST)
        .job::<manifest::ForgetManifests, _, _>(Lane::Background, move |op, _| {
            let window = forgetting.config().manifests.time_machine();
            async move { manifest::forget(&op, window).await }
        })
        .always(&manifest::ForgetManifests {}, manifest::FORGET_FIRST)
        .job::<tag::UntagManifest, _, _>(Lane::Background, |op, job| async move {
            tag::untag_job(&op, &job).await
        })
}
