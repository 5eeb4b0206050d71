//! The kernel's own work over a real database, which `SEAWALL_TEST_DB` names.

mod declare;
mod doors;
mod events;
mod jobs;
mod requests;
mod rights;
mod store;
mod time;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use seawall_meta::Meta;
use seawall_meta::fixture::{DatabaseBackend, TestClock, TestDatabase};
use seawall_types::lane::Lane;
use seawall_types::{Clock, Tasks};

use crate::clock::SystemRandom;
use crate::secrets::Secrets;
use crate::tasks::Tracker;
use crate::{Declarations, Feature, Kernel, KernelParts, MIGRATIONS, Op, Settings};

/// A process over a database of its own.
struct Process {
    kernel: Arc<Kernel>,
    clock: Arc<TestClock>,
    // Last, so that it is dropped after its connections.
    database: TestDatabase,
}

impl Process {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    /// The same with other settings.
    async fn with(settings: Settings) -> Self {
        Self::open(settings, Declarations::default()).await.unwrap()
    }

    /// A process whose crates declare this beside the kernel's own.
    async fn declaring(declarations: Declarations) -> seawall_types::Result<Self> {
        Self::open(Settings::default(), declarations).await
    }

    async fn open(settings: Settings, declarations: Declarations) -> seawall_types::Result<Self> {
        let backend = DatabaseBackend::chosen().unwrap();
        let database = TestDatabase::migrated(backend, &[MIGRATIONS])
            .await
            .unwrap();
        let clock = TestClock::new();
        let shared = || Arc::clone(&clock) as Arc<dyn Clock>;
        let tracker = Arc::<Tracker>::default();
        let tasks = || Arc::clone(&tracker) as Tasks;
        let place = database.directory();
        let meta = Meta::open(&database.config(), place, tasks(), shared())
            .await
            .unwrap();
        let random = Arc::new(SystemRandom);
        let config = seawall_blob::Config::default();
        let blobs =
            seawall_blob::Blobs::open(&config, place, tasks(), shared(), Arc::clone(&random) as _);
        let parts = KernelParts {
            meta,
            blobs: blobs.await.unwrap(),
            clock: shared(),
            random,
            tracker: Arc::clone(&tracker),
            secrets: Secrets::from_bytes(&[5; 32]),
            settings,
            cache_bytes: 1 << 20,
            declarations,
        };
        let kernel = Kernel::open(parts).await?;
        Ok(Self {
            kernel,
            clock,
            database,
        })
    }

    fn op(&self) -> Op {
        self.kernel.internal_op(Lane::Background, "test")
    }

    /// Moves the database's time.
    fn pass(&self, time: Duration) {
        self.kernel.meta().shift_time(time);
    }

    /// Starts all that runs by itself.
    async fn start(&self, features: &[Feature]) {
        crate::start::start(&self.kernel, features).await.unwrap();
    }

    async fn stop(self) {
        self.kernel.tracker().stop();
        let left = self.kernel.tracker().drain(Duration::from_secs(10)).await;
        assert_eq!(left, [""; 0]);
    }
}

/// Waits until a condition holds that others bring about; fails after 20 seconds.
async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    for _ in 0..400 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not come true");
}
