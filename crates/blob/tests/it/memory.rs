//! Constant memory, and nothing left open.

use bytes::Bytes;
use futures::{StreamExt, stream};
use seawall_blob::fixture::StoreUnderTest;
use seawall_blob::{AppendLimit, BodyError, FinishOutcome};
use seawall_types::digest::{Algorithm, AlgorithmSet, Hasher};
use seawall_types::{Context, Lane};
use uuid::Uuid;

const STREAM_LIMIT: usize = 2 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_mebibytes_in_two() {
    let data = tempfile::tempdir().unwrap();
    let blobs = StoreUnderTest::on_disk(data.path()).open().await;
    let transfers = blobs.session(Context::new(Lane::Push));
    let frame = Bytes::from(seawall_blob::fixture::noise(1 << 20, 1));
    let mut hasher = Hasher::new(AlgorithmSet::SHA256);
    (0..300).for_each(|_| hasher.update(&frame));
    let digest = hasher.finish(Algorithm::Sha256).unwrap();
    let id = Uuid::from_u128(1);
    let hold = transfers.hold(id).await.unwrap();
    let body = stream::repeat(frame).take(300).map(Ok::<_, BodyError>);
    let state = transfers.begin(id, None);
    let limit = AppendLimit::default();
    let done = transfers
        .append_and_finish(&hold, state, body, limit, &digest)
        .await
        .unwrap();
    let FinishOutcome::Stored(stored) = done else {
        unreachable!("a whole body")
    };
    let up = blobs.buffer_use();
    assert!(up.held == 0 && up.peak <= STREAM_LIMIT, "{up:?}");

    let mut download = transfers
        .open(&stored.place, stored.size, None)
        .await
        .unwrap();
    let mut length = 0;
    while let Some(chunk) = download.stream.next().await {
        length += chunk.unwrap().len() as u64;
        assert!(blobs.buffer_use().held <= STREAM_LIMIT);
    }
    assert_eq!(length, 300 << 20);
    assert_eq!(blobs.buffer_use().held, 0);
}

/// Frames of a byte, each of which pins a large allocation, are copied out of it.
#[tokio::test]
async fn tiny_frames_cost_no_more() {
    let data = tempfile::tempdir().unwrap();
    let blobs = StoreUnderTest::on_disk(data.path()).open().await;
    let transfers = blobs.session(Context::new(Lane::Push));
    let id = Uuid::from_u128(1);
    let hold = transfers.hold(id).await.unwrap();
    let body = stream::repeat(Bytes::from_static(b"x"))
        .take(3_000_000)
        .map(Ok::<_, BodyError>);
    let limit = AppendLimit::exactly(3_000_000);
    let done = transfers
        .append(&hold, transfers.begin(id, None), body, limit)
        .await
        .unwrap();
    assert_eq!(done.received, 3_000_000);
    assert!(blobs.buffer_use().peak <= STREAM_LIMIT);
}

#[tokio::test]
async fn files_are_closed_when_streams_and_holds_go() {
    let bench = crate::Bench::new().await;
    let open = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = links.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        targets
            .filter(|target| target.starts_with(bench.data.path()))
            .count()
    };
    let id = Uuid::from_u128(1);
    let hold = bench.transfers.hold(id).await.unwrap();
    let body = stream::repeat(Bytes::from_static(&[7; 4096]))
        .take(500)
        .map(Ok::<_, BodyError>);
    let state = bench.transfers.begin(id, None);
    let done = bench
        .transfers
        .append(&hold, state, body, AppendLimit::default())
        .await
        .unwrap();
    assert_eq!(open(), 1);
    drop(hold);
    assert_eq!(open(), 0);
    let hold = bench.transfers.hold(id).await.unwrap();
    let mut hasher = Hasher::new(AlgorithmSet::SHA256);
    hasher.update(&vec![7; 4096 * 500]);
    let digest = hasher.finish(Algorithm::Sha256).unwrap();
    let stored = bench
        .transfers
        .finish(&hold, done.state, &digest)
        .await
        .unwrap();
    assert_eq!(open(), 0);
    let mut download = bench
        .transfers
        .open(&stored.place, stored.size, None)
        .await
        .unwrap();
    assert_eq!(open(), 1);
    assert!(download.stream.next().await.is_some());
    drop(download);
    // A read that was under way ends first.
    while open() > 0 {
        tokio::task::yield_now().await;
    }
}
