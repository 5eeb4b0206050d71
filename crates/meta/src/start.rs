//! Whether a transaction has begun, as its caller must know whose deadline passes.
//!
//! A transaction runs in a task of its own, and its caller may stop waiting at any moment. The two
//! agree here on what has become of it then: either it has not begun and never will, or it is under
//! way and its end is uncertain. There is nothing between.

use std::sync::atomic::{AtomicU8, Ordering};

const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const CANCELLED: u8 = 2;

/// The state of one transaction between its task and its caller.
#[derive(Default)]
pub(crate) struct StartGate(AtomicU8);

impl StartGate {
    /// An attempt begins; false if the caller has given up, and then it must not.
    pub(crate) fn begin(&self) -> bool {
        self.change(WAITING, RUNNING)
    }

    /// An attempt was undone, and another may follow.
    pub(crate) fn undone(&self) {
        self.change(RUNNING, WAITING);
    }

    /// The caller gives up; true if nothing is under way, and then nothing will be.
    pub(crate) fn cancel(&self) -> bool {
        self.change(WAITING, CANCELLED)
    }

    fn change(&self, from: u8, to: u8) -> bool {
        let changed = self
            .0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        changed.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_cancels_what_has_not_begun_and_nothing_else() {
        let gate = StartGate::default();
        assert!(gate.begin());
        assert!(!gate.cancel(), "it is under way");
        gate.undone();
        assert!(gate.cancel());
        assert!(!gate.begin(), "its caller was told that it never ran");
    }
}
