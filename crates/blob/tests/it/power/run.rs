//! The run that is recorded: what the registry does with files, several uploads at once, and when
//! it commits.

use std::path::Path;
use std::sync::{Arc, Mutex};

use seawall_blob::files::{FaultyFiles, FileEvent};
use seawall_blob::fixture::{StoreUnderTest, body, broken, noise};
use seawall_blob::{
    AppendLimit, BlobPlace, BodyError, Config, FinishOutcome, StoredBlob, Transfers, UploadLock,
    UploadState,
};
use seawall_types::digest::{Algorithm, Digest};
use seawall_types::{Context, Lane};
use uuid::Uuid;

use super::FaultRecord;

/// What the database was told, durably.
#[derive(Clone, Debug)]
pub(super) enum Row {
    /// An upload is that far.
    Upload(UploadState),
    /// An upload, with or without a row, is a blob.
    Blob(StoredBlob, Uuid),
    /// A blob is no more.
    Gone(Digest),
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Disk(FileEvent),
    Row(Row),
}

/// What an upload is to become.
#[derive(Clone, Debug)]
pub(super) struct Goal {
    pub(super) id: Uuid,
    pub(super) bytes: Vec<u8>,
}

impl Goal {
    pub(super) fn digest(&self) -> Digest {
        Digest::of(Algorithm::Sha256, &self.bytes)
    }
}

/// Whoever pushes, and what is noted of it.
struct Recorder {
    files: Arc<FaultyFiles>,
    steps: Mutex<Vec<Step>>,
    transfers: Transfers,
}

impl Recorder {
    /// Notes a row after everything that has happened on the disk so far.
    fn commit(&self, row: Row) {
        let mut steps = self.steps.lock().unwrap();
        steps.extend(self.files.take_events().into_iter().map(Step::Disk));
        steps.push(Step::Row(row));
    }

    async fn begin(&self, goal: &Goal) -> (UploadLock, UploadState) {
        let state = self.transfers.begin(goal.id, None);
        self.commit(Row::Upload(state.clone()));
        (self.transfers.hold(goal.id).await.unwrap(), state)
    }

    async fn append(&self, hold: &UploadLock, state: UploadState, bytes: &[u8]) -> UploadState {
        let (frames, limit) = (body(bytes, 60_000), AppendLimit::default());
        let appended = self.transfers.append(hold, state, frames, limit).await;
        appended.unwrap().state
    }

    async fn finish(&self, hold: &UploadLock, state: UploadState, goal: &Goal) -> BlobPlace {
        let from = usize::try_from(state.offset()).unwrap();
        let (rest, limit) = (body(&goal.bytes[from..], 60_000), AppendLimit::default());
        let finished = self
            .transfers
            .append_and_finish(hold, state, rest, limit, &goal.digest())
            .await;
        let Ok(FinishOutcome::Stored(stored)) = finished else {
            unreachable!("{finished:?}");
        };
        let place = stored.place.clone();
        self.commit(Row::Blob(stored, goal.id));
        place
    }

    /// One request, without a row before its end.
    async fn single(&self, goal: &Goal) -> BlobPlace {
        let state = self.transfers.begin(goal.id, Some(Algorithm::Sha256));
        let hold = self.transfers.hold(goal.id).await.unwrap();
        self.finish(&hold, state, goal).await
    }

    /// Two chunks, each with its row, and the rest with the end.
    async fn chunked(&self, goal: &Goal) {
        let (hold, mut state) = self.begin(goal).await;
        let third = goal.bytes.len() / 3;
        for part in 0..2 {
            let chunk = &goal.bytes[part * third..(part + 1) * third];
            state = self.append(&hold, state, chunk).await;
            self.commit(Row::Upload(state.clone()));
        }
        self.finish(&hold, state, goal).await;
    }

    /// A chunk whose row was never written, one whose client broke off, and an end without bytes.
    async fn troubled(&self, goal: &Goal) {
        let (hold, state) = self.begin(goal).await;
        let half = goal.bytes.len() / 2;
        let state = self.append(&hold, state, &goal.bytes[..half / 2]).await;
        self.commit(Row::Upload(state.clone()));
        // The database did not answer: these bytes are none, and come again.
        let _ = self.append(&hold, state.clone(), &goal.bytes[half..]).await;
        let rest = broken(&goal.bytes[half / 2..half], 9_000, BodyError::ClientGone);
        let limit = AppendLimit::default();
        let appended = self.transfers.append(&hold, state, rest, limit).await;
        let state = appended.unwrap().state;
        self.commit(Row::Upload(state.clone()));
        let state = self.append(&hold, state, &goal.bytes[half..]).await;
        self.commit(Row::Upload(state.clone()));
        self.finish(&hold, state, goal).await;
    }

    /// One that is left where it is.
    async fn unfinished(&self, goal: &Goal) {
        let (hold, state) = self.begin(goal).await;
        let state = self.append(&hold, state, &goal.bytes[..1000]).await;
        self.commit(Row::Upload(state));
    }

    /// A blob that is deleted: the row first.
    async fn deleted(&self, goal: &Goal) {
        let place = self.single(goal).await;
        self.commit(Row::Gone(goal.digest()));
        self.transfers.delete(&place).await.unwrap();
    }
}

/// Runs it once.
pub(super) async fn record() -> FaultRecord {
    let data = tempfile::tempdir().unwrap();
    let files = Arc::new(FaultyFiles::keeping_data());
    let subject = StoreUnderTest::on_files(data.path(), &Config::default(), files.clone());
    let transfers = subject.open().await.session(Context::new(Lane::Push));
    let scribe = Recorder {
        files,
        steps: Mutex::default(),
        transfers,
    };
    // The fourth is longer than the buffer through which bytes are written.
    let sizes = [3_000, 90, 40_000, 700_000, 5_000, 2_000];
    let goal = |(number, size): (usize, usize)| Goal {
        id: Uuid::from_u128(number as u128 + 1),
        bytes: noise(size, number as u64 + 70),
    };
    let goals: Vec<_> = sizes.into_iter().enumerate().map(goal).collect();
    let [one, small, chunked, large, open, gone] = goals.as_slice() else {
        unreachable!();
    };
    futures::join!(
        scribe.single(one),
        scribe.chunked(chunked),
        scribe.troubled(large),
        scribe.unfinished(open),
        scribe.deleted(gone),
    );
    scribe.single(small).await;
    let mut steps = scribe.steps.into_inner().unwrap();
    steps.extend(scribe.files.take_events().into_iter().map(Step::Disk));
    FaultRecord {
        root: Path::to_owned(data.path()),
        steps,
        goals,
    }
}
