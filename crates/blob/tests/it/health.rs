//! Looking at a disk: what fails on it is noticed, nothing is left behind, and one that hangs holds
//! one look.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::task::Poll;

use seawall_blob::files::{Fault, FaultyFiles, FileEvent, FileOperation};
use seawall_blob::fixture::StoreUnderTest;
use seawall_blob::{Blobs, Config};

const EIO: i32 = 5;

async fn store(data: &Path, files: &Arc<FaultyFiles>) -> Blobs {
    let subject = StoreUnderTest::on_files(data, &Config::default(), files.clone());
    let blobs = subject.open().await;
    files.take_events();
    blobs
}

/// What a look has left behind.
fn left(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data.join("blobs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name != "uploads" && name != "store")
        .collect()
}

#[tokio::test]
async fn a_look_goes_as_far_as_a_blob_does_and_leaves_nothing() {
    let data = tempfile::tempdir().unwrap();
    let files = Arc::new(FaultyFiles::new());
    let blobs = store(data.path(), &files).await;
    blobs.health(true).await.unwrap();
    let events = files.take_events();
    let synced = |event: &FileEvent| matches!(event, FileEvent::Synced(_));
    let renamed = |event: &FileEvent| matches!(event, FileEvent::Renamed { .. });
    let named = |event: &FileEvent| matches!(event, FileEvent::SyncedDirectory(_));
    let order: Vec<_> = [synced, renamed, named]
        .map(|kind| events.iter().position(kind).unwrap())
        .into();
    assert!(order.is_sorted(), "{events:?}");
    blobs.health(false).await.unwrap();
    assert!(!files.take_events().iter().any(synced), "this one is cheap");
    assert_eq!(left(data.path()), [""; 0]);
}

#[tokio::test]
async fn whatever_fails_is_noticed_as_long_as_it_fails() {
    let data = tempfile::tempdir().unwrap();
    let files = Arc::new(FaultyFiles::new());
    let blobs = store(data.path(), &files).await;
    for operation in [
        FileOperation::Create,
        FileOperation::Write,
        FileOperation::Fsync,
        FileOperation::Rename,
        FileOperation::FsyncDirectory,
        FileOperation::Remove,
    ] {
        files.fail(Fault {
            operation,
            nth: 1,
            errno: EIO,
            lasting: true,
        });
        for _ in 0..3 {
            assert!(blobs.health(true).await.is_err(), "{operation:?}");
        }
        files.heal();
        blobs.health(true).await.unwrap();
        assert_eq!(left(data.path()), [""; 0], "{operation:?}");
    }
}

#[test]
fn a_disk_that_hangs_holds_one_look() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let data = tempfile::tempdir().unwrap();
        let blobs = store(data.path(), &Arc::new(FaultyFiles::new())).await;
        // The only thread that may wait for a disk waits for us.
        let (answer, disk) = mpsc::sync_channel::<()>(1);
        let hanging = tokio::task::spawn_blocking(move || disk.recv());
        let mut first = std::pin::pin!(blobs.health(true));
        assert!(futures::poll!(&mut first).is_pending());
        for durably in [true, false] {
            // At once, or it would wait for the disk as well.
            let second = futures::poll!(std::pin::pin!(blobs.health(durably)));
            assert!(matches!(second, Poll::Ready(Err(_))));
        }
        answer.send(()).unwrap();
        first.await.unwrap();
        blobs.health(true).await.unwrap();
        hanging.await.unwrap().unwrap();
    });
}
