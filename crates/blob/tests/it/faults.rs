//! Disks that are full, broken or read-only.

use seawall_blob::files::{Fault, FileEvent, FileOperation};
use seawall_blob::fixture::{body, noise, read};
use seawall_blob::{
    AppendLimit, Error, FinishOutcome, Result, StoredBlob, UploadLock, UploadState,
};
use seawall_types::digest::{Algorithm, Digest};
use uuid::Uuid;

use crate::Bench;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EDQUOT: i32 = 122;

const LARGE: usize = 2_000_000;

impl Bench {
    async fn begin(&self, id: u128) -> (UploadLock, UploadState) {
        let id = Uuid::from_u128(id);
        (
            self.transfers.hold(id).await.unwrap(),
            self.transfers.begin(id, None),
        )
    }

    async fn append(
        &self,
        hold: &UploadLock,
        state: UploadState,
        bytes: &[u8],
    ) -> Result<UploadState> {
        let frames = body(bytes, 4096);
        let done = self
            .transfers
            .append(hold, state, frames, AppendLimit::default())
            .await?;
        Ok(done.state)
    }

    async fn at_once(
        &self,
        hold: &UploadLock,
        state: UploadState,
        bytes: &[u8],
    ) -> Result<StoredBlob> {
        let (frames, limit) = (body(bytes, 4096), AppendLimit::default());
        let digest = Digest::of(Algorithm::Sha256, bytes);
        match self
            .transfers
            .append_and_finish(hold, state, frames, limit, &digest)
            .await?
        {
            FinishOutcome::Stored(stored) => Ok(stored),
            FinishOutcome::Unfinished(appended) => unreachable!("{appended:?}"),
        }
    }

    async fn finish(
        &self,
        hold: &UploadLock,
        state: UploadState,
        bytes: &[u8],
    ) -> Result<StoredBlob> {
        self.transfers
            .finish(hold, state, &Digest::of(Algorithm::Sha256, bytes))
            .await
    }

    async fn check(&self, stored: &StoredBlob, bytes: &[u8]) {
        let download = self
            .transfers
            .open(&stored.place, stored.size, None)
            .await
            .unwrap();
        assert_eq!(read(download.stream).await.unwrap(), bytes);
    }
}

fn sorted_as(error: &Error, errno: i32) -> bool {
    match error {
        Error::Full { .. } => errno == ENOSPC || errno == EDQUOT,
        Error::ReadOnly { .. } => errno == EROFS,
        Error::Io { .. } => errno == EIO,
        _ => false,
    }
}

/// A write that fails gives its space back and leaves the upload as its row knows it.
#[tokio::test]
async fn a_failed_write_changes_nothing() {
    let bench = Bench::new().await;
    let bytes = noise(LARGE, 1);
    for (case, (errno, nth)) in [(ENOSPC, 1), (EIO, 1), (EDQUOT, 2), (EROFS, 1), (ENOSPC, 4)]
        .into_iter()
        .enumerate()
    {
        let (hold, state) = bench.begin(case as u128).await;
        let state = bench.append(&hold, state, &bytes[..1000]).await.unwrap();
        bench.files.fail_nth(FileOperation::Write, nth, errno);
        let error = bench
            .append(&hold, state.clone(), &bytes[1000..])
            .await
            .unwrap_err();
        assert!(sorted_as(&error, errno), "{error:?}");
        bench.files.heal();
        let path = bench
            .data
            .path()
            .join("blobs/uploads")
            .join(state.id().to_string());
        assert_eq!(
            std::fs::metadata(path).unwrap().len(),
            1000,
            "the space is free again"
        );
        let state = bench.append(&hold, state, &bytes[1000..]).await.unwrap();
        let stored = bench.finish(&hold, state, &bytes).await.unwrap();
        bench.check(&stored, &bytes).await;
    }
}

#[tokio::test]
async fn a_failed_first_write_leaves_no_file() {
    let bench = Bench::new().await;
    let bytes = noise(LARGE, 2);
    for (case, size) in [10, LARGE].into_iter().enumerate() {
        let (hold, state) = bench.begin(case as u128).await;
        bench.files.fail_nth(FileOperation::Write, 1, ENOSPC);
        let error = bench
            .at_once(&hold, state.clone(), &bytes[..size])
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Full { .. }));
        assert_eq!(bench.counts(), (0, case));
        let stored = bench.at_once(&hold, state, &bytes[..size]).await.unwrap();
        bench.check(&stored, &bytes[..size]).await;
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_made_changes_nothing() {
    let bench = Bench::new().await;
    let (hold, state) = bench.begin(1).await;
    bench.files.fail_nth(FileOperation::Create, 1, EROFS);
    let error = bench
        .append(&hold, state.clone(), b"abc")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }));
    assert!(bench.append(&hold, state, b"abc").await.is_ok());
}

