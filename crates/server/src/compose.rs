//! Composition: the one place that knows every crate and puts them together.
//!
//! The order is the order of the rings: database, bytes, kernel, accounts, registry, features. What
//! is decided here is only what is on; nothing here serves a request.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use seawall_accounts::Directory;
use seawall_blob::files::{Disk, Files};
use seawall_blob::{Blobs, Host};
use seawall_kernel::auth::Verifier;
use seawall_kernel::http::{Dispatcher, Journal, Route, Table};
use seawall_kernel::secrets::Secrets;
use seawall_kernel::tasks::Tracker;
use seawall_kernel::{Declarations, Feature, Kernel, Parts, Patience, Settings, maintenance};
use seawall_meta::{Meta, Migrations, Migrator, Release, Statement};
use seawall_registry::Content;
use seawall_types::time::{Clock, Random};
use seawall_types::work::Tasks;

use crate::config::{Config, Policy};

/// The file in the data directory that holds the installation secret.
pub const SECRET_FILE: &str = "installation-secret";

/// Which release this binary is, for schemas that several releases share.
pub const RELEASE: Release = Release {
    number: 1,
    admits: 1,
};

/// What a process brings to the house: its machine, or a test's stand-ins for it.
#[derive(Clone)]
pub struct Ground {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub random: Arc<dyn Random>,
    /// Who runs what outlives a call.
    pub tracker: Arc<Tracker>,
    /// The files of blobs and uploads.
    pub files: Arc<dyn Files>,
}

impl Ground {
    /// The machine itself.
    pub fn machine() -> Self {
        Self {
            clock: Arc::new(seawall_kernel::clock::SystemClock),
            random: Arc::new(seawall_kernel::clock::SystemRandom),
            tracker: Tracker::new(),
            files: Arc::new(Disk),
        }
    }

    fn tasks(&self) -> Tasks {
        Arc::clone(&self.tracker) as Tasks
    }
}

/// Everything that is switched on, put together.
pub struct House {
    /// The shared state.
    pub kernel: Arc<Kernel>,
    /// Principals and credentials.
    pub directory: Arc<Directory>,
    /// Repositories' contents.
    pub content: Arc<Content>,
    features: Vec<Feature>,
}

/// The tables of every crate, whether its feature is on or not: switching one on needs no migration.
pub fn migrations() -> Vec<Migrations> {
    vec![
        seawall_kernel::MIGRATIONS,
        seawall_accounts::MIGRATIONS,
        seawall_registry::MIGRATIONS,
        seawall_usage::MIGRATIONS,
    ]
}

/// Every statement of every crate, for the test that prepares them on each database.
pub fn statements() -> Vec<&'static Statement> {
    [
        seawall_kernel::statements(),
        seawall_accounts::statements(),
        seawall_registry::statements(),
        seawall_usage::statements(),
    ]
    .concat()
}

/// What every crate declares to the kernel, whether its feature is on or not: rows of a feature that was
/// switched off are still read.
fn declarations() -> Declarations {
    seawall_accounts::declarations().merge(seawall_registry::declarations())
}

/// Opens the database, without a look at its tables.
pub async fn open_meta(config: &Config, data: &Path, ground: &Ground) -> Result<Meta> {
    let database = &config.database;
    let meta = seawall_meta::Config {
        url: database.url.clone(),
        max_connections: database.max_connections,
        acquire_timeout_ms: database.acquire_timeout_ms.into(),
        statement_timeout_ms: database.statement_timeout_ms.into(),
        lock_timeout_ms: database.lock_timeout_ms.into(),
        idle_in_transaction_timeout_ms: database.idle_in_transaction_timeout_ms.into(),
        statement_cache: database.statement_cache as usize,
    };
    Meta::open(&meta, data, ground.tasks(), Arc::clone(&ground.clock))
        .await
        .context("the database cannot be opened")
}

/// What compares a database's schema with this binary's and brings it up to date.
pub fn migrator(meta: &Meta) -> Migrator {
    Migrator::new(meta, &migrations()).release(RELEASE)
}

