//! The file system as a backend: the suite, and what only files can get wrong.
#![expect(
    clippy::unwrap_used,
    reason = "in a test, what was not expected is a failure"
)]

mod faults;
mod health;
mod memory;
mod order;
mod power;
mod property;

use std::sync::Arc;

use seawall_blob::files::FaultyFiles;
use seawall_blob::fixture::StoreUnderTest;
use seawall_blob::{Config, Transfers};
use seawall_types::{Context, Lane};
use tempfile::TempDir;

/// A store on files that can be made to fail.
struct Bench {
    data: TempDir,
    files: Arc<FaultyFiles>,
    transfers: Transfers,
}

impl Bench {
    async fn new() -> Self {
        Self::on(FaultyFiles::new()).await
    }

    async fn on(files: FaultyFiles) -> Self {
        let data = tempfile::tempdir().unwrap();
        let files = Arc::new(files);
        let subject = StoreUnderTest::on_files(data.path(), &Config::default(), files.clone());
        let transfers = subject.open().await.session(Context::new(Lane::Push));
        files.take_events();
        Self {
            data,
            files,
            transfers,
        }
    }

    /// How many uploads and blobs there are on the disk.
    fn counts(&self) -> (usize, usize) {
        let root = self.data.path().join("blobs");
        let count = |path| std::fs::read_dir(path).unwrap().count();
        let blobs = std::fs::read_dir(root.join("store")).unwrap();
        (
            count(root.join("uploads")),
            blobs.map(|entry| count(entry.unwrap().path())).sum(),
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite() {
    let data = tempfile::tempdir().unwrap();
    seawall_blob::suite::run(&StoreUnderTest::on_disk(data.path())).await;
}
