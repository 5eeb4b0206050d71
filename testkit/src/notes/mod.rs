//! Notes: a feature that exists only for tests, and brings one of everything that a feature can
//! bring.
//!
//! A note is a text about a blob of a repository, which it keeps alive. There are tables with
//! foreign keys to `repository` and `namespace`, statements, a section of the configuration,
//! routes, a job, a consumer, a watcher, a cache, a kind of change, an event, a kind of blob owner,
//! a keeper, a health check and clearing steps. It is the proof that a feature needs no other
//! crate's files: nothing outside of this folder and the folder `migrations` knows it.

mod api;
mod config;
mod keeper;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use seawall_kernel::blobs::{self, Owner, OwnerKind};
use seawall_kernel::changes::{ById, ChangeKind};
use seawall_kernel::events::{
    Event, EventDeclaration, EventKind, EventType, PullNotice, PullWatcher,
};
use seawall_kernel::jobs::{self, Job, JobOutcome, Schedule};
use seawall_kernel::{
    CacheShare, Declarations, Feature, FeaturePlan, HealthCheck, HealthFinding, Kernel,
    LoadedValue, Op, ReadCache, Repo,
};
use seawall_meta::{Migrations, Tx, args};
use seawall_registry::acts::{Pull, Push};
use seawall_types::ids::{NamespaceId, RepositoryId};
use seawall_types::lane::Lane;
use seawall_types::{Digest, Result};
use serde::{Deserialize, Serialize};

pub use config::Config;

const MIGRATIONS: Migrations =
    seawall_meta::migrations!("notes", ["0001_create_note", "0002_create_board"]);
const NOTES: ChangeKind<ById> = ChangeKind::new(9001, "note");
const OWNER: OwnerKind = OwnerKind::new(9001, "note");
const WORDS: CacheShare = CacheShare::new("notes", 5);

/// A note was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteWritten {
    /// The blob that it is about.
    pub digest: Digest,
    /// What it says.
    pub words: String,
}

impl EventType for NoteWritten {
    const KIND: EventKind = EventKind::new(9001, "note_written");
}

/// Counts a note, later.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct CountNote {
    repository: RepositoryId,
}

impl Job for CountNote {
    const KIND: &'static str = "notes.count";
}

/// What a process saw of notes, for tests to look at.
#[derive(Debug, Default)]
pub struct NoteCounters {
    /// Events that were heard.
    pub heard: AtomicU64,
    /// Jobs that ran.
    pub ran: AtomicU64,
    /// Pulls of manifests.
    pub pulls: AtomicU64,
    /// Times that the database was asked for words.
    pub reads: AtomicU64,
    /// Whether the health check finds something wrong.
    pub unwell: AtomicBool,
}

/// What the feature works with.
pub(crate) struct Notes {
    words: ReadCache<i64, Bytes>,
    seen: Arc<NoteCounters>,
    config: Config,
}

impl PullWatcher for NoteCounters {
    fn pulled(&self, _pulled: &PullNotice<'_>) {
        self.pulls.fetch_add(1, Ordering::Relaxed);
    }
}

/// All that the feature brings; `seen` is told what happens.
pub fn plan<C: AsRef<Arc<Kernel>> + 'static>(seen: &Arc<NoteCounters>) -> FeaturePlan<C> {
    let seen = Arc::clone(seen);
    FeaturePlan::new("notes")
        .migrations(MIGRATIONS)
        .statements(store::ALL.iter().copied())
        .declares(
            Declarations::new("notes")
                .changes(&[NOTES.declared()])
                .events(&[EventDeclaration::of::<NoteWritten>()])
                .owners(&[OWNER])
                .caches(&[WORDS]),
        )
        .keeps(keeper::keeper())
        .clears_repository(clear)
        .clears_namespace(clear_board)
        .build(move |core: &C, config: Config| {
            let notes = Arc::new(Notes {
                words: core.as_ref().cache(WORDS)?,
                seen: Arc::clone(&seen),
                config,
            });
            Ok(Some(feature(&notes)))
        })
}