impl House {
    /// Puts everything together over a database whose schema is up to date.
    pub async fn open(config: &Config, data: &Path, meta: Meta, ground: &Ground) -> Result<Self> {
        let secrets = Secrets::load_or_create(&data.join(SECRET_FILE), &*ground.random)?;
        let blobs = open_blobs(config, data, ground).await?;
        let parts = Parts {
            meta,
            blobs,
            clock: Arc::clone(&ground.clock),
            random: Arc::clone(&ground.random),
            tracker: Arc::clone(&ground.tracker),
            secrets,
            settings: settings(config),
            cache_bytes: config.cache.bytes,
            declarations: declarations(),
        };
        let kernel = Kernel::open(parts).await?;
        let accounts = seawall_accounts::Config {
            token_lifetime_seconds: config.tokens.lifetime_seconds.into(),
            refresh_tokens: config.tokens.refresh_tokens,
            refresh_lifetime_days: config.tokens.refresh_lifetime_days,
            ..seawall_accounts::Config::default()
        };
        let directory = Directory::new(&kernel, accounts).await?;
        let registry = seawall_registry::Config {
            upload_expiry_hours: config.uploads.expire_after_hours,
            max_uploads_per_user: NonZeroU32::new(config.uploads.max_per_user),
            manifests: seawall_registry::Rules {
                refuse_wrong_sizes: config.manifests.sizes == Policy::Refuse,
                accept_sparse_indexes: config.manifests.sparse_indexes == Policy::Accept,
            },
            ..seawall_registry::Config::default()
        };
        let content = Content::new(Arc::clone(&kernel), registry)?;
        let features = features(&kernel, &directory, &content, config);
        Ok(Self {
            kernel,
            directory,
            content,
            features,
        })
    }

    /// The dispatcher over every feature's routes and those of the process itself; `journal` writes the
    /// request log.
    pub fn dispatcher(
        &self,
        own: Vec<Route>,
        journal: Option<Arc<dyn Journal>>,
    ) -> Arc<Dispatcher> {
        let routes = self
            .features
            .iter()
            .flat_map(|feature| feature.routes.clone());
        let verifier = Arc::clone(&self.directory) as Arc<dyn Verifier>;
        Dispatcher::new(
            Arc::clone(&self.kernel),
            Table::new(own.into_iter().chain(routes)),
            verifier,
            journal,
        )
    }

    /// Starts what runs beside requests.
    pub async fn start(&self) -> Result<()> {
        Ok(seawall_kernel::start::start(&self.kernel, &self.features).await?)
    }

    /// Ends what runs beside requests, within `bound`, and closes the database.
    pub async fn close(self, bound: Duration) {
        self.kernel.tracker().stop();
        let left = self.kernel.tracker().drain(bound).await;
        if !left.is_empty() {
            tracing::warn!(?left, "some work did not end in time");
        }
        self.kernel.meta().close().await;
    }
}

/// The table of contents of the product.
fn features(
    kernel: &Arc<Kernel>,
    directory: &Arc<Directory>,
    content: &Arc<Content>,
    config: &Config,
) -> Vec<Feature> {
    let mut on = vec![
        maintenance::feature(),
        seawall_accounts::feature(directory),
        seawall_registry::feature(content),
    ];
    if config.usage.enabled {
        on.push(seawall_usage::feature(
            kernel,
            seawall_usage::Config::default(),
        ));
    }
    on
}

async fn open_blobs(config: &Config, data: &Path, ground: &Ground) -> Result<Blobs> {
    let place = |location: &crate::config::Location| match location {
        crate::config::Location::Filesystem { path } => {
            seawall_blob::Location::Filesystem { path: path.clone() }
        }
    };
    let mut blobs = seawall_blob::Config {
        locations: config
            .storage
            .locations
            .iter()
            .map(|(name, location)| (name.clone(), place(location)))
            .collect(),
        default: config.storage.default.clone(),
        ..seawall_blob::Config::default()
    };
    if let Some(most) = config.uploads.max_blob_bytes {
        blobs.max_blob_bytes = most;
    }
    let host = Host {
        tasks: ground.tasks(),
        clock: Arc::clone(&ground.clock),
        random: Arc::clone(&ground.random),
        files: Arc::clone(&ground.files),
    };
    Blobs::open_on(&blobs, data, host)
        .await
        .context("the blob store cannot be opened")
}

fn settings(config: &Config) -> Settings {
    Settings {
        anonymous_pull: config.access.anonymous_pull,
        create_namespace_on_push: config.access.create_namespace_on_push,
        create_repository_on_push: config.access.create_repository_on_push,
        public_url: config.public_url.as_ref().map(ToString::to_string),
        patience: Patience {
            idle: config.limits.body_idle_timeout(),
            bytes_per_second: config.limits.body_min_rate_bytes_per_second,
        },
        ..Settings::default()
    }
}
