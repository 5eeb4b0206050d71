//! The conformance suite of storage backends.
//!
//! It speaks to a store only through its public face, so it says nothing of files. What is special
//! to one backend (the order of fsync and rename, say) is tested beside that backend. A case that
//! fails panics.
#![expect(
    clippy::unwrap_used,
    reason = "in a test, what was not expected is a failure"
)]

mod appending;
mod holding;
mod keeping;
mod reading;
mod trips;

use seawall_types::digest::{Algorithm, Digest};
use uuid::Uuid;

use crate::fixture::{StoreUnderTest, body};
use crate::{
    AppendLimit, AppendOutcome, BodyOutcome, StoredBlob, Transfers, UploadLock, UploadState,
};

/// Runs every case on one store, which must be empty.
///
/// # Panics
/// If a case fails.
pub async fn run(subject: &StoreUnderTest) {
    trips::run(subject).await;
    appending::run(subject).await;
    holding::run(subject).await;
    reading::run(subject).await;
    keeping::run(subject).await;
    let held = subject.open().await.buffer_use().held;
    assert_eq!(held, 0, "all buffers came back");
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

fn fresh_id() -> Uuid {
    seawall_types::time::uuid(&crate::fixture::SeededRandom::default())
}

async fn begin(transfers: &Transfers, algorithm: Option<Algorithm>) -> (UploadLock, UploadState) {
    let id = fresh_id();
    (
        transfers.hold(id).await.unwrap(),
        transfers.begin(id, algorithm),
    )
}

/// Appends all of these bytes, which must succeed.
async fn append(
    transfers: &Transfers,
    hold: &UploadLock,
    state: UploadState,
    bytes: &[u8],
) -> UploadState {
    let before = state.offset();
    let frames = body(bytes, 10_000);
    let done = transfers
        .append(hold, state, frames, AppendLimit::default())
        .await
        .unwrap();
    let AppendOutcome {
        state,
        received,
        outcome,
    } = done;
    assert_eq!(outcome, BodyOutcome::Complete);
    assert_eq!(received, bytes.len() as u64);
    assert_eq!(state.offset(), before + received);
    state
}

/// Stores these bytes by one append and a finish.
async fn store(transfers: &Transfers, bytes: &[u8]) -> StoredBlob {
    let (hold, state) = begin(transfers, None).await;
    let state = append(transfers, &hold, state, bytes).await;
    transfers
        .finish(&hold, state, &sha256(bytes))
        .await
        .unwrap()
}

async fn content(transfers: &Transfers, stored: &StoredBlob) -> Vec<u8> {
    let download = transfers
        .open(&stored.place, stored.size, None)
        .await
        .unwrap();
    assert_eq!((download.size, download.length), (stored.size, stored.size));
    crate::fixture::read(download.stream).await.unwrap()
}

async fn blob_count(transfers: &Transfers) -> usize {
    use futures::StreamExt;
    transfers.list().map(Result::unwrap).count().await
}
