//! Mutual exclusion of requests, and no write after the end (protocol §7.14 to §7.16).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, future, stream};

use super::{append, begin, content, fresh_id, sha256};
use crate::buffer::GATHER;
use crate::fixture::{StoreUnderTest, body, noise};
use crate::{AppendLimit, Error};

pub(super) async fn run(subject: &StoreUnderTest) {
    one_holds(subject).await;
    one_makes_the_file(subject).await;
    one_of_many_appends(subject).await;
    a_hold_is_for_its_upload(subject).await;
    nothing_follows_the_end(subject).await;
    a_dropped_append_leaves_the_row_right(subject).await;
}

async fn one_holds(subject: &StoreUnderTest) {
    let (here, there) = (subject.transfers().await, subject.transfers().await);
    let (hold, state) = begin(&here, None).await;
    assert!(matches!(here.hold(state.id()).await, Err(Error::Busy)));
    let state = append(&here, &hold, state, b"abc").await;
    assert!(matches!(here.hold(state.id()).await, Err(Error::Busy)));
    assert!(
        matches!(there.hold(state.id()).await, Err(Error::Busy)),
        "another replica"
    );
    drop(hold);
    let hold = there.hold(state.id()).await.unwrap();
    assert!(
        matches!(here.hold(state.id()).await, Err(Error::Busy)),
        "the first one, now"
    );
    drop(hold);
    assert!(here.hold(state.id()).await.is_ok());
}

/// Before the first byte there is nothing to lock; of two replicas that bring it, one is refused.
async fn one_makes_the_file(subject: &StoreUnderTest) {
    let (here, there) = (subject.transfers().await, subject.transfers().await);
    let (hold, state) = begin(&here, None).await;
    let rival = there.hold(state.id()).await.unwrap();
    let kept = append(&here, &hold, state.clone(), b"abc").await;
    let limit = AppendLimit::default();
    let refused = there.append(&rival, state, body(b"xyz", 1), limit).await;
    assert!(matches!(refused, Err(Error::Busy)));
    // Who held it before there was a file finds the one whose bytes are booked meanwhile.
    drop(hold);
    let kept = append(&there, &rival, kept, b"def").await;
    let stored = there.finish(&rival, kept, &sha256(b"abcdef")).await;
    assert_eq!(content(&here, &stored.unwrap()).await, b"abcdef");
}

async fn one_of_many_appends(subject: &StoreUnderTest) {
    let id = fresh_id();
    let mut rivals = Vec::new();
    for _ in 0..8 {
        rivals.push(subject.transfers().await);
    }
    let bytes = Arc::new(noise(2 * GATHER, 20));
    let attempts = rivals.iter().map(|transfers| {
        let bytes = Arc::clone(&bytes);
        async move {
            let hold = transfers.hold(id).await?;
            let (state, frames) = (transfers.begin(id, None), body(&bytes, 1000));
            let done = transfers
                .append(&hold, state, frames, AppendLimit::default())
                .await?;
            // The hold is kept until all have tried, or a later one would rightly follow.
            Ok::<_, Error>((hold, done))
        }
    });
    let attempts = future::join_all(attempts).await;
    let won: Vec<_> = attempts.iter().filter(|attempt| attempt.is_ok()).collect();
    let lost = attempts
        .iter()
        .filter(|attempt| matches!(attempt, Err(Error::Busy)))
        .count();
    assert_eq!((won.len(), lost), (1, 7), "{attempts:?}");
}

async fn a_hold_is_for_its_upload(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let (hold, _) = begin(&transfers, None).await;
    let other = transfers.begin(fresh_id(), None);
    let refused = transfers
        .append(&hold, other, body(b"abc", 1), AppendLimit::default())
        .await;
    assert!(matches!(refused, Err(Error::State(_))));
}

async fn nothing_follows_the_end(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    for aborted in [true, false] {
        let (hold, state) = begin(&transfers, None).await;
        let state = append(&transfers, &hold, state, b"abc").await;
        let digest = sha256(b"abc");
        let mut stored = None;
        if aborted {
            transfers.abort(&hold, &state).await.unwrap();
            transfers.abort(&hold, &state).await.unwrap();
        } else {
            stored = Some(
                transfers
                    .finish(&hold, state.clone(), &digest)
                    .await
                    .unwrap(),
            );
        }
        drop(hold);
        let hold = transfers.hold(state.id()).await.unwrap();
        let (late, limit) = (body(b"d", 1), AppendLimit::default());
        let refused = transfers.append(&hold, state.clone(), late, limit).await;
        assert!(matches!(refused, Err(Error::Lost(id)) if id == state.id()));
        let refused = transfers.finish(&hold, state.clone(), &digest).await;
        assert!(matches!(refused, Err(Error::Lost(_))));
        if let Some(stored) = stored {
            assert_eq!(content(&transfers, &stored).await, b"abc");
        }
    }
}

/// The client hangs up in the middle of everything: the future is dropped at some await.
async fn a_dropped_append_leaves_the_row_right(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let bytes = noise(4 * GATHER, 21);
    for patience in 1..12 {
        let (hold, state) = begin(&transfers, None).await;
        let state = append(&transfers, &hold, state, &bytes[..1000]).await;
        let frames = noise(6 * GATHER, 22);
        let frames: Vec<_> = frames
            .chunks(GATHER / 3)
            .map(Bytes::copy_from_slice)
            .collect();
        let endless = stream::iter(frames).map(Ok).chain(stream::pending());
        {
            let limit = AppendLimit::default();
            let mut append = Box::pin(transfers.append(&hold, state.clone(), endless, limit));
            for _ in 0..patience {
                assert!(futures::poll!(&mut append).is_pending());
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
        let mut state = Some(state);
        loop {
            let before = state.take().unwrap();
            let rest = body(&bytes[1000..], 3000);
            let limit = AppendLimit::default();
            match transfers.append(&hold, before.clone(), rest, limit).await {
                // What was left behind still writes.
                Err(Error::Busy) => state = Some(before),
                Err(error) => unreachable!("{error}"),
                Ok(done) => {
                    let stored = transfers.finish(&hold, done.state, &sha256(&bytes)).await;
                    assert_eq!(content(&transfers, &stored.unwrap()).await, bytes);
                    break;
                }
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
}
