//! Jobs: what fails is tried again for ever, what is not known waits, what is lost stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use seawall_meta::fixture::{DatabaseBackend, damage};
use seawall_meta::{Args, Statement, args};
use seawall_types::lane::Lane;
use seawall_types::{Error, Reason};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{Process, eventually, store};
use crate::Feature;
use crate::jobs::{self, ClaimTerms, Job, JobOutcome, Schedule, Worker, Workers};
use crate::start;

/// Longer than any job is put off for, or claimed.
const LONG: Duration = Duration::from_mins(11);

/// Times that a test can wait for.
const SOON: ClaimTerms = ClaimTerms {
    lease: Duration::from_mins(1),
    beat: Duration::from_millis(5),
    retry: Duration::from_millis(5),
};

/// Work that is done once.
#[derive(Serialize, Deserialize)]
struct Chore {
    room: String,
}

impl Job for Chore {
    const KIND: &'static str = "test.chore";
}

/// Work that comes again and again.
#[derive(Serialize, Deserialize)]
struct Round {
    stops: u8,
}

impl Job for Round {
    const KIND: &'static str = "test.round";
}

/// Notes when it is dropped.
struct Stopped(Arc<AtomicBool>);
impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A job as it stands in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Queued {
    kind: String,
    state: i64,
    failures: i64,
    fence: i64,
    run_at: i64,
    error: Option<String>,
}

async fn queue(process: &Process) -> Vec<Queued> {
    let rows = process.op().sql().all(&store::JOBS, args![]).await.unwrap();
    let read = |row: &seawall_meta::Row| Queued {
        kind: row.string(0).unwrap(),
        state: row.int(1).unwrap(),
        failures: row.int(2).unwrap(),
        fence: row.int(3).unwrap(),
        run_at: row.int(4).unwrap(),
        error: row.opt_string(5).unwrap(),
    };
    rows.iter().map(read).collect()
}

async fn enqueue<J: Job>(process: &Process, job: J) {
    let schedule = Schedule::now().once(J::KIND.to_owned());
    let input = (job, schedule);
    let op = process.op();
    let enqueuing = op.transaction(input, |tx, _op, (job, schedule)| {
        Box::pin(async move { jobs::enqueue(tx, job, schedule.clone()).await })
    });
    enqueuing.await.unwrap();
}

async fn execute(process: &Process, statement: &'static Statement, arguments: Args) {
    let op = process.op();
    let executing = op.transaction(arguments, move |tx, _op, arguments| {
        Box::pin(async move { Ok(tx.execute(statement, arguments.clone()).await?) })
    });
    executing.await.unwrap();
}

fn workers(process: &Process, worker: Worker) -> Workers {
    Workers::new(&process.kernel, vec![worker])
}

