//! Bodies that are not what they should be, and rows that are behind their bytes.

use futures::StreamExt;
use seawall_types::digest::Algorithm;

use super::{append, begin, blob_count, content, sha256};
use crate::buffer::GATHER;
use crate::fixture::{StoreUnderTest, body, broken, noise};
use crate::{AppendLimit, BodyError, BodyOutcome, Error, FinishOutcome};

pub(super) async fn run(subject: &StoreUnderTest) {
    broken_bodies_leave_what_came(subject).await;
    wrong_lengths_leave_nothing(subject).await;
    too_much_leaves_nothing(subject).await;
    the_row_counts(subject).await;
    a_wrong_digest_shows_nothing(subject).await;
    nothing_is_something(subject).await;
}

async fn broken_bodies_leave_what_came(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let bytes = noise(3 * GATHER, 10);
    for came in [1, 1000, GATHER, 2 * GATHER + 7] {
        for why in [
            BodyError::ClientGone,
            BodyError::TooSlow,
            BodyError::Other("reset".into()),
        ] {
            let (hold, state) = begin(&transfers, None).await;
            let body = broken(&bytes[..came], 5000, why.clone());
            let limit = AppendLimit::exactly(bytes.len() as u64);
            let done = transfers.append(&hold, state, body, limit).await.unwrap();
            assert_eq!(done.outcome, BodyOutcome::Broken(why));
            assert_eq!(
                (done.received, done.state.offset()),
                (came as u64, came as u64)
            );
            let state = append(&transfers, &hold, done.state, &bytes[came..]).await;
            let stored = transfers
                .finish(&hold, state, &sha256(&bytes))
                .await
                .unwrap();
            assert_eq!(content(&transfers, &stored).await, bytes);
        }
    }
    let (hold, state) = begin(&transfers, None).await;
    let (gone, limit) = (
        broken(&bytes[..10], 3, BodyError::ClientGone),
        AppendLimit::default(),
    );
    let digest = sha256(&bytes[..10]);
    let done = transfers
        .append_and_finish(&hold, state, gone, limit, &digest)
        .await
        .unwrap();
    let FinishOutcome::Unfinished(done) = done else {
        unreachable!("a broken body finishes nothing")
    };
    assert_eq!(
        (done.received, done.outcome),
        (10, BodyOutcome::Broken(BodyError::ClientGone))
    );
    let stored = transfers.finish(&hold, done.state, &digest).await.unwrap();
    assert_eq!(content(&transfers, &stored).await, &bytes[..10]);
}

async fn wrong_lengths_leave_nothing(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let bytes = noise(2 * GATHER + 500, 11);
    for base in [0, 100] {
        for (sent, said) in [
            (10, 11),
            (11, 10),
            (bytes.len(), GATHER),
            (GATHER, bytes.len()),
            (1, 0),
        ] {
            let (hold, state) = begin(&transfers, None).await;
            let state = append(&transfers, &hold, state, &bytes[..base]).await;
            let (frames, limit) = (body(&bytes[..sent], 999), AppendLimit::exactly(said as u64));
            let done = transfers
                .append(&hold, state.clone(), frames, limit)
                .await
                .unwrap();
            assert_eq!(
                done.outcome,
                BodyOutcome::LengthMismatch,
                "{sent} bytes said to be {said}"
            );
            assert_eq!((&done.state, done.received), (&state, 0));
            let state = append(&transfers, &hold, done.state, &bytes[base..]).await;
            let stored = transfers
                .finish(&hold, state, &sha256(&bytes))
                .await
                .unwrap();
            assert_eq!(content(&transfers, &stored).await, bytes);
        }
    }
}

async fn too_much_leaves_nothing(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let bytes = noise(2 * GATHER, 12);
    let max_total = GATHER as u64 + 1;
    let (hold, state) = begin(&transfers, None).await;
    let state = append(&transfers, &hold, state, &bytes[..1]).await;
    let limit = AppendLimit {
        max_total,
        exact: None,
    };
    let done = transfers
        .append(&hold, state, body(&bytes[1..], 1000), limit)
        .await
        .unwrap();
    assert_eq!((done.outcome, done.received), (BodyOutcome::TooLarge, 0));
    // What is said to be too much is not even read.
    let limit = AppendLimit {
        max_total,
        exact: Some(max_total),
    };
    let unread = body(&[], 1).map(|_| unreachable!("the body was read"));
    let done = transfers
        .append(&hold, done.state, unread, limit)
        .await
        .unwrap();
    assert_eq!(
        (done.outcome, done.state.offset()),
        (BodyOutcome::TooLarge, 1)
    );
    let over = broken(&bytes[1..10], 3, BodyError::TooLarge);
    let done = transfers
        .append(&hold, done.state, over, AppendLimit::default())
        .await
        .unwrap();
    assert_eq!(
        (done.outcome, done.state.offset()),
        (BodyOutcome::TooLarge, 1)
    );
    let limit = AppendLimit {
        max_total,
        exact: Some(max_total - 1),
    };
    let full = body(&bytes[1..=GATHER], 1000);
    let done = transfers
        .append(&hold, done.state, full, limit)
        .await
        .unwrap();
    assert_eq!(
        (done.outcome, done.state.offset()),
        (BodyOutcome::Complete, max_total)
    );
}

