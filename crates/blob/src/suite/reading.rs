//! Downloads: whole, in part, dropped, and of what is not there.

use futures::StreamExt;

use super::{content, store};
use crate::buffer::CHUNK;
use crate::fixture::{StoreUnderTest, noise, read};
use crate::{BlobPlace, Error};

pub(super) async fn run(subject: &StoreUnderTest) {
    ranges_are_exact(subject).await;
    what_is_not_there(subject).await;
    dropping_frees_everything(subject).await;
    a_blob_of_another_size_is_refused(subject).await;
    deletion_spares_readers(subject).await;
}

async fn ranges_are_exact(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let bytes = noise(3 * CHUNK + 100, 30);
    let stored = store(&transfers, &bytes).await;
    let chunk = CHUNK as u64;
    for (start, length) in [
        (0, 0),
        (0, 1),
        (stored.size - 1, 1),
        (stored.size, 0),
        (500, 1000),
        (chunk - 1, 2),
        (chunk, chunk),
        (1, chunk),
        (7, 2 * chunk + 1),
        (0, stored.size),
    ] {
        let range = Some((start, length));
        let part = transfers
            .open(&stored.place, stored.size, range)
            .await
            .unwrap();
        assert_eq!((part.size, part.length), (stored.size, length));
        let (from, to) = (
            usize::try_from(start).unwrap(),
            usize::try_from(start + length).unwrap(),
        );
        assert_eq!(
            read(part.stream).await.unwrap(),
            &bytes[from..to],
            "{length} from {start}"
        );
    }
    for range in [
        (0, stored.size + 1),
        (stored.size, 1),
        (u64::MAX, 1),
        (1, u64::MAX),
    ] {
        let refused = transfers
            .open(&stored.place, stored.size, Some(range))
            .await;
        assert!(matches!(refused, Err(Error::Range { .. })));
    }
}

async fn what_is_not_there(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let stored = store(&transfers, b"here").await;
    let gone = BlobPlace {
        key: "00/nothing".into(),
        ..stored.place.clone()
    };
    assert!(matches!(
        transfers.open(&gone, 4, None).await,
        Err(Error::NotFound(_))
    ));
    assert!(matches!(
        transfers.stat(&gone).await,
        Err(Error::NotFound(_))
    ));
    assert!(!transfers.delete(&gone).await.unwrap());
    let outside = BlobPlace {
        key: "../uploads".into(),
        ..stored.place.clone()
    };
    assert!(matches!(
        transfers.open(&outside, 4, None).await,
        Err(Error::Corrupt(_))
    ));
    assert!(matches!(
        transfers.delete(&outside).await,
        Err(Error::Corrupt(_))
    ));
    let elsewhere = BlobPlace {
        location: "nowhere".into(),
        ..stored.place
    };
    assert!(matches!(
        transfers.open(&elsewhere, 4, None).await,
        Err(Error::UnknownLocation(_))
    ));
}

async fn dropping_frees_everything(subject: &StoreUnderTest) {
    let blobs = subject.open().await;
    let transfers = blobs.session(seawall_types::Context::new(seawall_types::Lane::Pull));
    let stored = store(&transfers, &noise(10 * CHUNK, 31)).await;
    for chunks in 0..3 {
        let mut download = transfers
            .open(&stored.place, stored.size, None)
            .await
            .unwrap();
        for _ in 0..chunks {
            assert_eq!(download.stream.next().await.unwrap().unwrap().len(), CHUNK);
        }
        assert!(
            blobs.buffer_use().held <= 2 * CHUNK,
            "one chunk ahead at most"
        );
    }
    // The chunk that was being read when its stream went away goes as soon as it is read.
    while blobs.buffer_use().held > 0 {
        tokio::task::yield_now().await;
    }
}

async fn a_blob_of_another_size_is_refused(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let stored = store(&transfers, &noise(1000, 32)).await;
    for size in [999, 1001, 0] {
        let refused = transfers.open(&stored.place, size, None).await;
        assert!(matches!(refused, Err(Error::Corrupt(_))));
    }
}

async fn deletion_spares_readers(subject: &StoreUnderTest) {
    let transfers = subject.transfers().await;
    let bytes = noise(4 * CHUNK, 33);
    let stored = store(&transfers, &bytes).await;
    let download = transfers
        .open(&stored.place, stored.size, None)
        .await
        .unwrap();
    let twin = store(&transfers, &bytes).await;
    assert_ne!(
        twin.place, stored.place,
        "a place is not derived from the content"
    );
    assert!(transfers.delete(&stored.place).await.unwrap());
    assert_eq!(read(download.stream).await.unwrap(), bytes);
    assert_eq!(content(&transfers, &twin).await, bytes);
}
