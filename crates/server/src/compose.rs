//! Composition: the one place that knows every crate and puts them together.
//!
//! The order is the order of the rings: database, bytes, kernel, accounts, registry, features. What
//! is decided here is only what is on; nothing here serves a request.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use seawall_accounts::Directory;
use seawall_blob::files::{DiskFiles, Files};
use seawall_blob::{Blobs, StoreRuntime};
use seawall_config::{ConfigError, Layout};
use seawall_kernel::auth::Verifier;
use seawall_kernel::http::{AccessLog, Dispatcher, Route, RouteTable};
use seawall_kernel::secrets::Secrets;
use seawall_kernel::tasks::Tracker;
use seawall_kernel::{
    BodyTimeouts, Declarations, Feature, FeaturePlan, HealthCheck, Kernel, KernelParts, Settings,
    Switch,
};
use seawall_meta::{BinaryRelease, Meta, Migrations, Migrator};
use seawall_net::lifecycle::Lifecycle;
use seawall_registry::Content;
use seawall_types::lane::Lane;
use seawall_types::time::{Clock, Random};
use seawall_types::work::Tasks;

use crate::config::Config;

/// The file in the data directory that holds the installation secret.
pub const SECRET_FILE: &str = "installation-secret";

/// Which release this binary is, for schemas that several releases share.
pub const RELEASE: BinaryRelease = BinaryRelease {
    number: 1,
    admits: 1,
};

/// What a process brings to the program: its machine, or a test's stand-ins for it.
#[derive(Clone)]
pub struct Runtime {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub random: Arc<dyn Random>,
    /// Who runs what outlives a call.
    pub tracker: Arc<Tracker>,
    /// The files of blobs and uploads.
    pub files: Arc<dyn Files>,
}

impl Runtime {
    /// The machine itself.
    pub fn machine() -> Self {
        Self {
            clock: Arc::new(seawall_kernel::clock::SystemClock),
            random: Arc::new(seawall_kernel::clock::SystemRandom),
            tracker: Tracker::new(&Lifecycle::new()),
            files: Arc::new(DiskFiles),
        }
    }

    fn tasks(&self) -> Tasks {
        Arc::clone(&self.tracker) as Tasks
    }
}

/// Everything that is switched on, put together.
pub struct App {
    /// The shared state.
    pub kernel: Arc<Kernel>,
    /// Principals and credentials.
    pub directory: Arc<Directory>,
    /// Repositories' contents.
    pub content: Arc<Content>,
    features: Vec<Feature>,
}

/// The facades of the inner rings, which features are built from.
#[derive(Clone)]
pub struct CoreServices {
    kernel: Arc<Kernel>,
    directory: Arc<Directory>,
    content: Arc<Content>,
}

impl AsRef<Arc<Kernel>> for CoreServices {
    fn as_ref(&self) -> &Arc<Kernel> {
        &self.kernel
    }
}

impl AsRef<Arc<Directory>> for CoreServices {
    fn as_ref(&self) -> &Arc<Directory> {
        &self.directory
    }
}

impl AsRef<Arc<Content>> for CoreServices {
    fn as_ref(&self) -> &Arc<Content> {
        &self.content
    }
}

/// The table of contents of the product: one line for each crate, in the order of the rings.
pub fn plans() -> Vec<FeaturePlan<CoreServices>> {
    vec![
        seawall_kernel::plan(),
        seawall_accounts::plan(),
        seawall_registry::plan(),
        seawall_usage::plan(),
    ]
}

/// The tables of every crate, whether its feature is on or not: switching one on needs no
/// migration.
pub fn migrations() -> Vec<Migrations> {
    tables(&plans())
}

/// The tables of these crates.
pub fn tables(plans: &[FeaturePlan<CoreServices>]) -> Vec<Migrations> {
    plans.iter().filter_map(FeaturePlan::tables).collect()
}

/// The sections of the configuration: those of the program and those of its features.
pub fn layout() -> Result<Layout<Config>, ConfigError> {
    layout_of(&plans())
}

/// The sections of the configuration of a program with these features.
pub fn layout_of(plans: &[FeaturePlan<CoreServices>]) -> Result<Layout<Config>, ConfigError> {
    Layout::new(plans.iter().filter_map(FeaturePlan::section))
}

/// Opens the database, without reading its tables.
pub async fn open_meta(config: &Config, data: &Path, runtime: &Runtime) -> Result<Meta> {
    let clock = Arc::clone(&runtime.clock);
    Meta::open(&config.database, data, runtime.tasks(), clock)
        .await
        .context("the database cannot be opened")
}

/// What compares a database's schema with this binary's and brings it up to date.
pub fn migrator(meta: &Meta) -> Migrator {
    Migrator::new(meta, &migrations()).release(RELEASE)
}