async fn the_row_counts(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let bytes = noise(3 * GATHER, 13);
    for (kept, lost) in [
        (100, 50),
        (0, 50),
        (0, GATHER + 1),
        (GATHER, GATHER),
        (GATHER + 7, 1),
    ] {
        let (hold, state) = begin(&transfers, None).await;
        let state = append(&transfers, &hold, state, &bytes[..kept]).await;
        // This append succeeds, but its row is never written.
        append(&transfers, &hold, state.clone(), &noise(lost, 99)).await;
        drop(hold);
        let elsewhere = subject.transfers().await;
        let hold = elsewhere.hold(state.id()).await.unwrap();
        let end = kept + lost.min(30);
        let state = append(&elsewhere, &hold, state, &bytes[kept..end]).await;
        let digest = sha256(&bytes[..end]);
        let stored = elsewhere.finish(&hold, state, &digest).await.unwrap();
        assert_eq!(
            content(&elsewhere, &stored).await,
            &bytes[..end],
            "{kept} kept, {lost} lost"
        );
    }
    // The same when nothing follows but the end, by either algorithm.
    for algorithm in Algorithm::ALL {
        let (hold, state) = begin(&transfers, None).await;
        let state = append(&transfers, &hold, state, &bytes[..100]).await;
        append(&transfers, &hold, state.clone(), b"never counted").await;
        let digest = seawall_types::Digest::of(algorithm, &bytes[..100]);
        let stored = transfers.finish(&hold, state, &digest).await.unwrap();
        assert_eq!(content(&transfers, &stored).await, &bytes[..100]);
    }
}

async fn a_wrong_digest_shows_nothing(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let before = blob_count(&transfers).await;
    let bytes = noise(2 * GATHER, 14);
    let wrong = sha256(b"something else");
    for size in [0, 10, bytes.len()] {
        let (hold, state) = begin(&transfers, None).await;
        let (frames, limit) = (body(&bytes[..size], 1000), AppendLimit::default());
        let refused = transfers
            .append_and_finish(&hold, state.clone(), frames, limit, &wrong)
            .await;
        let found = sha256(&bytes[..size]);
        assert!(matches!(refused, Err(Error::DigestMismatch { found: f }) if f == found));
        let state = append(&transfers, &hold, state, &bytes[..size]).await;
        let refused = transfers.finish(&hold, state.clone(), &wrong).await;
        assert!(matches!(refused, Err(Error::DigestMismatch { found: f }) if f == found));
        let wide = seawall_types::Digest::of(Algorithm::Sha512, b"something else");
        let refused = transfers.finish(&hold, state.clone(), &wide).await;
        assert!(matches!(refused, Err(Error::DigestMismatch { .. })));
        assert_eq!(blob_count(&transfers).await, before);
        // The client may correct itself.
        let stored = transfers.finish(&hold, state, &found).await.unwrap();
        assert_eq!(content(&transfers, &stored).await, &bytes[..size]);
        transfers.delete(&stored.place).await.unwrap();
    }
}

async fn nothing_is_something(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let (hold, state) = begin(&transfers, None).await;
    let frames = body(&[], 1);
    let done = transfers
        .append(&hold, state, frames, AppendLimit::exactly(0))
        .await
        .unwrap();
    assert_eq!((done.state.offset(), done.state.generation()), (0, 0));
    let state = append(&transfers, &hold, done.state, b"abc").await;
    let (empty, limit) = (body(&[], 1), AppendLimit::exactly(0));
    let digest = sha256(b"abc");
    let done = transfers
        .append_and_finish(&hold, state, empty, limit, &digest)
        .await
        .unwrap();
    assert!(matches!(done, FinishOutcome::Stored(stored) if stored.size == 3));
}
