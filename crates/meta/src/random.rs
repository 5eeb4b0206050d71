//! Randomness that decides nothing: nonces of log rows and the jitter of pauses.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// A number that no other row has by accident. Not secret.
pub(crate) fn nonce() -> i64 {
    // Each state is keyed anew from the system's randomness and a counter.
    RandomState::new().hash_one(0_u8).cast_signed()
}

/// A pause between half of `around` and one and a half of it.
pub(crate) fn jitter(around: Duration) -> Duration {
    let share = u32::try_from(nonce().cast_unsigned() % 1024).unwrap_or(0);
    around / 2 + around * share / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_in_its_bounds() {
        let around = Duration::from_millis(100);
        for _ in 0..1000 {
            let pause = jitter(around);
            assert!((around / 2..around * 3 / 2).contains(&pause));
        }
    }
}
