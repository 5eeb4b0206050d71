//! The process's clock and source of randomness, the only places that ask the machine for either.
//!
//! Everything else receives them as [`Clock`] and [`Random`], so that a test can move time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use seawall_types::time::{Clock, Millis, Random};

/// The machine's clocks: wall time for people, `CLOCK_BOOTTIME` for durations.
///
/// BOOTTIME runs on while the machine is suspended, so a process that was frozen for an hour knows
/// that what it holds is an hour old.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Millis {
        let now = clock_gettime(ClockId::Realtime);
        Millis(now.tv_sec * 1000 + now.tv_nsec / 1_000_000)
    }

    fn elapsed(&self) -> Duration {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
        Duration::new(seconds, nanos)
    }
}

/// The operating system's cryptographically secure generator.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the implementation of Random"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        if getrandom::fill(bytes).is_err() {
            // Guessable session ids and keys would be worse than no process at all.
            tracing::error!("the operating system gives no random bytes");
            std::process::abort();
        }
    }
}