/// A worker that counts its runs, and fails while it is told to.
fn counting<J: Job>(runs: &Arc<AtomicU64>, fails: &Arc<AtomicBool>) -> Worker {
    let (runs, fails) = (Arc::clone(runs), Arc::clone(fails));
    Worker::new::<J, _, _>(Lane::Background, move |_op, _job| {
        let (runs, fails) = (Arc::clone(&runs), Arc::clone(&fails));
        async move {
            runs.fetch_add(1, Ordering::SeqCst);
            if fails.load(Ordering::SeqCst) {
                return Err(Error::new(Reason::Internal, "the disk is full"));
            }
            Ok(JobOutcome::Again(Duration::from_mins(10)))
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_time_after_time_is_put_off_and_never_given_up() {
    let process = Process::new().await;
    let (runs, fails) = (Arc::default(), Arc::new(AtomicBool::new(true)));
    let workers = workers(&process, counting::<Round>(&runs, &fails));
    enqueue(&process, Round { stops: 3 }).await;
    for run in 1..=13 {
        assert!(workers.step().await.unwrap());
        assert!(!workers.step().await.unwrap(), "it is put off");
        let queue = queue(&process).await;
        assert_eq!((queue[0].state, queue[0].failures), (1, run));
        assert!(queue[0].error.as_deref().unwrap().contains("disk is full"));
        process.pass(LONG);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 13);
    fails.store(false, Ordering::SeqCst);
    assert!(workers.step().await.unwrap());
    assert_eq!(queue(&process).await[0].failures, 0, "all is forgotten");
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_an_earlier_release_gave_up_runs_after_the_next_start() {
    let process = Process::new().await;
    let (runs, fails) = (Arc::default(), Arc::default());
    enqueue(&process, Round { stops: 3 }).await;
    execute(&process, &store::GIVE_UP, args![]).await;
    let mut feature = Feature::new("test").always(&Round { stops: 3 }, LONG);
    feature.workers.push(counting::<Round>(&runs, &fails));
    process.start(&[feature]).await;
    let ran = || async { runs.load(Ordering::SeqCst) == 1 };
    eventually("it runs again", ran).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_during_a_long_job_are_no_failures() {
    let process = Process::new().await;
    enqueue(&process, Round { stops: 3 }).await;
    for _ in 0..12 {
        let begun = Arc::new(Notify::new());
        let worker = Worker::new::<Round, _, _>(Lane::Background, {
            let begun = Arc::clone(&begun);
            move |_op, _job| {
                begun.notify_one();
                futures::future::pending()
            }
        });
        let workers = workers(&process, worker);
        tokio::select! {
            ended = workers.step() => panic!("it runs for long, and ended: {ended:?}"),
            () = begun.notified() => {}
        }
        process.pass(LONG);
    }
    let queue = queue(&process).await;
    assert_eq!(
        (queue[0].state, queue[0].failures, queue[0].fence),
        (1, 0, 12)
    );
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_fails_neither_ends_the_job_nor_counts() {
    let process = Process::new().await;
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let worker = Worker::new::<Chore, _, _>(Lane::Background, {
        let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
        move |_op, _job| {
            let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
            async move {
                begun.notify_one();
                go.notified().await;
                Ok(JobOutcome::Done)
            }
        }
    });
    let workers = workers(&process, worker).with(SOON);
    enqueue(
        &process,
        Chore {
            room: "hall".into(),
        },
    )
    .await;
    let refusing = async {
        begun.notified().await;
        let [refuse, take_again] = store::refusal_of_updates(process.database.backend());
        let change = async |statement: &str| {
            // A renewal may be in the way for a moment.
            let changed = async || {
                damage(&process.database.url, &[statement.to_owned()])
                    .await
                    .is_ok()
            };
            eventually("the table is another", changed).await;
        };
        change(refuse).await;
        // Many beats long, each renewal fails.
        tokio::time::sleep(Duration::from_millis(300)).await;
        change(take_again).await;
        go.notify_one();
    };
    let (stepped, ()) = tokio::join!(workers.step(), refusing);
    assert!(stepped.unwrap());
    assert_eq!(queue(&process).await, [], "it was done, and booked");
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stood_still_takes_no_step_of_a_job_it_has_lost() {
    let process = Process::new().await;
    let steps = Arc::new(AtomicU64::new(0));
    let worker = Worker::new::<Round, _, _>(Lane::Background, {
        let (steps, clock) = (Arc::clone(&steps), Arc::clone(&process.clock));
        move |op, _job| {
            let (steps, clock) = (Arc::clone(&steps), Arc::clone(&clock));
            async move {
                if steps.fetch_add(1, Ordering::SeqCst) == 0 {
                    // Here the machine is suspended, in the middle of a job.
                    clock.advance(LONG);
                    // A step is what is done between two waits; the claim is looked at before each.
                    tokio::task::yield_now().await;
                }
                op.sql().all(&store::JOBS, args![]).await?;
                steps.fetch_add(10, Ordering::SeqCst);
                Ok(JobOutcome::Again(LONG))
            }
        }
    });
    let workers = workers(&process, worker);
    enqueue(&process, Round { stops: 3 }).await;
    assert!(workers.step().await.unwrap());
    assert_eq!(
        steps.load(Ordering::SeqCst),
        1,
        "nothing but the first step"
    );
    assert_eq!(queue(&process).await[0].failures, 0);
    process.pass(LONG);
    assert!(
        workers.step().await.unwrap(),
        "it runs again, from the start"
    );
    assert_eq!(steps.load(Ordering::SeqCst), 12);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_another_worker_has_taken_over_is_stopped_here() {
    let process = Process::new().await;
    let (begun, stopped) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let worker = Worker::new::<Round, _, _>(Lane::Background, {
        let (begun, stopped) = (Arc::clone(&begun), Arc::clone(&stopped));
        move |_op, _job| {
            let (begun, stopped) = (Arc::clone(&begun), Stopped(Arc::clone(&stopped)));
            async move {
                begun.notify_one();
                futures::future::pending::<()>().await;
                drop(stopped);
                Ok(JobOutcome::Done)
            }
        }
    });
    let workers = workers(&process, worker).with(SOON);
    enqueue(&process, Round { stops: 3 }).await;
    let taking = async {
        begun.notified().await;
        execute(&process, &store::TAKE_OVER, args![]).await;
    };
    let (stepped, ()) = tokio::join!(workers.step(), taking);
    assert!(stepped.unwrap());
    assert!(stopped.load(Ordering::SeqCst));
    let queue = queue(&process).await;
    assert_eq!(
        (queue[0].fence, queue[0].failures, &queue[0].error),
        (2, 0, &None)
    );
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_no_worker_here_knows_stays_where_it_is() {
    let process = Process::new().await;
    let (runs, fails) = (Arc::default(), Arc::default());
    enqueue(
        &process,
        Chore {
            room: "hall".into(),
        },
    )
    .await;
    let before = queue(&process).await;
    enqueue(&process, Round { stops: 3 }).await;
    let workers = workers(&process, counting::<Round>(&runs, &fails));
    assert!(workers.step().await.unwrap(), "what is behind it runs");
    assert!(!workers.step().await.unwrap());
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(queue(&process).await[..before.len()], before[..]);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_an_unknown_shape_waits_for_a_release_that_knows_it() {
    let process = Process::new().await;
    let (runs, fails) = (Arc::default(), Arc::default());
    let worker = || counting::<Chore>(&runs, &fails);
    enqueue(
        &process,
        Chore {
            room: "hall".into(),
        },
    )
    .await;
    execute(&process, &store::JOB_SET, args![r#"{"rooms": ["hall"]}"#]).await;
    let workers = workers(&process, worker());
    for _ in 0..12 {
        assert!(workers.step().await.unwrap());
        assert!(!workers.step().await.unwrap(), "it is put off");
        let queue = queue(&process).await;
        assert_eq!(
            (queue[0].state, queue[0].failures, &queue[0].error),
            (1, 0, &None)
        );
        process.pass(LONG);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    execute(&process, &store::JOB_SET, args![r#"{"room": "hall"}"#]).await;
    assert!(workers.step().await.unwrap());
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recurring_job_runs_with_the_payload_of_the_release_that_runs_it() {
    let process = Process::new().await;
    let (runs, fails) = (Arc::default(), Arc::default());
    enqueue(&process, Round { stops: 3 }).await;
    // Another release keeps its own shape in the queue.
    execute(&process, &store::JOB_SET, args![r#"{"route": "north"}"#]).await;
    let mut feature = Feature::new("test").always(&Round { stops: 3 }, LONG);
    feature.workers.push(counting::<Round>(&runs, &fails));
    let workers = Workers::new(&process.kernel, start::workers(&[feature]));
    assert!(workers.step().await.unwrap());
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_one_runs_a_job() {
    let process = Process::new().await;
    if process.database.backend() == DatabaseBackend::Sqlite {
        return process.stop().await; // One process has the file.
    }
    let (runs, fails) = (Arc::default(), Arc::default());
    enqueue(&process, Round { stops: 3 }).await;
    let all: Vec<_> = (0..4)
        .map(|_| workers(&process, counting::<Round>(&runs, &fails)))
        .collect();
    let stepping = futures::future::join_all(all.iter().map(Workers::step));
    let ran = stepping
        .await
        .into_iter()
        .filter(|ran| *ran.as_ref().unwrap());
    assert_eq!((ran.count(), runs.load(Ordering::SeqCst)), (1, 1));
    process.stop().await;
}
