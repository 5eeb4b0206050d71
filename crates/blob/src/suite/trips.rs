//! Round trips: bytes that go in come out, however they went in.

use seawall_types::digest::{Algorithm, Digest};

use super::{append, begin, content, sha256, store};
use crate::buffer::{CHUNK, GATHER};
use crate::fixture::{StoreUnderTest, body, noise};
use crate::{AppendLimit, FinishOutcome, StoredBlob, UploadState};

pub(super) async fn run(subject: &StoreUnderTest) {
    every_size_comes_back(subject).await;
    sha512_comes_back_announced_or_not(subject).await;
    chunks_make_a_whole(subject).await;
    another_replica_goes_on(subject).await;
    what_moves_is_charged(subject).await;
}

async fn every_size_comes_back(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let edges = [
        GATHER - 1,
        GATHER,
        GATHER + 1,
        CHUNK,
        CHUNK + 1,
        2 * GATHER,
        5 * 1024 * 1024 + 3,
    ];
    for size in [0, 1, 63, 64, 65, 4096, CHUNK - 1].into_iter().chain(edges) {
        let bytes = noise(size, size as u64);
        let stored = store(&transfers, &bytes).await;
        assert_eq!((stored.digest, stored.size), (sha256(&bytes), size as u64));
        assert_eq!(
            content(&transfers, &stored).await,
            bytes,
            "append and finish, {size} bytes"
        );
        for (frame, limit) in [
            (7919, AppendLimit::exactly(size as u64)),
            (1 << 20, AppendLimit::default()),
        ] {
            let stored = at_once(subject, &bytes, frame, limit).await;
            assert_eq!((stored.digest, stored.size), (sha256(&bytes), size as u64));
            assert_eq!(
                content(&transfers, &stored).await,
                bytes,
                "at once, {size} bytes"
            );
        }
    }
}

async fn at_once(
    subject: &StoreUnderTest,
    bytes: &[u8],
    frame: usize,
    limit: AppendLimit,
) -> StoredBlob {
    let transfers = subject.transfers().await;
    let (hold, state) = begin(&transfers, None).await;
    let (frames, digest) = (body(bytes, frame), sha256(bytes));
    match transfers
        .append_and_finish(&hold, state, frames, limit, &digest)
        .await
        .unwrap()
    {
        FinishOutcome::Stored(stored) => stored,
        FinishOutcome::Unfinished(appended) => unreachable!("{appended:?}"),
    }
}

async fn sha512_comes_back_announced_or_not(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let bytes = noise(GATHER * 2 + 5, 512);
    let wanted = Digest::of(Algorithm::Sha512, &bytes);
    for announced in [None, Some(Algorithm::Sha512), Some(Algorithm::Sha256)] {
        let (hold, state) = begin(&transfers, announced).await;
        let state = append(&transfers, &hold, state, &bytes[..1000]).await;
        let rest = body(&bytes[1000..], 4096);
        let limit = AppendLimit::default();
        let finished = transfers
            .append_and_finish(&hold, state, rest, limit, &wanted)
            .await;
        let FinishOutcome::Stored(stored) = finished.unwrap() else {
            unreachable!("a whole body")
        };
        assert_eq!(stored.digest, wanted);
        let free = if announced == Some(Algorithm::Sha512) {
            vec![]
        } else {
            vec![sha256(&bytes)]
        };
        assert_eq!(stored.also, free);
        assert_eq!(content(&transfers, &stored).await, bytes);
    }
    let (hold, state) = begin(&transfers, None).await;
    let (frames, limit) = (body(&bytes, 4096), AppendLimit::default());
    let finished = transfers
        .append_and_finish(&hold, state, frames, limit, &wanted)
        .await
        .unwrap();
    assert!(matches!(finished, FinishOutcome::Stored(stored) if stored.digest == wanted));
    let (hold, state) = begin(&transfers, Some(Algorithm::Sha512)).await;
    let state = append(&transfers, &hold, state, &bytes).await;
    let stored = transfers
        .finish(&hold, state, &sha256(&bytes))
        .await
        .unwrap();
    assert_eq!(stored.also, [wanted], "announced one, asked for the other");
}

async fn chunks_make_a_whole(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let bytes = noise(7_000_000, 3);
    let (hold, mut state) = begin(&transfers, None).await;
    let mut rest = &bytes[..];
    for size in [
        1,
        1,
        1,
        2,
        1000,
        1024,
        65_536,
        GATHER,
        5 * 1024 * 1024,
        1,
        100_000,
    ] {
        let (chunk, after) = rest.split_at(size);
        state = append(&transfers, &hold, state, chunk).await;
        rest = after;
    }
    assert_eq!(state.generation(), 11);
    state = append(&transfers, &hold, state, rest).await;
    let stored = transfers
        .finish(&hold, state, &sha256(&bytes))
        .await
        .unwrap();
    assert_eq!(content(&transfers, &stored).await, bytes);
}

async fn another_replica_goes_on(subject: &StoreUnderTest) {
    let bytes = noise(3 * GATHER, 4);
    let first = subject.transfers().await;
    let (hold, state) = begin(&first, None).await;
    let state = append(&first, &hold, state, &bytes[..GATHER + 100]).await;
    drop(hold);
    let row = state.to_bytes();
    let second = subject.transfers().await;
    let state = UploadState::from_bytes(&row).unwrap();
    let hold = second.hold(state.id()).await.unwrap();
    let state = append(&second, &hold, state, &bytes[GATHER + 100..]).await;
    let stored = second.finish(&hold, state, &sha256(&bytes)).await.unwrap();
    assert_eq!(content(&first, &stored).await, bytes);
}

async fn what_moves_is_charged(subject: &StoreUnderTest) {
    let bytes = noise(3 * 1024 * 1024, 5);
    let transfers = subject.transfers().await;
    let stored = store(&transfers, &bytes).await;
    content(&transfers, &stored).await;
    let spent = transfers.context.cost.snapshot();
    assert_eq!(
        (spent.bytes_in, spent.bytes_out),
        (bytes.len() as u64, bytes.len() as u64)
    );
    assert!(
        spent.cpu_micros > 100,
        "hashing 3 MiB takes longer than {} µs",
        spent.cpu_micros
    );
}
