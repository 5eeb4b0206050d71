//! What is durable when.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use seawall_blob::files::{FaultyFiles, FileEvent};
use seawall_blob::fixture::{body, noise};
use seawall_blob::{AppendLimit, BlobPlace, FinishOutcome};
use seawall_types::digest::{Algorithm, Digest};
use uuid::Uuid;

use crate::Bench;

const ID: Uuid = Uuid::from_u128(42);

/// The kinds of events and the last part of the path of each.
fn names(events: &[FileEvent]) -> Vec<String> {
    let last = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let name = |event: &FileEvent| match event {
        FileEvent::Created(path) => format!("create {}", last(path)),
        FileEvent::Wrote {
            path,
            offset,
            length,
            ..
        } => {
            format!("write {} {offset}+{length}", last(path))
        }
        FileEvent::SetSize { path, size } => format!("cut {} {size}", last(path)),
        FileEvent::Synced(path) => format!("sync {}", last(path)),
        FileEvent::Renamed { from, to } => format!("rename {} {}", last(from), last(to)),
        FileEvent::Removed(path) => format!("remove {}", last(path)),
        FileEvent::MadeDirectory(path) => format!("mkdir {}", last(path)),
        FileEvent::SyncedDirectory(path) => format!("sync directory {}", last(path)),
    };
    events.iter().map(name).collect()
}

fn parts(place: &BlobPlace) -> (&str, &str) {
    place.key.split_once('/').unwrap()
}

#[tokio::test]
async fn opening_makes_directories_durable() {
    let data = tempfile::tempdir().unwrap();
    let files = std::sync::Arc::new(FaultyFiles::new());
    let config = seawall_blob::Config::default();
    let data = data.path().join("a/b");
    let subject = seawall_blob::fixture::StoreUnderTest::on_files(&data, &config, files.clone());
    subject.open().await;
    let top = data
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap();
    let expected = [
        "mkdir a",
        &format!("sync directory {top}"),
        "mkdir b",
        "sync directory a",
        "mkdir blobs",
        "sync directory b",
        "mkdir uploads",
        "sync directory blobs",
        "mkdir store",
        "sync directory blobs",
        "sync directory blobs",
        "sync directory b",
    ];
    assert_eq!(names(&files.take_events()), expected);
    subject.open().await;
    let again = ["sync directory blobs", "sync directory b"];
    assert_eq!(names(&files.take_events()), again);
}

#[tokio::test]
async fn a_monolithic_upload_costs_one_of_each() {
    let bench = Bench::new().await;
    let hold = bench.transfers.hold(ID).await.unwrap();
    let state = bench.transfers.begin(ID, None);
    let (frames, limit) = (body(b"abc", 1), AppendLimit::exactly(3));
    let digest = Digest::of(Algorithm::Sha256, b"abc");
    let done = bench
        .transfers
        .append_and_finish(&hold, state, frames, limit, &digest)
        .await;
    let FinishOutcome::Stored(stored) = done.unwrap() else {
        unreachable!("a whole body")
    };
    let (prefix, key) = parts(&stored.place);
    let expected = [
        format!("create {ID}"),
        format!("write {ID} 0+3"),
        format!("sync {ID}"),
        format!("mkdir {prefix}"),
        "sync directory store".to_owned(),
        format!("rename {ID} {key}"),
        format!("sync directory {prefix}"),
    ];
    assert_eq!(names(&bench.files.take_events()), expected);
}

#[tokio::test]
async fn appends_are_durable_and_a_finish_adds_no_sync_of_data() {
    let bench = Bench::new().await;
    let hold = bench.transfers.hold(ID).await.unwrap();
    let state = bench.transfers.begin(ID, None);
    let limit = AppendLimit::default();
    assert!(
        bench.files.take_events().is_empty(),
        "nothing is stored before the first byte"
    );
    let done = bench
        .transfers
        .append(&hold, state, body(b"abc", 1), limit)
        .await
        .unwrap();
    let expected = [
        format!("create {ID}"),
        format!("write {ID} 0+3"),
        format!("sync {ID}"),
        "sync directory uploads".into(),
    ];
    assert_eq!(names(&bench.files.take_events()), expected);
    let done = bench
        .transfers
        .append(&hold, done.state, body(b"de", 2), limit)
        .await
        .unwrap();
    assert_eq!(
        names(&bench.files.take_events()),
        [format!("write {ID} 3+2"), format!("sync {ID}")]
    );
    let digest = Digest::of(Algorithm::Sha256, b"abcde");
    let stored = bench
        .transfers
        .finish(&hold, done.state, &digest)
        .await
        .unwrap();
    let (prefix, key) = parts(&stored.place);
    let expected = [
        format!("mkdir {prefix}"),
        "sync directory store".to_owned(),
        format!("rename {ID} {key}"),
        format!("sync directory {prefix}"),
    ];
    assert_eq!(names(&bench.files.take_events()), expected);
}

