//! Prints how fast bytes go in and out on this machine's disk: `throughput [directory]
//! [mebibytes]`.
//!
//! Not a test: the figures depend on the machine and on who else uses it. Downloads come from the
//! page cache.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails has no figure")]

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use seawall_blob::fixture::{ShiftedClock, StoreUnderTest, noise};
use seawall_blob::{AppendLimit, BodyError, FinishOutcome, StoredBlob, Transfers};
use seawall_types::digest::{Algorithm, AlgorithmSet, Digest, Hasher};
use seawall_types::{Clock, Context, Lane};
use uuid::Uuid;

#[derive(Clone)]
struct Body {
    frames: Vec<Bytes>,
    size: u64,
    digest: Digest,
}

impl Body {
    fn new(size: usize, frame: usize) -> Self {
        let pattern = Bytes::from(noise(size.min(8 << 20), size as u64));
        let mut hasher = Hasher::new(AlgorithmSet::SHA256);
        let mut frames = Vec::new();
        let mut left = size;
        while left > 0 {
            let start = (size - left) % pattern.len();
            let end = pattern.len().min(start + frame.min(left));
            let frame = pattern.slice(start..end);
            hasher.update(&frame);
            left -= frame.len();
            frames.push(frame);
        }
        let digest = hasher.finish(Algorithm::Sha256).unwrap();
        Self {
            frames,
            size: size as u64,
            digest,
        }
    }

    fn stream(&self) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + use<> {
        stream::iter(self.frames.clone()).map(Ok)
    }
}

async fn at_once(transfers: &Transfers, body: &Body, id: u128) -> StoredBlob {
    let id = Uuid::from_u128(id);
    let hold = transfers.hold(id).await.unwrap();
    let (state, limit) = (transfers.begin(id, None), AppendLimit::exactly(body.size));
    let finished = transfers.append_and_finish(&hold, state, body.stream(), limit, &body.digest);
    match finished.await.unwrap() {
        FinishOutcome::Stored(stored) => stored,
        FinishOutcome::Unfinished(appended) => unreachable!("{appended:?}"),
    }
}

async fn in_two(transfers: &Transfers, body: &Body, id: u128) -> StoredBlob {
    let id = Uuid::from_u128(id);
    let hold = transfers.hold(id).await.unwrap();
    let (state, limit) = (transfers.begin(id, None), AppendLimit::default());
    let appended = transfers
        .append(&hold, state, body.stream(), limit)
        .await
        .unwrap();
    drop(hold);
    let hold = transfers.hold(id).await.unwrap();
    transfers
        .finish(&hold, appended.state, &body.digest)
        .await
        .unwrap()
}

async fn download(transfers: &Transfers, stored: &StoredBlob) {
    let mut download = transfers
        .open(&stored.place, stored.size, None)
        .await
        .unwrap();
    let mut length = 0;
    while let Some(chunk) = download.stream.next().await {
        length += chunk.unwrap().len() as u64;
    }
    assert_eq!(length, stored.size);
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn print(what: &str, bytes: u64, times: u64, took: Duration) {
    let seconds = took.as_secs_f64();
    let rate = (bytes * times) as f64 / 1e6 / seconds;
    let each = seconds * 1e6 / times as f64;
    println!(
        "{what:<44} {rate:>8.0} MB/s {:>8.0} /s {each:>10.0} µs each",
        times as f64 / seconds
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let large = arguments
        .next()
        .map_or(1024, |text| text.parse::<usize>().unwrap())
        << 20;
    let data = tempfile::tempdir_in(directory).unwrap();
    let transfers = StoreUnderTest::on_disk(data.path())
        .open()
        .await
        .session(Context::new(Lane::Push));
    let clock = ShiftedClock::default();
    let mut id = 0;
    for (name, size, frame, times) in [
        ("large, frames of 16 KiB", large, 16 << 10, 1),
        ("large, frames of 256 KiB", large, 256 << 10, 1),
        ("512 KiB", 512 << 10, 64 << 10, 200),
        ("100 KiB", 100 << 10, 16 << 10, 500),
        ("4 KiB", 4 << 10, 16 << 10, 1000),
    ] {
        let body = Body::new(size, frame);
        for (way, whole) in [("at once", true), ("append, finish", false)] {
            let begun = clock.elapsed();
            let mut stored = Vec::new();
            for _ in 0..times {
                id += 1;
                stored.push(if whole {
                    at_once(&transfers, &body, id).await
                } else {
                    in_two(&transfers, &body, id).await
                });
            }
            let took = clock.elapsed().saturating_sub(begun);
            print(&format!("{name}: {way}"), body.size, times, took);
            let begun = clock.elapsed();
            for stored in &stored {
                download(&transfers, stored).await;
            }
            let took = clock.elapsed().saturating_sub(begun);
            print(&format!("{name}: download"), body.size, times, took);
            for stored in stored {
                assert!(transfers.delete(&stored.place).await.unwrap());
            }
        }
    }
}