impl App {
    /// Puts everything together over a database whose schema is up to date.
    pub async fn open(config: &Config, data: &Path, meta: Meta, runtime: &Runtime) -> Result<Self> {
        Self::open_with(&plans(), config, data, meta, runtime).await
    }

    /// The same with these features. What they declare counts whether they are on or not: rows of a
    /// feature that was switched off are still read, and cleared.
    pub async fn open_with(
        plans: &[FeaturePlan<CoreServices>],
        config: &Config,
        data: &Path,
        meta: Meta,
        runtime: &Runtime,
    ) -> Result<Self> {
        let secrets = Secrets::load_or_create(&data.join(SECRET_FILE), &*runtime.random)?;
        let blobs = open_blobs(config, data, runtime).await?;
        let parts = KernelParts {
            meta,
            blobs,
            clock: Arc::clone(&runtime.clock),
            random: Arc::clone(&runtime.random),
            tracker: Arc::clone(&runtime.tracker),
            secrets,
            settings: settings(config),
            cache_bytes: config.cache.bytes,
            declarations: plans.iter().fold(Declarations::default(), |all, plan| {
                all.merge(plan.declarations().clone())
            }),
        };
        let kernel = Kernel::open(parts).await?;
        let directory = Directory::new(&kernel, config.tokens.clone()).await?;
        let registry = seawall_registry::Config {
            uploads: config.uploads.clone(),
            manifests: config.manifests,
            listings: config.listings.clone(),
        };
        let content = Content::new(Arc::clone(&kernel), registry)?;
        let core = CoreServices {
            kernel,
            directory,
            content,
        };
        let mut features = Vec::with_capacity(plans.len());
        for plan in plans {
            features.extend(plan.built(&core, &config.features)?);
        }
        Ok(Self {
            kernel: core.kernel,
            directory: core.directory,
            content: core.content,
            features,
        })
    }

    /// The dispatcher over every feature's routes and those of the process itself; `journal` writes
    /// the request log. Errors: routes that cannot be served together.
    pub fn dispatcher(
        &self,
        own: Vec<Route>,
        journal: Option<Arc<dyn AccessLog>>,
    ) -> Result<Arc<Dispatcher>> {
        let own = Feature::required("server").routes(own);
        let features = || std::iter::once(&own).chain(&self.features);
        let routes = features().flat_map(Feature::served);
        let mounts = features().flat_map(|feature| feature.mounts.iter().copied());
        let table = RouteTable::new(routes, mounts).context("the routes cannot be served")?;
        let verifier = Arc::clone(&self.directory) as Arc<dyn Verifier>;
        let kernel = Arc::clone(&self.kernel);
        Ok(Dispatcher::new(kernel, table, verifier, journal))
    }

    /// The run-time state of a feature that was built in this process.
    pub fn switch(&self, feature: &str) -> Option<&Switch> {
        let mut features = self.features.iter();
        features
            .find(|one| one.name == feature)
            .map(|one| &one.switch)
    }

    /// What runs jobs of a kind here: the name of its feature and its lane.
    pub fn worker_of(&self, kind: &str) -> Option<(&'static str, Lane)> {
        let of = |feature: &Feature| {
            let mut workers = feature.workers.iter();
            let worker = workers.find(|worker| worker.kind == kind)?;
            Some((feature.name, worker.lane))
        };
        self.features.iter().find_map(of)
    }

    /// What features say of their health, each with its switch.
    pub fn checks(&self) -> impl Iterator<Item = (&Switch, &HealthCheck)> {
        self.features.iter().flat_map(|feature| {
            let checks = feature.checks.iter();
            checks.map(|check| (&feature.switch, check))
        })
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
            tracing::warn!(?left, "background tasks did not end in time");
        }
        self.kernel.meta().close().await;
    }
}

async fn open_blobs(config: &Config, data: &Path, runtime: &Runtime) -> Result<Blobs> {
    let mut blobs = config.storage.clone();
    if let Some(most) = config.uploads.max_blob_bytes {
        blobs.max_blob_bytes = most;
    }
    let host = StoreRuntime {
        tasks: runtime.tasks(),
        clock: Arc::clone(&runtime.clock),
        random: Arc::clone(&runtime.random),
        files: Arc::clone(&runtime.files),
    };
    Blobs::open_on(&blobs, data, host)
        .await
        .context("the blob store cannot be opened")
}

fn settings(config: &Config) -> Settings {
    Settings {
        access: config.access.clone(),
        public_url: config.public_url.as_ref().map(ToString::to_string),
        patience: BodyTimeouts {
            idle: config.limits.body_idle_timeout(),
            bytes_per_second: config.limits.body_min_rate_bytes_per_second,
        },
        ..Settings::default()
    }
}
