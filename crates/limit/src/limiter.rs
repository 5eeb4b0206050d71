//! The limiter: a fair semaphore with a bounded line, counts for metrics, and an end.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, TryAcquireError};
use tokio::time::timeout;

/// How much a limiter lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many permits there are; `None` for any number, which are only counted.
    pub seats: Option<usize>,
    /// How many callers may wait in line.
    pub line: usize,
    /// How long each of them waits.
    pub wait: Duration,
}

impl Limit {
    /// No maximum: permits are counted, and none is waited for.
    pub const UNLIMITED: Self = Self {
        seats: None,
        line: 0,
        wait: Duration::ZERO,
    };

    /// `seats` permits, without a line: what does not fit is refused at once.
    pub const fn of(seats: usize) -> Self {
        Self {
            seats: Some(seats),
            line: 0,
            wait: Duration::ZERO,
        }
    }

    /// The same with a line of `line` callers, each of which waits for `wait` at most.
    pub const fn with_line(self, line: usize, wait: Duration) -> Self {
        Self { line, wait, ..self }
    }
}

/// Why no permit was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitError {
    /// All permits are taken, and so is every place in the line.
    Full,
    /// The wait in the line was too long.
    TooLate,
    /// The limiter was closed.
    Closed,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "all permits and all places in the queue are taken",
            Self::TooLate => "the wait was too long",
            Self::Closed => "the limiter is closed",
        })
    }
}

impl std::error::Error for LimitError {}

/// Gives out permits. A clone is the same limiter.
#[derive(Debug, Clone)]
pub struct Limiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    limit: Limit,
    /// The permits that are free, with the line before them; `None` without a maximum, so that
    /// counting costs no lock.
    free: Option<Semaphore>,
    closed: AtomicBool,
    in_use: AtomicUsize,
    /// The most that were ever in use at once.
    most: AtomicUsize,
    waiting: AtomicUsize,
}

impl Limiter {
    /// A limiter whose permits are all free. `name` is what metrics and logs call it.
    pub fn new(name: &'static str, limit: Limit) -> Self {
        // More than that no semaphore counts; it is as good as no maximum.
        let bounded = limit.seats.filter(|seats| *seats <= Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            name,
            limit,
            free: bounded.map(Semaphore::new),
            closed: AtomicBool::new(false),
            in_use: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        }))
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// What it was made with.
    pub fn limit(&self) -> Limit {
        self.0.limit
    }

    /// A permit, if one is free and no caller waits for it.
    pub fn try_acquire(&self) -> Result<Permit, LimitError> {
        match &self.0.free {
            Some(free) => match free.try_acquire() {
                Ok(permit) => permit.forget(),
                Err(TryAcquireError::NoPermits) => return Err(LimitError::Full),
                Err(TryAcquireError::Closed) => return Err(LimitError::Closed),
            },
            None if self.is_closed() => return Err(LimitError::Closed),
            None => {}
        }
        Ok(self.permit())
    }

    /// A permit: at once if one is free, else in the order of arrival. May be dropped at any time.
    pub async fn acquire(&self) -> Result<Permit, LimitError> {
        match self.try_acquire() {
            Err(LimitError::Full) => {}
            decided => return decided,
        }
        let place = self.line_up()?;
        place.wait(self.next()).await?
    }

    /// A place in the line, for a caller that has something else to wait for ahead of its permit:
    /// the line bounds that as well.
    pub fn line_up(&self) -> Result<QueuePosition, LimitError> {
        if self.is_closed() {
            return Err(LimitError::Closed);
        }
        let before = self.0.waiting.fetch_add(1, Ordering::Relaxed);
        // Made first, so that a refusal takes the caller out of the count again.
        let place = QueuePosition(Arc::clone(&self.0));
        if before >= self.0.limit.line {
            return Err(LimitError::Full);
        }
        Ok(place)
    }

    /// The next permit, however long it takes and whatever the line: for what is bounded otherwise,
    /// as a caller in a [`QueuePosition`] is. May be dropped at any time.
    pub async fn next(&self) -> Result<Permit, LimitError> {
        let Some(free) = &self.0.free else {
            return self.try_acquire();
        };
        free.acquire()
            .await
            .map_err(|_| LimitError::Closed)?
            .forget();
        Ok(self.permit())
    }

    /// Waits until all permits are back, keeping those that are, and closes: callers that lined up
    /// behind it are refused. When it is dropped before, the permits are free again. A limiter
    /// without a maximum closes at once.
    pub async fn close_idle(&self) {
        let mut kept = None;
        if let (Some(free), Some(seats)) = (&self.0.free, self.0.limit.seats) {
            let seats = u32::try_from(seats).unwrap_or(u32::MAX);
            // There is nothing to wait for where it was closed already.
            kept = free.acquire_many(seats).await.ok();
        }
        self.close();
        // Not before: permits that are given back go to the line at once, as long as it is open.
        drop(kept);
    }

    /// Gives out nothing any more; all that wait are refused. What was given out stays valid.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        if let Some(free) = &self.0.free {
            free.close();
        }
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    /// How many permits are in use.
    pub fn in_use(&self) -> usize {
        self.0.in_use.load(Ordering::Relaxed)
    }

    /// The most that were ever in use at once.
    pub fn most_in_use(&self) -> usize {
        self.0.most.load(Ordering::Relaxed)
    }

    /// How many callers wait in line.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Wraps what was taken out of the semaphore.
    fn permit(&self) -> Permit {
        let in_use = self.0.in_use.fetch_add(1, Ordering::Relaxed) + 1;
        // A maximum is seldom moved, and reading does not take the line from the other cores.
        if in_use > self.0.most.load(Ordering::Relaxed) {
            self.0.most.fetch_max(in_use, Ordering::Relaxed);
        }
        Permit(Arc::clone(&self.0))
    }
}

/// The right to be one of those that a limiter lets in; given back when it is dropped.
#[derive(Debug)]
#[must_use = "a permit is given back when it is dropped"]
pub struct Permit(Arc<Inner>);

impl Permit {
    /// Changes it for a permit of `other`, if one is free there; says whether it has done so. It
    /// never waits: a caller that waited with a permit in its hand would keep others out for it.
    pub fn try_move(&mut self, other: &Limiter) -> bool {
        if Arc::ptr_eq(&self.0, &other.0) {
            return true;
        }
        let Ok(permit) = other.try_acquire() else {
            return false;
        };
        *self = permit;
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // First, so that the count is never above the maximum.
        self.0.in_use.fetch_sub(1, Ordering::Relaxed);
        if let Some(free) = &self.0.free {
            free.add_permits(1);
        }
    }
}

/// A place in a limiter's line; left when it is dropped.
#[derive(Debug)]
#[must_use = "a place in the line is left when it is dropped"]
pub struct QueuePosition(Arc<Inner>);

impl QueuePosition {
    /// Waits for `asking`, as long as the limiter's line lets one wait.
    pub async fn wait<T>(&self, asking: impl Future<Output = T>) -> Result<T, LimitError> {
        timeout(self.0.limit.wait, asking)
            .await
            .map_err(|_| LimitError::TooLate)
    }
}

impl Drop for QueuePosition {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
