//! Fixtures around a store: a clock that moves, randomness, tasks, bodies and readers.
//!
//! For tests and measurements only; nothing here is fit for service.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where a test's time and tasks come from"
)]

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use seawall_types::work::TaskFuture;
use seawall_types::{Clock, Context, Lane, Millis, Random, Spawner};

use crate::files::{DiskFiles, Files};
use crate::{BodyError, ByteStream, Config, Error, StoreRuntime, Transfers};

/// The machine's clock, moved forward at will.
#[derive(Debug)]
pub struct ShiftedClock {
    start: Instant,
    ahead: AtomicU64,
}

impl ShiftedClock {
    /// Moves both kinds of time.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead.load(Ordering::Relaxed))
    }
}

impl Default for ShiftedClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            ahead: AtomicU64::new(0),
        }
    }
}

impl Clock for ShiftedClock {
    fn wall(&self) -> Millis {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Millis(0) + since + self.ahead()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed() + self.ahead()
    }
}

/// Numbers that differ between processes and calls; not secure.
#[derive(Debug, Default)]
pub struct SeededRandom {
    calls: AtomicU64,
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let seed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .subsec_nanos();
        let count = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut state = count ^ u64::from(seed) << 32 ^ u64::from(std::process::id()) << 16;
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&mix(&mut state).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Spawns on the runtime it is used in.
#[derive(Clone, Copy, Debug)]
pub struct UntrackedSpawner;

impl Spawner for UntrackedSpawner {
    fn spawn(&self, _name: &'static str, work: TaskFuture) {
        tokio::spawn(work);
    }
}

type StoreOptions = Pin<Box<dyn Future<Output = crate::Blobs> + Send>>;

/// A store under test, which can be opened several times as by several replicas.
pub struct StoreUnderTest {
    open: Box<dyn Fn() -> StoreOptions + Send + Sync>,
    /// The clock of all its instances.
    pub clock: Arc<ShiftedClock>,
}

impl StoreUnderTest {
    /// A store behind whatever `open` does; `clock` must be the one that it uses.
    pub fn new(
        clock: Arc<ShiftedClock>,
        open: impl Fn() -> StoreOptions + Send + Sync + 'static,
    ) -> Self {
        Self {
            open: Box::new(open),
            clock,
        }
    }

    /// The standard store in a directory.
    pub fn on_disk(data: &Path) -> Self {
        Self::on_files(data, &Config::default(), Arc::new(DiskFiles))
    }

    /// A store in a directory of files that may fail.
    ///
    /// # Panics
    /// When it is opened and does not open.
    #[expect(
        clippy::expect_used,
        reason = "a store that does not open ends the test"
    )]
    pub fn on_files(data: &Path, config: &Config, files: Arc<dyn Files>) -> Self {
        let clock = Arc::new(ShiftedClock::default());
        let host = StoreRuntime {
            tasks: Arc::new(UntrackedSpawner),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            random: Arc::new(SeededRandom::default()),
            files,
        };
        let (data, config) = (data.to_owned(), config.clone());
        Self::new(clock, move || {
            let (data, config, host) = (data.clone(), config.clone(), host.clone());
            Box::pin(async move {
                crate::Blobs::open_on(&config, &data, host)
                    .await
                    .expect("the store opens")
            })
        })
    }

    /// Opens it once more.
    ///
    /// # Panics
    /// If it does not open.
    pub async fn open(&self) -> crate::Blobs {
        (self.open)().await
    }

    /// Opens it and makes a handle.
    pub async fn transfers(&self) -> Transfers {
        self.open().await.session(Context::new(Lane::Push))
    }
}

/// Bytes without a pattern, always the same for a seed.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut at = seed;
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&mix(&mut at).to_le_bytes()[..chunk.len()]);
    }
    bytes
}

/// One step of splitmix64.
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A body of these bytes in frames of this size.
pub fn body(
    bytes: &[u8],
    frame: usize,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + use<> {
    let frames: Vec<_> = bytes
        .chunks(frame.max(1))
        .map(Bytes::copy_from_slice)
        .map(Ok)
        .collect();
    stream::iter(frames)
}

/// A body that breaks after these bytes.
pub fn broken(
    bytes: &[u8],
    frame: usize,
    why: BodyError,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + use<> {
    body(bytes, frame).chain(stream::iter([Err(why)]))
}

/// Reads a download to its end.
pub async fn read(mut stream: ByteStream) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}
