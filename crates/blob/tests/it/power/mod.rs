//! What a power loss leaves: every beginning of a recorded run, with every kind of luck, is opened
//! again.
//!
//! The run does with files what the registry does, and notes in the same record when a row would
//! have been committed. A row that is committed binds: its blob is there whole; its upload goes on.
//! And a file in the store is whole, row or not. That the test can fail is shown with records from
//! which one kind of sync was taken out.

mod machine;
mod run;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use futures::StreamExt;
use seawall_blob::files::FileEvent;
use seawall_blob::fixture::{StoreUnderTest, body, read};
use seawall_blob::{AppendLimit, BlobPlace, Error, Transfers, UploadState};
use seawall_types::digest::{Algorithm, Digest};
use uuid::Uuid;

use machine::{Machine, SyncOutcome};
use run::{Goal, Row, Step};

/// How many combinations of what was not synced are tried at each point, besides none and all.
const SEEDS: u64 = 4;

/// What the database says.
#[derive(Clone, Default)]
struct Rows {
    blobs: BTreeMap<Digest, BlobPlace>,
    uploads: BTreeMap<Uuid, UploadState>,
    /// Uploads whose file has moved to the store while their row is still there: they may be lost.
    moved: HashSet<Uuid>,
}

impl Rows {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Row(Row::Upload(state)) => {
                self.uploads.insert(state.id(), state.clone());
            }
            Step::Row(Row::Blob(stored, upload)) => {
                self.blobs.insert(stored.digest, stored.place.clone());
                self.uploads.remove(upload);
            }
            Step::Row(Row::Gone(digest)) => {
                self.blobs.remove(digest);
            }
            Step::Disk(FileEvent::Renamed { from, .. }) => {
                let id = from.file_name().and_then(|name| name.to_str());
                self.moved
                    .extend(id.and_then(|id| Uuid::parse_str(id).ok()));
            }
            Step::Disk(_) => {}
        }
    }
}

/// A run that was recorded.
struct FaultRecord {
    root: PathBuf,
    steps: Vec<Step>,
    goals: Vec<Goal>,
}

impl FaultRecord {
    /// The same without what `drops` says.
    fn without(&self, drops: impl Fn(&FileEvent) -> bool) -> Self {
        let stays = |step: &&Step| !matches!(step, Step::Disk(event) if drops(event));
        let steps: Vec<_> = self.steps.iter().filter(stays).cloned().collect();
        assert!(steps.len() < self.steps.len(), "nothing was taken out");
        Self {
            root: self.root.clone(),
            steps,
            goals: self.goals.clone(),
        }
    }

    /// Cuts the power at every point, with every kind of luck; says how many outcomes were looked
    /// at.
    async fn replay(&self, seeds: u64) -> Result<u64, String> {
        let (mut machine, mut rows) = (Machine::default(), Rows::default());
        let mut outcomes = 0;
        for point in 0..=self.steps.len() {
            let some = (0..seeds).map(|seed| SyncOutcome::Some(seed << 32 | point as u64));
            let lucks: Vec<_> = if machine.is_unsettled() {
                [SyncOutcome::None, SyncOutcome::All]
                    .into_iter()
                    .chain(some)
                    .collect()
            } else {
                vec![SyncOutcome::None]
            };
            for luck in lucks {
                let outcome = Box::pin(self.outcome(&machine, &rows, luck)).await;
                outcome.map_err(|why| format!("power lost after step {point}, {luck:?}: {why}"))?;
                outcomes += 1;
            }
            if let Some(step) = self.steps.get(point) {
                if let Step::Disk(event) = step {
                    machine.take(event);
                }
                rows.take(step);
            }
        }
        Ok(outcomes)
    }

    async fn outcome(
        &self,
        machine: &Machine,
        rows: &Rows,
        luck: SyncOutcome,
    ) -> Result<(), String> {
        let directory = tempfile::tempdir().unwrap();
        machine.crash(luck, &self.root, directory.path());
        let transfers = StoreUnderTest::on_disk(directory.path()).transfers().await;
        for (digest, place) in &rows.blobs {
            whole(&transfers, digest, place).await?;
        }
        let mut listed = std::pin::pin!(transfers.list());
        while let Some(found) = listed.next().await {
            let place = found.unwrap().place;
            let found = transfers.rehash(&place, Algorithm::Sha256).await.unwrap();
            if !self.goals.iter().any(|goal| goal.digest() == found) {
                return Err(format!("{place} is torn"));
            }
        }
        for state in rows.uploads.values() {
            let lost = rows.moved.contains(&state.id());
            self.resume(&transfers, state.clone(), lost).await?;
        }
        Ok(())
    }

    /// Goes on with an upload from where its row says it is.
    async fn resume(
        &self,
        transfers: &Transfers,
        state: UploadState,
        may_be_lost: bool,
    ) -> Result<(), String> {
        let goal = self
            .goals
            .iter()
            .find(|goal| goal.id == state.id())
            .unwrap();
        let from = usize::try_from(state.offset()).unwrap();
        let rest = body(&goal.bytes[from..], 100_000);
        let digest = goal.digest();
        let limit = AppendLimit::default();
        let hold = transfers.hold(state.id()).await.unwrap();
        let finished = transfers
            .append_and_finish(&hold, state, rest, limit, &digest)
            .await;
        match finished {
            Ok(seawall_blob::FinishOutcome::Stored(stored)) => {
                whole(transfers, &digest, &stored.place).await
            }
            Err(Error::Lost(_)) if may_be_lost => Ok(()),
            other => Err(format!("an upload of {from} bytes went on to {other:?}")),
        }
    }
}

async fn whole(transfers: &Transfers, digest: &Digest, place: &BlobPlace) -> Result<(), String> {
    let missing = |error| format!("{digest} at {place}: {error}");
    let size = transfers.stat(place).await.map_err(missing)?.size;
    let download = transfers.open(place, size, None).await.map_err(missing)?;
    let bytes = read(download.stream).await.map_err(missing)?;
    let found = Digest::of(digest.algorithm(), &bytes);
    (found == *digest)
        .then_some(())
        .ok_or_else(|| format!("{digest} at {place} is {found}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_survives_a_power_loss_at_any_moment() {
    let record = Box::pin(run::record()).await;
    let outcomes = record.replay(SEEDS).await.unwrap();
    assert!(outcomes > 300, "only {outcomes} outcomes");
}

/// Takes one kind of sync out of the record, which the replay must notice.
async fn is_needed(sync: impl Fn(&Path, bool) -> bool) {
    let record = Box::pin(run::record()).await;
    let doctored = record.without(|event| match event {
        FileEvent::Synced(path) => sync(path, false),
        FileEvent::SyncedDirectory(path) => sync(path, true),
        _ => false,
    });
    let noticed = doctored.replay(2).await;
    assert!(noticed.is_err(), "nobody misses what was taken out");
}

fn ends(path: &Path, name: &str) -> bool {
    path.file_name().is_some_and(|last| last == name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fsync_of_its_bytes_a_blob_is_lost() {
    is_needed(|_, directory| !directory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fsync_of_its_directory_a_blob_is_lost() {
    let in_store = |path: &Path| path.parent().is_some_and(|parent| ends(parent, "store"));
    is_needed(|path, directory| directory && in_store(path)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fsync_of_the_store_a_new_directory_is_lost() {
    is_needed(|path, directory| directory && ends(path, "store")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fsync_of_the_uploads_a_session_is_lost() {
    is_needed(|path, directory| directory && ends(path, "uploads")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fsync_of_the_root_everything_is_lost() {
    is_needed(|path, directory| directory && ends(path, "blobs")).await;
}
