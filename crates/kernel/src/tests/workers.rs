//! The workers of a process: what is slow holds up nothing else, and what is queued starts at once.

use std::sync::Arc;
use std::time::Duration;

use seawall_types::lane::Lane;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{Process, eventually};
use crate::Feature;
use crate::jobs::{self, Job, JobOutcome, Schedule, Worker};

/// Work that runs until it is let go.
#[derive(Serialize, Deserialize)]
struct Mirror {}

impl Job for Mirror {
    const KIND: &'static str = "test.mirror";
}

/// Another kind of it.
#[derive(Serialize, Deserialize)]
struct Scan {}

impl Job for Scan {
    const KIND: &'static str = "test.scan";
}

/// Work that takes no time.
#[derive(Serialize, Deserialize)]
struct Errand {}

impl Job for Errand {
    const KIND: &'static str = "test.errand";
}

async fn enqueue<J: Job>(process: &Process, job: J) {
    let op = process.op();
    let enqueuing = op.transaction(job, |tx, _op, job| {
        Box::pin(async move { jobs::enqueue(tx, job, Schedule::now()).await })
    });
    enqueuing.await.unwrap();
}

/// Tells when a job has begun, and lets it end.
#[derive(Clone)]
struct Gate {
    begun: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self {
            begun: Arc::new(Semaphore::new(0)),
            go: Arc::new(Semaphore::new(0)),
        }
    }

    /// A worker whose jobs stand in the door, or only pass it.
    fn worker<J: Job>(&self, lane: Lane, stays: bool) -> Worker {
        let door = self.clone();
        Worker::new::<J, _, _>(lane, move |_op, _job| {
            let door = door.clone();
            async move {
                door.begun.add_permits(1);
                if stays {
                    door.go.acquire().await.unwrap().forget();
                }
                Ok(JobOutcome::Done)
            }
        })
    }

    /// Waits until one more job has begun.
    async fn begins(&self) {
        let begun = tokio::time::timeout(Duration::from_secs(10), self.begun.acquire());
        begun.await.unwrap().unwrap().forget();
    }
}

fn feature(workers: impl IntoIterator<Item = Worker>) -> Feature {
    let mut feature = Feature::new("test");
    feature.workers.extend(workers);
    feature
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_runs_for_hours_holds_up_no_other_lane() {
    let process = Process::new().await;
    let (slow, quick) = (Gate::new(), Gate::new());
    let workers = [
        slow.worker::<Mirror>(Lane::Background, true),
        quick.worker::<Errand>(Lane::Interactive, false),
    ];
    process.start(&[feature(workers)]).await;
    enqueue(&process, Mirror {}).await;
    slow.begins().await;
    enqueue(&process, Errand {}).await;
    quick.begins().await;
    slow.go.add_permits(1);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_has_a_seat_in_its_lane_while_it_runs() {
    let process = Process::new().await;
    let slow = Gate::new();
    let worker = slow.worker::<Mirror>(Lane::Interactive, true);
    process.start(&[feature([worker])]).await;
    let lanes = Arc::clone(process.kernel.lanes());
    assert_eq!(lanes.in_use(Lane::Interactive), 0);
    enqueue(&process, Mirror {}).await;
    slow.begins().await;
    assert_eq!(lanes.in_use(Lane::Interactive), 1);
    slow.go.add_permits(1);
    let free = || async { lanes.in_use(Lane::Interactive) == 0 };
    eventually("the seat is given back", free).await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_runs_for_hours_holds_up_no_other_kind_of_its_lane() {
    let process = Process::new().await;
    let (slow, quick) = (Gate::new(), Gate::new());
    let workers = [
        slow.worker::<Mirror>(Lane::Background, true),
        quick.worker::<Errand>(Lane::Background, false),
    ];
    process.start(&[feature(workers)]).await;
    for _ in 0..8 {
        enqueue(&process, Mirror {}).await;
    }
    slow.begins().await;
    enqueue(&process, Errand {}).await;
    quick.begins().await;
    slow.go.add_permits(1);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recurring_job_waits_for_no_other_job() {
    let process = Process::new().await;
    let (slow, again) = (Gate::new(), Gate::new());
    let workers = [
        slow.worker::<Mirror>(Lane::Background, true),
        slow.worker::<Scan>(Lane::Background, true),
        again.worker::<Errand>(Lane::Background, false),
    ];
    enqueue(&process, Mirror {}).await;
    enqueue(&process, Scan {}).await;
    let recurring = feature(workers).always(&Errand {}, Duration::from_millis(1));
    process.start(&[recurring]).await;
    slow.begins().await;
    slow.begins().await;
    again.begins().await;
    slow.go.add_permits(2);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_this_process_has_queued_starts_at_once() {
    let process = Process::new().await;
    let quick = Gate::new();
    let worker = quick.worker::<Errand>(Lane::Background, false);
    process.start(&[feature([worker])]).await;
    let errands = async {
        for _ in 0..8 {
            // The process has seen by then that nothing else is due.
            tokio::time::sleep(Duration::from_millis(50)).await;
            enqueue(&process, Errand {}).await;
            quick.begins().await;
        }
    };
    // The queue is read once a second when nothing rings.
    let in_time = tokio::time::timeout(Duration::from_secs(4), errands).await;
    assert!(in_time.is_ok(), "jobs wait for the next look at the queue");
    process.stop().await;
}
