//! Returns memory to the system after a burst.
//!
//! The allocator keeps what was freed for a second, and gives it back when something large is freed
//! after that. A server that came to rest frees nothing large any more, and would hold on to the
//! memory of its last burst.

use std::hint::black_box;
use std::time::Duration;

use seawall_net::lifecycle::{Lifecycle, Phase};

/// How often.
const EVERY: Duration = Duration::from_secs(1);

/// How much is taken and freed: large enough to be freed at once. It is never touched, so that it
/// takes no memory.
const LARGE: usize = 2 << 20;

/// Sees to it that freed memory goes back, until the process ends.
pub async fn give_back(lifecycle: Lifecycle) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => drop(black_box(Vec::<u8>::with_capacity(LARGE))),
            () = lifecycle.reached(Phase::Closed) => return,
        }
    }
}
