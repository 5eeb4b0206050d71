//! Listing, looking up, hashing again and sweeping.

use std::collections::HashSet;
use std::time::Duration;

use futures::StreamExt;
use seawall_types::digest::{Algorithm, Digest};

use super::{append, begin, blob_count, sha256, store};
use crate::fixture::{StoreUnderTest, noise};
use crate::{Error, SweepOutcome};

pub(super) async fn run(subject: &StoreUnderTest) {
    what_is_stored_is_listed(subject).await;
    hashing_again(subject).await;
    forgotten_uploads_are_swept(subject).await;
}

async fn what_is_stored_is_listed(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let before = blob_count(&transfers).await;
    let mut stored = Vec::new();
    for size in 0..20 {
        stored.push(store(&transfers, &noise(size, 40)).await);
    }
    // An upload is not a blob.
    let (hold, state) = begin(&transfers, None).await;
    append(&transfers, &hold, state, b"unfinished").await;
    let listed: Vec<_> = transfers.list().map(Result::unwrap).collect().await;
    assert_eq!(listed.len(), before + 20);
    for blob in &stored {
        let found = listed
            .iter()
            .find(|listed| listed.place == blob.place)
            .unwrap();
        assert_eq!(found.stat.size, blob.size);
        assert_eq!(transfers.stat(&blob.place).await.unwrap(), found.stat);
        assert!(transfers.delete(&blob.place).await.unwrap());
        assert!(matches!(
            transfers.stat(&blob.place).await,
            Err(Error::NotFound(_))
        ));
    }
    assert_eq!(blob_count(&transfers).await, before);
}

async fn hashing_again(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let bytes = noise(9_000_000, 41);
    let stored = store(&transfers, &bytes).await;
    for algorithm in Algorithm::ALL {
        let digest = transfers.rehash(&stored.place, algorithm).await.unwrap();
        assert_eq!(digest, Digest::of(algorithm, &bytes));
    }
}

async fn forgotten_uploads_are_swept(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let day = Duration::from_hours(24);
    // What earlier cases left behind.
    subject.clock.advance(3 * day);
    transfers.sweep(|_| false, day).await.unwrap();
    let mut states = Vec::new();
    for _ in 0..3 {
        let (hold, state) = begin(&transfers, None).await;
        states.push(append(&transfers, &hold, state, b"12345").await);
    }
    let [known, held, forgotten] = <[_; 3]>::try_from(states).unwrap();
    let ids = HashSet::from([known.id()]);
    let by_row = move |ids: &HashSet<_>| {
        let ids = ids.clone();
        move |id| ids.contains(&id)
    };
    // The clock is three days ahead of the file system's, so these look three days old.
    let young = transfers.sweep(by_row(&ids), 4 * day).await.unwrap();
    assert_eq!(young, SweepOutcome::default());
    let idle = transfers.idle_uploads(day).await.unwrap();
    assert_eq!(idle.len(), 3);
    let hold = transfers.hold(held.id()).await.unwrap();
    let swept = transfers.sweep(by_row(&ids), day).await.unwrap();
    assert_eq!(swept, SweepOutcome { files: 1, bytes: 5 });
    let held = append(&transfers, &hold, held, b"678").await;
    let _ = transfers
        .finish(&hold, held, &sha256(b"12345678"))
        .await
        .unwrap();
    let hold = transfers.hold(known.id()).await.unwrap();
    let _ = transfers
        .finish(&hold, known, &sha256(b"12345"))
        .await
        .unwrap();
    let hold = transfers.hold(forgotten.id()).await.unwrap();
    let late = transfers.finish(&hold, forgotten, &sha256(b"12345")).await;
    assert!(matches!(late, Err(Error::Lost(_))));
}
