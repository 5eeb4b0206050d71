//! How many passwords and signatures are computed at once: a flood of them costs its own permits
//! and nothing else.
//!
//! A seat is a thread that is busy (and, for a password, the 19 MiB that argon2 fills). The line
//! before them has an end, and so has the time in it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use seawall_limit::{Limit, LimitError, Limiter, Permit, QueuePosition};
use seawall_types::{Error, Reason, Result};

/// So many wait at most; a caller beyond that is refused at once.
const LINE: usize = 256;

/// How long one waits for a seat.
const WAIT: Duration = Duration::from_secs(3);
const RETRY_SECONDS: u32 = 3;

/// The seats, and the line before them.
pub(crate) struct CpuLimiter {
    limiter: Limiter,
    /// How often one was taken.
    taken: AtomicUsize,
}

impl CpuLimiter {
    /// Half of the cores, and one at least.
    pub(crate) fn new(name: &'static str, cores: usize) -> Self {
        let limit = Limit::of((cores / 2).max(1)).with_line(LINE, WAIT);
        Self {
            limiter: Limiter::new(name, limit),
            taken: AtomicUsize::new(0),
        }
    }

    /// A seat, after a wait in the line. Errors: `TooMany` when the line is full and when the wait
    /// is too long.
    pub(crate) async fn take(&self) -> Result<Permit> {
        let place = self.line_up()?;
        place.wait(self.next()).await.map_err(busy)?
    }

    /// A place in the line, for a caller that waits for more than its seat. Errors: `TooMany`.
    pub(crate) fn line_up(&self) -> Result<QueuePosition> {
        self.limiter.line_up().map_err(busy)
    }

    /// The next seat that is free, for a caller with a place in the line.
    pub(crate) async fn next(&self) -> Result<Permit> {
        let permit = self.limiter.next().await.map_err(busy)?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Ok(permit)
    }

    /// The most that were ever taken at once, and how often one was.
    #[cfg(test)]
    pub(crate) fn load(&self) -> (usize, usize) {
        (
            self.limiter.most_in_use(),
            self.taken.load(Ordering::Relaxed),
        )
    }
}

/// The answer to a caller that got no seat.
pub(crate) fn busy(_: LimitError) -> Error {
    Error::new(Reason::TooMany, "too many logins at the moment").retry_after(RETRY_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_cores_and_one_at_least() {
        let seats = [1, 2, 3, 64].map(|cores| CpuLimiter::new("test", cores).limiter.limit().seats);
        assert_eq!(seats, [1, 1, 1, 32].map(Some));
    }
}
