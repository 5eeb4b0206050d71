//! The load generator: clients that each do the next thing as soon as the last is done (closed
//! loop), and clients that do things when they are due (open loop).
//!
//! Every client is a task with a connection of its own. Connections are open and warm before the
//! clock runs. An answer that is not the expected one ends the measurement: errors are fast, and
//! would look like speed.

use std::future::{Future, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::thread::{NanosleepRelativeResult, nanosleep};
use rustix::time::Timespec;
use seawall_kernel::clock::SystemClock;
use seawall_types::time::Clock;
use tokio::sync::{Barrier, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::statistics::Schedule;

/// The longest that anything may take beyond the window.
const PATIENCE: Duration = Duration::from_mins(2);

/// How much earlier than the first request an open loop gets ready.
const LEAD: Duration = Duration::from_millis(20);

/// What one client does over and over.
pub(crate) trait LoadStep: Send + 'static {
    /// Makes what the next step needs; not timed. For single clients only: with several, one
    /// would rest the server at the cost of the others.
    fn prepare(&mut self) -> impl Future<Output = Result<()>> + Send {
        ready(Ok(()))
    }

    /// Does it once; timed.
    fn step(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct LoadOutcome {
    /// Steps per second, all clients together; of an open loop, those that were done in time.
    pub(crate) rate: f64,
    /// How long the steps took, ascending.
    pub(crate) latencies: Vec<Duration>,
    /// Of an open loop: which share of what was due was done when the schedule ended.
    pub(crate) kept: Option<f64>,
    /// Of an open loop: how late steps began though they were due and their client was free,
    /// ascending. This is the generator's own delay, or that of another process.
    pub(crate) lags: Vec<Duration>,
}

/// Lets all clients run for `window`, each at least once; with `warm`, each does one step before
/// the clock runs.
pub(crate) async fn closed<S: LoadStep>(
    clients: Vec<S>,
    window: Duration,
    warm: bool,
) -> Result<LoadOutcome> {
    let start = Arc::new(Barrier::new(clients.len()));
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn(turns(client, window, warm, Arc::clone(&start)));
    }
    let mut outcome = LoadOutcome::default();
    for latencies in gather(running, window).await? {
        let busy: Duration = latencies.iter().sum();
        outcome.rate += count(latencies.len()) / busy.as_secs_f64().max(1e-9);
        outcome.latencies.extend(latencies);
    }
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

async fn turns<S: LoadStep>(
    mut client: S,
    window: Duration,
    warm: bool,
    start: Arc<Barrier>,
) -> Result<Vec<Duration>> {
    if warm {
        client.prepare().await?;
        client.step().await?;
    }
    start.wait().await;
    let mut latencies = Vec::new();
    let end = SystemClock.elapsed() + window;
    loop {
        client.prepare().await?;
        let begun = SystemClock.elapsed();
        client.step().await?;
        let done = SystemClock.elapsed();
        latencies.push(done.saturating_sub(begun));
        if done >= end {
            return Ok(latencies);
        }
    }
}

/// Lets requests begin at `rate` per second for `window`, by any client that is free. If all
/// are busy, a request waits, and its latency grows.
pub(crate) async fn open<S: LoadStep>(
    mut clients: Vec<S>,
    window: Duration,
    rate: f64,
) -> Result<LoadOutcome> {
    for client in &mut clients {
        client.prepare().await?;
        client.step().await?;
    }
    let schedule = Schedule::new(SystemClock.elapsed() + LEAD, rate);
    let total = schedule.count(window).max(1);
    let due = Arc::new(Semaphore::new(0));
    let pacer = Pacer::start(schedule, total, Arc::clone(&due))?;
    let taken = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for client in clients {
        let (due, taken) = (Arc::clone(&due), Arc::clone(&taken));
        running.spawn(serve_due(client, schedule, total, due, taken));
    }
    let done = gather(running, window).await?.concat();
    drop(pacer);
    Ok(judge(&done, schedule, total))
}

/// A step of an open loop.
#[derive(Clone, Copy, Debug)]
struct CompletedStep {
    number: u64,
    lag: Duration,
    at: Duration,
}

fn judge(done: &[CompletedStep], schedule: Schedule, total: u64) -> LoadOutcome {
    let end = schedule.due(total);
    let in_time = count(done.iter().filter(|done| done.at <= end).count());
    let sorted = |of: &dyn Fn(&CompletedStep) -> Duration| {
        let mut all: Vec<_> = done.iter().map(of).collect();
        all.sort_unstable();
        all
    };
    let passed = end.saturating_sub(schedule.due(0)).as_secs_f64();
    LoadOutcome {
        rate: in_time / passed.max(1e-9),
        latencies: sorted(&|done| schedule.latency(done.number, done.at)),
        kept: Some(in_time / count(done.len()).max(1.0)),
        lags: sorted(&|done| done.lag),
    }
}

async fn serve_due<S: LoadStep>(
    mut client: S,
    schedule: Schedule,
    total: u64,
    due: Arc<Semaphore>,
    taken: Arc<AtomicU64>,
) -> Result<Vec<CompletedStep>> {
    let mut all = Vec::new();
    let mut free = Duration::ZERO;
    // The pacer closes nothing: the client that takes the last request does.
    while let Ok(permit) = due.acquire().await {
        permit.forget();
        let number = taken.fetch_add(1, Ordering::Relaxed);
        let begun = SystemClock.elapsed();
        client.step().await?;
        let at = SystemClock.elapsed();
        all.push(CompletedStep {
            number,
            lag: begun.saturating_sub(schedule.due(number).max(free)),
            at,
        });
        free = at;
        if number + 1 == total {
            due.close();
        }
    }
    Ok(all)
}

/// A thread that says when requests are due. The runtime's timers may be a millisecond late, which
/// is longer than most answers take.
struct Pacer {
    stop: Arc<AtomicBool>,
}

impl Pacer {
    fn start(schedule: Schedule, total: u64, due: Arc<Semaphore>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let pace = move || {
            let mut number = 0;
            while number < total && !stopped.load(Ordering::Relaxed) {
                sleep_until(schedule.due(number));
                let now = SystemClock.elapsed();
                let together = (number..total).take_while(|number| schedule.due(*number) <= now);
                let together = together.count();
                due.add_permits(together);
                number += together as u64;
            }
        };
        thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(pace)?;
        Ok(Self { stop })
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn sleep_until(due: Duration) {
    loop {
        let left = due.saturating_sub(SystemClock.elapsed());
        let (Ok(tv_sec), nanos) = (i64::try_from(left.as_secs()), left.subsec_nanos()) else {
            return;
        };
        let tv_nsec = nanos.into();
        let slept = nanosleep(&Timespec { tv_sec, tv_nsec });
        if left.is_zero() || !matches!(slept, NanosleepRelativeResult::Interrupted(_)) {
            return;
        }
    }
}

/// What all the clients return. The first that fails ends the others.
async fn gather<T: Send + 'static>(
    mut running: JoinSet<Result<T>>,
    window: Duration,
) -> Result<Vec<T>> {
    let mut results = Vec::new();
    let all = async {
        while let Some(ended) = running.join_next().await {
            results.push(ended.context("a client broke")??);
        }
        anyhow::Ok(())
    };
    match timeout(window + PATIENCE, all).await {
        Ok(ended) => ended?,
        Err(_) => bail!("no end after {} s", (window + PATIENCE).as_secs()),
    }
    Ok(results)
}

/// A count as a number to calculate with.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of what can be done in a run are far below 2^52"
)]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pause(Duration);

    impl LoadStep for Pause {
        async fn step(&mut self) -> Result<()> {
            tokio::time::sleep(self.0).await;
            Ok(())
        }
    }

    struct Broken;

    impl LoadStep for Broken {
        async fn step(&mut self) -> Result<()> {
            bail!("no")
        }
    }

    #[tokio::test]
    async fn a_closed_loop_has_one_step_of_each_client_under_way() {
        let clients = [(); 4].map(|()| Pause(Duration::from_millis(20)));
        let outcome = closed(clients.into(), Duration::from_millis(200), true).await;
        let outcome = outcome.unwrap();
        // Four clients at 50 steps per second at most; a busy machine makes it less.
        assert!(outcome.rate > 0.0 && outcome.rate <= 200.0, "{outcome:?}");
        assert!(outcome.latencies.len() <= 44, "{outcome:?}");
    }

    #[tokio::test]
    async fn an_open_loop_counts_the_time_in_the_queue() {
        // One client that needs 20 ms, asked every 10 ms: the queue grows.
        let clients = vec![Pause(Duration::from_millis(20))];
        let outcome = open(clients, Duration::from_millis(200), 100.0).await;
        let outcome = outcome.unwrap();
        assert_eq!((outcome.latencies.len(), outcome.lags.len()), (20, 20));
        assert!(*outcome.latencies.last().unwrap() >= Duration::from_millis(150));
        assert!(outcome.kept.unwrap() <= 0.5, "{outcome:?}");
        // Waiting for the only client is no fault of the generator.
        assert!(outcome.lags[10] * 2 < outcome.latencies[10], "{outcome:?}");
    }

    #[test]
    fn what_is_done_after_the_end_was_not_kept_and_waiting_for_a_client_is_no_lag() {
        let millis = Duration::from_millis;
        let schedule = Schedule::new(millis(0), 100.0);
        let done = |number, lag, at| CompletedStep {
            number,
            lag: millis(lag),
            at: millis(at),
        };
        let all = [
            done(0, 2, 5),
            done(1, 0, 20),
            done(2, 1, 31),
            done(3, 0, 41),
        ];
        let outcome = judge(&all, schedule, 4);
        assert_eq!(outcome.kept, Some(0.75));
        assert!((outcome.rate - 75.0).abs() < 1e-6, "{outcome:?}");
        assert_eq!(outcome.lags, [0, 0, 1, 2].map(millis));
        assert_eq!(outcome.latencies, [5, 10, 11, 11].map(millis));
    }

    #[tokio::test]
    async fn a_failure_ends_the_measurement() {
        let window = Duration::from_secs(5);
        assert!(closed(vec![Broken, Broken], window, false).await.is_err());
        assert!(closed(vec![Broken, Broken], window, true).await.is_err());
        assert!(open(vec![Broken], window, 10.0).await.is_err());
    }
}