/// A tail that no row counts is cut off, durably, before the file becomes a blob.
#[tokio::test]
async fn a_cut_is_durable_before_the_rename() {
    let bench = Bench::new().await;
    let hold = bench.transfers.hold(ID).await.unwrap();
    let limit = AppendLimit::default();
    let state = bench.transfers.begin(ID, None);
    let done = bench
        .transfers
        .append(&hold, state, body(b"abc", 1), limit)
        .await
        .unwrap();
    let lost = bench
        .transfers
        .append(&hold, done.state.clone(), body(b"lost", 9), limit)
        .await;
    assert_eq!(lost.unwrap().received, 4);
    bench.files.take_events();
    let digest = Digest::of(Algorithm::Sha256, b"abc");
    let _ = bench
        .transfers
        .finish(&hold, done.state, &digest)
        .await
        .unwrap();
    let events = names(&bench.files.take_events());
    assert_eq!(events[..2], [format!("cut {ID} 3"), format!("sync {ID}")]);
}

/// Whatever was done: at the time of each rename all that was written to the file is durable, and
/// no success is told before the new name is.
#[tokio::test]
async fn nothing_is_named_before_it_is_durable() {
    let bench = Bench::new().await;
    for (round, size) in [0, 1, 100_000, 600_000, 2_000_000].into_iter().enumerate() {
        let bytes = noise(size, 7);
        let id = Uuid::from_u128(round as u128);
        let hold = bench.transfers.hold(id).await.unwrap();
        let state = bench.transfers.begin(id, None);
        let limit = AppendLimit::default();
        let (first, second) = bytes.split_at(size / 3);
        let done = bench
            .transfers
            .append(&hold, state, body(first, 4096), limit)
            .await
            .unwrap();
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        let rest = body(second, 4096);
        let done = bench
            .transfers
            .append_and_finish(&hold, done.state, rest, limit, &digest)
            .await;
        assert!(matches!(done.unwrap(), FinishOutcome::Stored(_)));
        check(&bench.files.take_events());
    }
}

fn check(events: &[FileEvent]) {
    let mut dirty: HashMap<PathBuf, bool> = HashMap::new();
    let mut unnamed = Vec::new();
    for event in events {
        match event {
            FileEvent::Created(path)
            | FileEvent::Wrote { path, .. }
            | FileEvent::SetSize { path, .. } => {
                dirty.insert(path.clone(), true);
            }
            FileEvent::Synced(path) => {
                dirty.insert(path.clone(), false);
            }
            FileEvent::Renamed { from, to } => {
                assert_ne!(
                    dirty.get(from),
                    Some(&true),
                    "{} was renamed before its data was durable",
                    from.display()
                );
                unnamed.push(to.parent().unwrap().to_owned());
            }
            FileEvent::SyncedDirectory(path) => unnamed.retain(|parent| parent != path),
            FileEvent::Removed(_) | FileEvent::MadeDirectory(_) => {}
        }
    }
    assert!(unnamed.is_empty(), "told before durable: {unnamed:?}");
}

/// Whoever comes back to an upload after the sweep has listed it keeps it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_spares_what_goes_on_while_it_looks() {
    let bench = Bench::new().await;
    let day = std::time::Duration::from_hours(24);
    let append = async |transfers: seawall_blob::Transfers, state, bytes: &'static [u8]| {
        let hold = transfers.hold(ID).await.unwrap();
        let limit = AppendLimit::default();
        let appended = transfers.append(&hold, state, body(bytes, 10), limit).await;
        appended.unwrap().state
    };
    let transfers = bench.transfers.clone();
    let state = append(transfers.clone(), transfers.begin(ID, None), b"bytes").await;
    let path = bench.data.path().join("blobs/uploads").join(ID.to_string());
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let old = file.metadata().unwrap().modified().unwrap() - 10 * day;
    file.set_modified(old).unwrap();
    let (here, late) = (tokio::runtime::Handle::current(), state.clone());
    let returning = move |_| {
        here.block_on(append(transfers.clone(), late.clone(), b" more"));
        false
    };
    let swept = bench.transfers.sweep(returning, day).await.unwrap();
    assert_eq!((swept.files, bench.counts()), (0, (1, 0)));
}
