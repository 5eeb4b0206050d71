//! How much memory each HTTP/2 connection may come to hold, so that all together have an end.
//!
//! A client of HTTP/2 decides how much we hold for it: it may send bodies that are not read yet, up
//! to its windows, and ask for answers that it does not take, up to its streams. So a connection
//! gets a share of what is left when it comes, and its windows and streams follow from that: few
//! connections get wide ones, a crowd narrow ones, and the first of a flood cannot have it all. A
//! share that is too small to work with is not made smaller: beyond the total, each connection
//! still gets the least.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper_util::server::conn::auto;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A connection gets this part of what is left.
const PART: u64 = 64;
/// What a connection gets at least, whatever is left.
pub(super) const LEAST: u64 = MIB;
/// What an answer may hold that its client does not take: a piece of a file and what HTTP/2 has of
/// the one before.
const STREAM: u64 = 384 * KIB;
/// Of what is to be sent, HTTP/2 itself keeps so much for each stream.
const SEND_BUFFER: usize = 64 << 10;
/// The windows' limits; HTTP/2 knows none below 64 KiB for a connection.
const LEAST_WINDOW: u64 = 64 * KIB;
const MOST_WINDOW: u64 = 16 * MIB;
const LEAST_STREAMS: u64 = 4;

/// What is left to share.
pub(super) struct MemoryBudget {
    left: AtomicU64,
    /// What a connection with all its streams could use.
    most: u64,
    streams: u32,
}

/// A connection's share; it goes back when this is dropped.
pub(super) struct MemoryShare {
    memory: Arc<MemoryBudget>,
    bytes: AtomicU64,
}

/// What a share allows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ShareLimits {
    connection_window: u32,
    stream_window: u32,
    streams: u32,
}

impl MemoryBudget {
    /// So many bytes for all, and at most so many streams for one.
    pub(super) fn new(bytes: u64, streams: u32) -> Arc<Self> {
        let most = MOST_WINDOW + u64::from(streams) * STREAM;
        Arc::new(Self {
            left: AtomicU64::new(bytes),
            most,
            streams,
        })
    }

    /// Gives a new connection its share.
    pub(super) fn share(self: &Arc<Self>) -> MemoryShare {
        let mut bytes = 0;
        let take = |left: u64| {
            bytes = (left / PART).clamp(LEAST, self.most.max(LEAST)).min(left);
            Some(left - bytes)
        };
        // It always says yes.
        let _ = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        MemoryShare {
            memory: Arc::clone(self),
            bytes: AtomicU64::new(bytes),
        }
    }
}

impl MemoryShare {
    /// Gives it back early: the connection turned out to speak HTTP/1, which holds one request at a
    /// time.
    pub(super) fn release(&self) {
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        self.memory.left.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What it allows.
    pub(super) fn allowance(&self) -> ShareLimits {
        let bytes = self.bytes.load(Ordering::Relaxed).max(LEAST);
        let window = (bytes / 4).clamp(LEAST_WINDOW, MOST_WINDOW);
        let stream_window = (window / 4).max(LEAST_WINDOW);
        let streams = bytes.saturating_sub(window) / STREAM;
        let streams = streams
            .clamp(LEAST_STREAMS, u64::MAX)
            .min(self.memory.streams.into());
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        ShareLimits {
            connection_window: narrow(window),
            stream_window: narrow(stream_window),
            streams: narrow(streams),
        }
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.release();
    }
}

impl ShareLimits {
    /// Sets a connection up with it.
    pub(super) fn apply<E>(&self, builder: &mut auto::Builder<E>) {
        builder
            .http2()
            .initial_connection_window_size(self.connection_window)
            .initial_stream_window_size(self.stream_window)
            .max_concurrent_streams(self.streams)
            .max_send_buf_size(SEND_BUFFER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(memory: &MemoryBudget) -> u64 {
        memory.left.load(Ordering::Relaxed)
    }

    #[test]
    fn few_get_much_and_many_get_little() {
        let memory = MemoryBudget::new(2048 * MIB, 128);
        let first = memory.share();
        let wide = ShareLimits {
            connection_window: 8 << 20,
            stream_window: 2 << 20,
            streams: 64,
        };
        assert_eq!(first.allowance(), wide);
        let crowd: Vec<_> = (0..5_000).map(|_| memory.share()).collect();
        let narrow = ShareLimits {
            connection_window: 256 << 10,
            stream_window: 64 << 10,
            streams: 4,
        };
        assert_eq!(crowd.last().unwrap().allowance(), narrow);
        let given: u64 = crowd
            .iter()
            .map(|share| share.bytes.load(Ordering::Relaxed))
            .sum();
        assert_eq!(given + left(&memory) + 32 * MIB, 2048 * MIB);
        drop(crowd);
        first.release();
        assert_eq!(left(&memory), 2048 * MIB);
        drop(first);
        assert_eq!(left(&memory), 2048 * MIB, "nothing goes back twice");
    }

    #[test]
    fn there_is_always_enough_to_work_with_and_never_more_than_is_set() {
        let memory = MemoryBudget::new(0, 2);
        assert_eq!(memory.share().allowance().streams, 2);
        let memory = MemoryBudget::new(u64::MAX / 2, 10_000);
        let share = memory.share().allowance();
        assert_eq!((share.streams, share.connection_window), (10_000, 16 << 20));
    }
}