/// After a failed fsync the bytes since the last good one may be gone while the next fsync says
/// otherwise.
#[tokio::test]
async fn a_failed_fsync_breaks_an_upload_for_good() {
    let bench = Bench::new().await;
    let bytes = noise(LARGE, 3);
    for (case, errno) in [EIO, ENOSPC].into_iter().enumerate() {
        let (hold, state) = bench.begin(case as u128).await;
        let state = bench.append(&hold, state, &bytes[..1000]).await.unwrap();
        bench.files.fail_nth(FileOperation::Fsync, 1, errno);
        let error = bench
            .append(&hold, state.clone(), &bytes[1000..])
            .await
            .unwrap_err();
        assert!(sorted_as(&error, errno), "{error:?}");
        for hold in [Some(hold), None] {
            let hold = match hold {
                Some(hold) => hold,
                None => bench.transfers.hold(state.id()).await.unwrap(),
            };
            let lost = bench.append(&hold, state.clone(), &bytes[1000..]).await;
            assert!(matches!(lost, Err(Error::Lost(_))));
            let lost = bench.finish(&hold, state.clone(), &bytes[..1000]).await;
            assert!(matches!(lost, Err(Error::Lost(_))));
        }
        assert_eq!(bench.counts(), (0, 0), "nothing visible, nothing left");
    }
}

/// An upload without a durable byte has nothing to lose: it begins again, in a new file.
#[tokio::test]
async fn after_a_failed_first_fsync_data_goes_to_a_new_file() {
    let bench = Bench::new().await;
    for (case, operation) in [FileOperation::Fsync, FileOperation::FsyncDirectory]
        .into_iter()
        .enumerate()
    {
        let (hold, state) = bench.begin(case as u128).await;
        bench.files.fail_nth(operation, 1, EIO);
        assert!(matches!(
            bench.append(&hold, state.clone(), b"abc").await,
            Err(Error::Io { .. })
        ));
        bench.files.take_events();
        let state = bench.append(&hold, state, b"abc").await.unwrap();
        let events = bench.files.take_events();
        assert!(matches!(&events[0], FileEvent::Created(_)), "{events:?}");
        let stored = bench.finish(&hold, state, b"abc").await.unwrap();
        bench.check(&stored, b"abc").await;
    }
}

/// The file of a broken upload that cannot be removed is emptied, and never trusted by this
/// process.
#[tokio::test]
async fn a_broken_upload_stays_broken_even_if_it_cannot_be_removed() {
    let bench = Bench::new().await;
    let (hold, state) = bench.begin(1).await;
    let state = bench.append(&hold, state, b"abc").await.unwrap();
    bench.files.fail_nth(FileOperation::Fsync, 1, EIO);
    bench.files.fail(Fault {
        operation: FileOperation::Remove,
        nth: 1,
        errno: EIO,
        lasting: true,
    });
    assert!(bench.append(&hold, state.clone(), b"def").await.is_err());
    drop(hold);
    let hold = bench.transfers.hold(state.id()).await.unwrap();
    assert!(matches!(
        bench.append(&hold, state.clone(), b"def").await,
        Err(Error::Lost(_))
    ));
    assert!(bench.transfers.abort(&hold, &state).await.is_err());
    bench.files.heal();
    bench.transfers.abort(&hold, &state).await.unwrap();
    assert_eq!(bench.counts(), (0, 0));
}

#[tokio::test]
async fn a_failed_fsync_of_a_whole_upload_shows_nothing() {
    let bench = Bench::new().await;
    for (case, size) in [10, LARGE].into_iter().enumerate() {
        let bytes = noise(size, 4);
        let (hold, state) = bench.begin(case as u128).await;
        bench.files.fail_nth(FileOperation::Fsync, 1, EIO);
        let failed = bench.at_once(&hold, state.clone(), &bytes).await;
        assert!(matches!(failed, Err(Error::Io { .. })));
        assert_eq!(bench.counts(), (0, case));
        let stored = bench.at_once(&hold, state, &bytes).await.unwrap();
        bench.check(&stored, &bytes).await;
    }
}

