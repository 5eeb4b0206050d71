//! Usage over a real database.

mod store;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use seawall_config::Section;
use seawall_kernel::catalog::events::UserCreated;
use seawall_kernel::clock::SystemRandom;
use seawall_kernel::events::{
    Event, EventKind, EventOrigin, EventType, PullClient, PullNotice, PullWatcher, RecordedEvent,
};
use seawall_kernel::secrets::Secrets;
use seawall_kernel::tasks::Tracker;
use seawall_kernel::{Kernel, KernelParts, Op, Settings};
use seawall_meta::fixture::{DatabaseBackend, TestClock, TestDatabase};
use seawall_meta::{Meta, Row, Statement, args};
use seawall_types::lane::Lane;
use seawall_types::{Algorithm, Clock, Digest, Millis, Tasks};
use serde::{Deserialize, Serialize};

use crate::pulls::PendingCounts;
use crate::{Config, MIGRATIONS, activity, feature, pulls, retention};

const DAY: Duration = Duration::from_hours(24);

struct Fixture {
    kernel: Arc<Kernel>,
    _database: TestDatabase,
}

impl Fixture {
    async fn new() -> Self {
        let sets = [seawall_kernel::MIGRATIONS, MIGRATIONS];
        let database = TestDatabase::migrated(DatabaseBackend::chosen().unwrap(), &sets)
            .await
            .unwrap();
        let clock: Arc<dyn Clock> = TestClock::new();
        let tracker = Arc::<Tracker>::default();
        let tasks = || Arc::clone(&tracker) as Tasks;
        let place = database.directory();
        let config = database.config();
        let meta = Meta::open(&config, place, tasks(), Arc::clone(&clock))
            .await
            .unwrap();
        let blobs = seawall_blob::Config::default();
        let random = Arc::new(SystemRandom);
        let blobs = seawall_blob::Blobs::open(
            &blobs,
            place,
            tasks(),
            Arc::clone(&clock),
            Arc::clone(&random) as _,
        );
        let parts = KernelParts {
            meta,
            blobs: blobs.await.unwrap(),
            clock,
            random,
            tracker: Arc::clone(&tracker),
            secrets: Secrets::from_bytes(&[5; 32]),
            settings: Settings::default(),
            cache_bytes: 16 << 20,
            declarations: seawall_kernel::Declarations::default(),
        };
        Self {
            kernel: Kernel::open(parts).await.unwrap(),
            _database: database,
        }
    }

    fn op(&self) -> Op {
        self.kernel.internal_op(Lane::Background, "test")
    }

    async fn rows(&self, statement: &'static Statement) -> Vec<Row> {
        self.op().sql().all(statement, args![]).await.unwrap()
    }
}

static DIGEST: LazyLock<Digest> = LazyLock::new(|| Digest::of(Algorithm::Sha256, b"manifest"));

fn pulled(repository: i64) -> PullNotice<'static> {
    PullNotice {
        namespace: 7.into(),
        repository: repository.into(),
        digest: &DIGEST,
        tag: None,
        bytes: 8,
        client: PullClient::default(),
    }
}

/// An event of a crate that this one does not know.
#[derive(Serialize, Deserialize)]
struct TagMoved {
    tag: String,
}

impl EventType for TagMoved {
    const KIND: EventKind = EventKind::new(32, "tag_moved");
}

/// An event of the operator's, which carries nothing that may be missing.
fn bare(id: i64, at: Millis) -> RecordedEvent {
    RecordedEvent {
        id: id.into(),
        at,
        event: Event::new(&UserCreated).unwrap(),
    }
}

/// An event that carries all there is.
fn full(id: i64, at: Millis) -> RecordedEvent {
    let tag = "latest".into();
    let mut event = Event::new(&TagMoved { tag })
        .unwrap()
        .namespace(7.into(), "ann")
        .repository(8.into(), "app");
    event.origin = Some(EventOrigin {
        id: Some(9),
        name: "ann".into(),
        kind: "user".into(),
        credential: Some(10),
        address: Some("2001:db8::1".into()),
        agent: "docker/29 ü".into(),
        request_id: "r-1".into(),
    });
    RecordedEvent {
        id: id.into(),
        at,
        event,
    }
}

#[tokio::test]
async fn every_statement_is_understood_by_the_database() {
    let fixture = Fixture::new().await;
    let wrong = fixture
        .kernel
        .meta()
        .check(&crate::statements())
        .await
        .unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn hearing_an_event_again_changes_nothing() {
    let fixture = Fixture::new().await;
    let now = fixture.kernel.now();
    let events = [bare(1, now), full(2, now), bare(3, now)];
    activity::record(&fixture.op(), &events).await.unwrap();
    activity::record(&fixture.op(), &events[1..]).await.unwrap();
    activity::record(&fixture.op(), &[]).await.unwrap();
    let rows = fixture.rows(&store::ACTIVITY_ALL).await;
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1].int(0).unwrap(), 2);
    assert_eq!(rows[1].text(1).unwrap(), "app");
    assert_eq!(rows[1].text(2).unwrap(), "docker/29 ü");
    assert_eq!(rows[1].text(3).unwrap(), r#"{"tag":"latest"}"#);
    assert_eq!(rows[1].text(4).unwrap(), "2001:db8::1");
    assert_eq!(rows[0].opt_text(1).unwrap(), None);
}