fn feature(notes: &Arc<Notes>) -> Feature {
    let [heard, ran, health] = std::array::from_fn(|_| Arc::clone(&notes.seen));
    Feature::new("notes")
        .routes(api::routes(notes))
        .on_events(Lane::Background, move |_op, events| {
            let heard = Arc::clone(&heard);
            async move {
                for event in &*events {
                    let written = event.event.read::<NoteWritten>()?;
                    heard
                        .heard
                        .fetch_add(u64::from(written.is_some()), Ordering::Relaxed);
                }
                Ok(())
            }
        })
        .watch(Arc::clone(&notes.seen) as Arc<dyn PullWatcher>)
        .job(Lane::Background, move |_op, _job: CountNote| {
            let ran = Arc::clone(&ran);
            async move {
                ran.ran.fetch_add(1, Ordering::Relaxed);
                Ok(JobOutcome::Done)
            }
        })
        .check(HealthCheck::new("notes", move || {
            let unwell = health.unwell.load(Ordering::Relaxed);
            async move {
                if unwell {
                    HealthFinding::Degraded("the pencil is blunt".to_owned())
                } else {
                    HealthFinding::Ok
                }
            }
        }))
}

/// The words of all notes of a repository.
async fn read(notes: &Notes, op: &Op, repo: &Repo<Pull>) -> Result<Bytes> {
    let repository = repo.id();
    let load = || async {
        notes.seen.reads.fetch_add(1, Ordering::Relaxed);
        let limit = i64::from(notes.config.max_listed);
        let sql = op.sql();
        let rows = sql.all(&store::NOTE_LIST, args![repository, limit]).await?;
        let mut text = String::new();
        for row in rows {
            text.push_str(row.text(0)?);
            text.push('\n');
        }
        let mark = op.mark(&NOTES.subject(repository.get()));
        Ok(LoadedValue::new(Bytes::from(text), [mark]))
    };
    op.recall(&notes.words, repository.get(), load).await
}

/// A page of the notes of a repository, and the last of them if there may be more.
async fn page(
    op: &Op,
    repo: &Repo<Pull>,
    after: Option<Digest>,
    limit: u32,
) -> Result<(Vec<String>, Option<Digest>)> {
    // No digest is less than this one in any order of its bytes.
    let after = after.map_or_else(Vec::new, |digest| digest.to_bytes());
    let arguments = args![repo.id(), after, i64::from(limit)];
    let rows = op.sql().all(&store::NOTE_PAGE, arguments).await?;
    let mut notes = Vec::new();
    let mut last = None;
    for row in &rows {
        notes.push(row.string(1)?);
        last = Some(row.digest(0)?);
    }
    let is_full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    Ok((notes, last.filter(|_| is_full)))
}

/// Writes a note about a blob, which stays as long as the note.
async fn write(op: &Op, repo: &Repo<Push>, note: NoteWritten) -> Result<()> {
    op.transaction((repo.clone(), note), |tx, op, (repo, note)| {
        Box::pin(async move {
            let (namespace, repository) = repo.ensure(tx, op).await?;
            let arguments = args![repository, namespace, note.digest, note.words.as_str()];
            tx.execute(&store::NOTE_INSERT, arguments).await?;
            let board = args![namespace, note.words.as_str()];
            tx.execute(&store::BOARD_INSERT, board).await?;
            let owner = owner(namespace, repository, &note.digest);
            blobs::keep(tx, &owner, &[note.digest]).await?;
            tx.change(NOTES.change(repository.get(), 0)).await?;
            op.emit(tx, Event::new(note)?.within(repo)).await?;
            jobs::enqueue(tx, &CountNote { repository }, Schedule::now()).await
        })
    })
    .await
}

/// Who keeps the blob of a note.
fn owner(namespace: NamespaceId, repository: RepositoryId, digest: &Digest) -> Owner {
    Owner {
        namespace,
        repository,
        kind: OWNER,
        key: digest.to_bytes(),
    }
}

/// Queues a job and emits an event as a note does, for a story of what waits while the feature is
/// off, when no route writes.
pub async fn announce(op: &Op, repo: &Repo<Push>, note: NoteWritten) -> Result<()> {
    op.transaction((repo.clone(), note), |tx, op, (repo, note)| {
        Box::pin(async move {
            let (_, repository) = repo.ensure(tx, op).await?;
            op.emit(tx, Event::new(note)?.within(repo)).await?;
            jobs::enqueue(tx, &CountNote { repository }, Schedule::now()).await
        })
    })
    .await
}

/// Removes the board of a deleted namespace.
fn clear_board(tx: &mut Tx, namespace: NamespaceId, _limit: u32) -> BoxFuture<'_, Result<u64>> {
    async move { Ok(tx.execute(&store::BOARD_CLEAR, args![namespace]).await?) }.boxed()
}

/// Removes some notes of a deleted repository.
fn clear(tx: &mut Tx, repository: RepositoryId, limit: u32) -> BoxFuture<'_, Result<u64>> {
    async move {
        Ok(tx
            .execute(&store::NOTE_CLEAR, args![repository, limit])
            .await?)
    }
    .boxed()
}