/// Until the rename nothing has happened, and the upload can be finished later.
#[tokio::test]
async fn a_failed_rename_leaves_the_upload() {
    let bench = Bench::new().await;
    // The folder first: keys are random, so a later one may lie in a folder that is there already.
    for (case, operation) in [FileOperation::MakeDirectory, FileOperation::Rename]
        .into_iter()
        .enumerate()
    {
        let (hold, state) = bench.begin(case as u128).await;
        let state = bench.append(&hold, state, b"abc").await.unwrap();
        bench.files.fail_nth(operation, 1, ENOSPC);
        let failed = bench.finish(&hold, state.clone(), b"abc").await;
        assert!(matches!(failed, Err(Error::Full { .. })));
        assert_eq!(bench.counts(), (1, case));
        let stored = bench.finish(&hold, state, b"abc").await.unwrap();
        bench.check(&stored, b"abc").await;
    }
    let (hold, state) = bench.begin(9).await;
    bench.files.fail_nth(FileOperation::Rename, 1, EIO);
    assert!(bench.at_once(&hold, state.clone(), b"abc").await.is_err());
    assert_eq!(bench.counts(), (0, 2));
    assert!(bench.at_once(&hold, state, b"abc").await.is_ok());
}

/// A name that may not be durable is taken back, and the upload is as it was.
#[tokio::test]
async fn a_name_that_is_not_durable_is_taken_back() {
    let bench = Bench::new().await;
    let (hold, state) = bench.begin(1).await;
    let state = bench.append(&hold, state, b"abc").await.unwrap();
    // The first one is that of the new prefix, the second that of the new name.
    bench.files.fail_nth(FileOperation::FsyncDirectory, 2, EIO);
    assert!(matches!(
        bench.finish(&hold, state.clone(), b"abc").await,
        Err(Error::Io { .. })
    ));
    assert_eq!(bench.counts(), (1, 0));
    let stored = bench.finish(&hold, state, b"abc").await.unwrap();
    bench.check(&stored, b"abc").await;
    assert_eq!(bench.counts(), (0, 1));
}

/// Someone tidies the empty directory of a prefix away.
#[tokio::test]
async fn a_missing_prefix_is_made_again() {
    let bench = Bench::new().await;
    for id in 0..600 {
        let (hold, state) = bench.begin(id).await;
        let stored = bench.at_once(&hold, state, b"abc").await.unwrap();
        let path = bench
            .data
            .path()
            .join("blobs/store")
            .join(&stored.place.key);
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_dir(path.parent().unwrap()).unwrap();
    }
}

#[tokio::test]
async fn reads_that_fail_break_the_stream() {
    let bench = Bench::new().await;
    let bytes = noise(LARGE, 5);
    let (hold, state) = bench.begin(1).await;
    let stored = bench.at_once(&hold, state, &bytes).await.unwrap();
    bench.files.fail_nth(FileOperation::Read, 3, EIO);
    let download = bench
        .transfers
        .open(&stored.place, stored.size, None)
        .await
        .unwrap();
    assert!(matches!(read(download.stream).await, Err(Error::Io { .. })));
    bench.files.fail_nth(FileOperation::Read, 1, EIO);
    let opened = bench.transfers.open(&stored.place, stored.size, None).await;
    assert!(matches!(opened, Err(Error::Io { .. })));
    bench.files.fail_nth(FileOperation::Read, 2, EIO);
    let again = bench
        .transfers
        .rehash(&stored.place, Algorithm::Sha256)
        .await;
    assert!(matches!(again, Err(Error::Io { .. })));
}

/// A file that shrinks while it is read: the stream breaks, then ends.
#[tokio::test]
async fn a_truncated_file_breaks_the_stream() {
    use futures::StreamExt;
    let bench = Bench::new().await;
    let bytes = noise(LARGE, 6);
    let (hold, state) = bench.begin(1).await;
    let stored = bench.at_once(&hold, state, &bytes).await.unwrap();
    let mut download = bench
        .transfers
        .open(&stored.place, stored.size, None)
        .await
        .unwrap();
    let path = bench
        .data
        .path()
        .join("blobs/store")
        .join(&stored.place.key);
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(700_000).unwrap();
    let mut came = Vec::new();
    let error = loop {
        match download.stream.next().await.unwrap() {
            Ok(chunk) => came.extend_from_slice(&chunk),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Io { .. }));
    assert!(bytes.starts_with(&came) && came.len() <= 700_000);
    assert!(download.stream.next().await.is_none());
    let opened = bench.transfers.open(&stored.place, stored.size, None).await;
    assert!(
        matches!(opened, Err(Error::Corrupt(_))),
        "and is told at once from then on"
    );
}

#[tokio::test]
async fn an_upload_whose_file_shrank_is_lost() {
    let bench = Bench::new().await;
    let (hold, state) = bench.begin(1).await;
    let state = bench.append(&hold, state, b"abcdef").await.unwrap();
    let path = bench
        .data
        .path()
        .join("blobs/uploads")
        .join(state.id().to_string());
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(5)
        .unwrap();
    assert!(matches!(
        bench.append(&hold, state.clone(), b"g").await,
        Err(Error::Lost(_))
    ));
    assert!(matches!(
        bench.finish(&hold, state, b"abcdef").await,
        Err(Error::Lost(_))
    ));
}
