//! The store as a whole, and the handle by which one operation moves bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use seawall_config::Section;
use seawall_types::work::Context;
use seawall_types::{Clock, Random, Tasks};

use crate::buffer::{BufferPool, BufferUsage};
use crate::files::{DiskFiles, Files};
use crate::filesystem::Filesystem;
use crate::upload_lock::UploadLocks;
use crate::{BlobPlace, Config, Error, Location, Result};

/// The store of blobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    pub(crate) inner: Arc<Inner>,
}

/// What the store needs from the process around it.
#[derive(Clone)]
pub struct StoreRuntime {
    /// Where work is spawned that outlives its caller.
    pub tasks: Tasks,
    /// Ages of files, and time spent hashing.
    pub clock: Arc<dyn Clock>,
    /// Keys of blobs.
    pub random: Arc<dyn Random>,
    /// The file system, or one that fails on purpose.
    pub files: Arc<dyn Files>,
}

impl fmt::Debug for StoreRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct Inner {
    locations: BTreeMap<String, Arc<Filesystem>>,
    default: String,
    pub(crate) max_blob_bytes: u64,
    pub(crate) holds: Arc<UploadLocks>,
    pub(crate) pool: Arc<BufferPool>,
    pub(crate) host: StoreRuntime,
    /// Whether a probe of the disks is under way.
    looking: AtomicBool,
}

impl Blobs {
    /// Opens every configured location and makes the directories that are missing. `data` is the
    /// data directory.
    pub async fn open(
        config: &Config,
        data: &Path,
        tasks: Tasks,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self> {
        Self::open_on(
            config,
            data,
            StoreRuntime {
                tasks,
                clock,
                random,
                files: Arc::new(DiskFiles),
            },
        )
        .await
    }

    /// The same on other files.
    pub async fn open_on(config: &Config, data: &Path, host: StoreRuntime) -> Result<Self> {
        if let Some(invalid) = config.validate().into_iter().next() {
            return Err(invalid.into());
        }
        let configured = config.resolved(data);
        let files = Arc::clone(&host.files);
        let locations = blocking(move || {
            let open = |(name, location): (String, Location)| {
                let Location::Filesystem { path } = location;
                let opened = Filesystem::open(&name, &path, Arc::clone(&files))?;
                Ok((name, Arc::new(opened)))
            };
            configured.into_iter().map(open).collect::<Result<_>>()
        })
        .await?;
        let inner = Inner {
            locations,
            default: config.chosen(),
            max_blob_bytes: config.max_blob_bytes,
            holds: Arc::default(),
            pool: Arc::default(),
            host,
            looking: AtomicBool::new(false),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Whether every location takes new blobs now. What is stored can be read in any case.
    /// `durably` makes a file durable as a blob is, and waits for the disk; without it, only what
    /// the system says at once is heard.
    ///
    /// A disk that does not answer holds one probe, however often a probe is asked for: the others
    /// fail.
    pub async fn health(&self, durably: bool) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        if inner.looking.swap(true, Ordering::AcqRel) {
            let busy = Error::io("waiting for the probe of the disk");
            return Err(busy(io::ErrorKind::WouldBlock.into()));
        }
        blocking(move || {
            let mut locations = inner.locations.values();
            let found = locations.try_for_each(|location| location.probe(durably));
            inner.looking.store(false, Ordering::Release);
            found
        })
        .await
    }

    /// The handle by which one operation moves bytes; what it moves is charged to the context.
    pub fn session(&self, context: Context) -> Transfers {
        Transfers {
            inner: Arc::clone(&self.inner),
            context,
        }
    }

    /// The largest blob that is taken, in bytes.
    pub fn max_blob_bytes(&self) -> u64 {
        self.inner.max_blob_bytes
    }

    /// The bytes of memory that streams hold now and held at most.
    pub fn buffer_use(&self) -> BufferUsage {
        self.inner.pool.in_use()
    }
}

impl Inner {
    /// The location that takes new uploads first, then the others.
    pub(crate) fn locations(&self) -> impl Iterator<Item = &Arc<Filesystem>> {
        let default = self.locations.get(&self.default);
        let others = self
            .locations
            .iter()
            .filter(|(name, _)| **name != self.default);
        default
            .into_iter()
            .chain(others.map(|(_, location)| location))
    }

    pub(crate) fn default_location(&self) -> &str {
        &self.default
    }

    pub(crate) fn location(&self, name: &str) -> Result<&Arc<Filesystem>> {
        self.locations
            .get(name)
            .ok_or_else(|| Error::UnknownLocation(name.to_owned()))
    }

    pub(crate) fn location_of(&self, place: &BlobPlace) -> Result<Arc<Filesystem>> {
        self.location(&place.location).map(Arc::clone)
    }
}

/// Moves bytes for one operation. Cheap to clone; clones charge the same meter.
#[derive(Clone, Debug)]
pub struct Transfers {
    pub(crate) inner: Arc<Inner>,
    pub(crate) context: Context,
}

impl Transfers {
    /// Charges the CPU time of hashing to the operation.
    pub(crate) fn meter(&self) -> CpuMeter {
        CpuMeter {
            cost: Arc::clone(&self.context.cost),
            clock: Arc::clone(&self.inner.host.clock),
        }
    }
}

/// Measures CPU work where it is done.
#[derive(Clone)]
pub(crate) struct CpuMeter {
    pub(crate) cost: Arc<seawall_types::Cost>,
    clock: Arc<dyn Clock>,
}

impl CpuMeter {
    /// Runs work that only computes, and charges the time it took.
    pub(crate) fn cpu<T>(&self, work: impl FnOnce() -> T) -> T {
        let begun = self.clock.elapsed();
        let done = work();
        self.cost
            .charge_cpu(self.clock.elapsed().saturating_sub(begun));
        done
    }
}

impl fmt::Debug for CpuMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

/// Runs work that waits for a disk or computes for long, off the runtime's threads; it runs to its
/// end the caller that waits.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Error::unfinished)?
}