#[tokio::test]
async fn a_large_batch_is_written_whole() {
    let fixture = Fixture::new().await;
    let now = fixture.kernel.now();
    let events: Vec<_> = (1..=300).map(|id| full(id, now)).collect();
    activity::record(&fixture.op(), &events).await.unwrap();
    assert_eq!(fixture.rows(&store::ACTIVITY_ALL).await.len(), 300);
}

#[tokio::test]
async fn pulls_add_up_over_flushes_and_replicas() {
    let fixture = Fixture::new().await;
    let (one, two) = (
        PendingCounts::new(&fixture.kernel, 10),
        PendingCounts::new(&fixture.kernel, 10),
    );
    for counts in [&one, &two, &one] {
        counts.pulled(&pulled(8));
        counts.pulled(&pulled(9));
        counts.pulled(&pulled(8));
        counts.flush(&fixture.op()).await.unwrap();
    }
    one.flush(&fixture.op()).await.unwrap();
    let rows = fixture.rows(&store::PULLS_ALL).await;
    let read = |row: &Row| {
        (
            row.int(1).unwrap(),
            row.int(2).unwrap(),
            row.int(3).unwrap(),
        )
    };
    assert_eq!(
        rows.iter().map(read).collect::<Vec<_>>(),
        [(8, 7, 6), (9, 7, 3)]
    );
    assert_eq!(rows[0].int(0).unwrap(), pulls::day(fixture.kernel.now()));
}

#[tokio::test]
async fn what_is_counted_is_bounded() {
    let fixture = Fixture::new().await;
    let counts = PendingCounts::new(&fixture.kernel, 2);
    for repository in [1, 2, 3, 1, 3] {
        counts.pulled(&pulled(repository));
    }
    counts.flush(&fixture.op()).await.unwrap();
    let rows = fixture.rows(&store::PULLS_ALL).await;
    let counted: Vec<_> = rows.iter().map(|row| row.int(3).unwrap()).collect();
    assert_eq!(counted, [2, 1]);
}

#[tokio::test]
async fn what_cannot_be_written_is_kept() {
    let fixture = Fixture::new().await;
    let counts = PendingCounts::new(&fixture.kernel, 1000);
    for repository in 1..=600 {
        counts.pulled(&pulled(repository));
    }
    // An operation whose time is over waits for nothing.
    let late = fixture.kernel.op(
        Lane::Background,
        seawall_kernel::Actor::operator(),
        seawall_kernel::Origin::internal("test"),
        Some(Duration::ZERO),
    );
    fixture.kernel.meta().close().await;
    assert!(counts.flush(&late).await.is_err());
    assert_eq!(counts.waiting(), 600);
}

#[tokio::test]
async fn a_process_writes_its_counts_when_it_stops() {
    let fixture = Fixture::new().await;
    let feature = feature(
        &fixture.kernel,
        Config {
            flush_seconds: 600,
            ..Config::default()
        },
    );
    feature.watchers[0].pulled(&pulled(8));
    fixture.kernel.tracker().stop();
    assert!(
        fixture
            .kernel
            .tracker()
            .drain(Duration::from_secs(10))
            .await
            .is_empty()
    );
    assert_eq!(fixture.rows(&store::PULLS_ALL).await.len(), 1);
}

#[tokio::test]
async fn what_is_old_is_forgotten_piece_by_piece() {
    let fixture = Fixture::new().await;
    let now = fixture.kernel.now();
    let old: Vec<_> = (1..=1500)
        .map(|id| bare(id, now - 91 * DAY + at(id)))
        .collect();
    activity::record(&fixture.op(), &old).await.unwrap();
    activity::record(&fixture.op(), &[bare(2000, now - 89 * DAY)])
        .await
        .unwrap();
    let config = Config::default();
    assert!(retention::forget(&fixture.op(), &config).await.unwrap());
    assert_eq!(fixture.rows(&store::ACTIVITY_ALL).await.len(), 501);
    assert!(!retention::forget(&fixture.op(), &config).await.unwrap());
    assert_eq!(fixture.rows(&store::ACTIVITY_ALL).await.len(), 1);

    // Many repositories are pulled on one day.
    let counts = PendingCounts::new(&fixture.kernel, 2000);
    for repository in 1..=1500 {
        counts.pulled(&pulled(repository));
    }
    counts.flush(&fixture.op()).await.unwrap();
    assert!(!retention::forget(&fixture.op(), &config).await.unwrap());
    fixture.kernel.meta().shift_time(1096 * DAY);
    assert!(retention::forget(&fixture.op(), &config).await.unwrap());
    assert_eq!(fixture.rows(&store::PULLS_ALL).await.len(), 500);
    assert!(!retention::forget(&fixture.op(), &config).await.unwrap());
    assert!(fixture.rows(&store::PULLS_ALL).await.is_empty());
}

fn at(id: i64) -> Duration {
    Duration::from_millis(u64::try_from(id).unwrap())
}

#[test]
fn the_defaults_are_sound_and_the_limits_are_said() {
    assert!(Config::default().validate().is_empty());
    let odd = Config {
        flush_seconds: 0,
        activity_days: 0,
        pull_count_days: 0,
        enabled: false,
    };
    assert_eq!(odd.validate().len(), 3);
}
