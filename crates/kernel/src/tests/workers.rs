//! The workers of a process: what is slow holds up nothing else, and what is queued starts at once.

use std::sync::Arc;
use std::time::Duration;

use seawall_types::lane::Lane;
use seawall_types::{Error, Reason};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{Process, eventually};
use crate::Feature;
use crate::jobs::{self, Gauges, Job, JobOutcome, Schedule, Worker, Workers};

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

/// A third kind of work that runs until it is let go.
#[derive(Serialize, Deserialize)]
struct Index {}

impl Job for Index {
    const KIND: &'static str = "test.index";
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feature_with_many_jobs_leaves_a_worker_to_each_other_feature() {
    let process = Process::new().await;
    let (slow, quick) = (Gate::new(), Gate::new());
    let busy = feature([
        slow.worker::<Mirror>(Lane::Background, true),
        slow.worker::<Scan>(Lane::Background, true),
        slow.worker::<Index>(Lane::Background, true),
    ]);
    let mut other = Feature::new("other");
    other
        .workers
        .push(quick.worker::<Errand>(Lane::Background, false));
    process.start(&[busy, other]).await;
    enqueue(&process, Mirror {}).await;
    enqueue(&process, Scan {}).await;
    enqueue(&process, Index {}).await;
    for _ in 0..3 {
        slow.begins().await;
    }
    enqueue(&process, Errand {}).await;
    quick.begins().await;
    slow.go.add_permits(3);
    process.stop().await;
}

#[tokio::test]
async fn metrics_say_what_waits_and_what_fails_without_a_look_at_the_queue_for_each_scrape() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let process = Process::new().await;
    let failing = Worker::new::<Mirror, _, _>(Lane::Background, |_op, _job| async {
        Err::<JobOutcome, _>(Error::new(Reason::Internal, "no room"))
    });
    let feature = feature([failing, Gate::new().worker::<Scan>(Lane::Background, false)]);
    for _ in 0..3 {
        enqueue(&process, Mirror {}).await;
    }
    let workers = Workers::new(&process.kernel, crate::start::workers(&[feature]));
    assert!(workers.step().await.unwrap(), "one has failed");
    process.pass(Duration::from_secs(40));
    let mut gauges = Gauges::default();
    let says = |name: &str, kind: &str| {
        let text = handle.render();
        let is_it = |line: &&str| line.starts_with(name) && line.contains(&format!("\"{kind}\""));
        let line = text.lines().find(is_it).map(str::to_owned);
        let line = line.unwrap_or_else(|| panic!("no {name} of {kind} in {text}"));
        assert!(
            line.contains("feature=\"test\"") && line.contains("lane=\"background\""),
            "{line}"
        );
        line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    workers.count(&mut gauges).await.unwrap();
    assert!((says("seawall_jobs_queued", "test.mirror") - 3.0).abs() < 0.1);
    assert!((says("seawall_jobs_failing", "test.mirror") - 1.0).abs() < 0.1);
    assert!((says("seawall_jobs_queued", "test.scan") - 0.0).abs() < 0.1);
    let late = says("seawall_jobs_late_seconds", "test.mirror");
    assert!((39.0..300.0).contains(&late), "{late}");
    // Counted anew only after a while.
    enqueue(&process, Scan {}).await;
    workers.count(&mut gauges).await.unwrap();
    assert!((says("seawall_jobs_queued", "test.scan") - 0.0).abs() < 0.1);
    process.clock.advance(Duration::from_secs(16));
    workers.count(&mut gauges).await.unwrap();
    assert!((says("seawall_jobs_queued", "test.scan") - 1.0).abs() < 0.1);
    process.stop().await;
}
