//! Buffers that are used again, and counted.
//!
//! Large blocks of memory cost a page fault per 4 KiB when they are fresh, which is as much as
//! reading or hashing what goes into them; so streams borrow them here and give them back by
//! dropping them. The pool never makes anyone wait: how many streams run at once is decided by
//! admission, not here. Small needs are served by the allocator.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// How much of a body is gathered before it goes to the disk; a body that fits costs a single trip
/// to a blocking thread.
pub(crate) const GATHER: usize = 512 * 1024;

/// How much is read from the disk at once. Measured: 64 KiB is a third slower, 1 MiB no faster.
pub(crate) const CHUNK: usize = 256 * 1024;

/// Idle memory that is kept, per size.
const MAX_IDLE: usize = 16;

/// Lends buffers.
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    gather: Mutex<Vec<Vec<u8>>>,
    chunk: Mutex<Vec<Vec<u8>>>,
    held: AtomicUsize,
    peak: AtomicUsize,
}

/// Bytes in buffers that streams hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferUsage {
    /// Now.
    pub held: usize,
    /// The most since the pool was made.
    pub peak: usize,
}

impl BufferPool {
    /// Lends an empty buffer with room for `need` bytes, at most [`GATHER`].
    pub(crate) fn lend(self: &Arc<Self>, need: usize) -> Buffer {
        let mut buffer = self.lend_as_is(need);
        buffer.bytes.clear();
        buffer
    }

    fn lend_as_is(self: &Arc<Self>, need: usize) -> Buffer {
        let bytes = match self.shelf(need) {
            Some((shelf, capacity)) => {
                let idle = shelf.lock().pop();
                idle.unwrap_or_else(|| Vec::with_capacity(capacity))
            }
            None => Vec::with_capacity(need),
        };
        let counted = bytes.capacity();
        let held = self.held.fetch_add(counted, Ordering::Relaxed) + counted;
        self.peak.fetch_max(held, Ordering::Relaxed);
        Buffer {
            bytes,
            counted,
            pool: Arc::clone(self),
        }
    }

    /// Lends a buffer of exactly `length` bytes, at most [`CHUNK`], whatever they are: to be
    /// written over.
    pub(crate) fn lend_filled(self: &Arc<Self>, length: usize) -> Buffer {
        let mut buffer = self.lend_as_is(length);
        // No work for one that was full before: what has been written once need not be zeroed
        // again.
        buffer.bytes.resize(length, 0);
        buffer
    }

    pub(crate) fn in_use(&self) -> BufferUsage {
        BufferUsage {
            held: self.held.load(Ordering::Relaxed),
            peak: self.peak.load(Ordering::Relaxed),
        }
    }

    /// Where buffers of this size come from and go to; none if the allocator does as well.
    fn shelf(&self, size: usize) -> Option<(&Mutex<Vec<Vec<u8>>>, usize)> {
        if size > CHUNK {
            Some((&self.gather, GATHER))
        } else if size > CHUNK / 4 {
            Some((&self.chunk, CHUNK))
        } else {
            None
        }
    }
}

/// A borrowed buffer; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) bytes: Vec<u8>,
    counted: usize,
    pool: Arc<BufferPool>,
}

impl Buffer {
    /// How many bytes still fit without growing.
    pub(crate) fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.held.fetch_sub(self.counted, Ordering::Relaxed);
        let bytes = std::mem::take(&mut self.bytes);
        let capacity = bytes.capacity();
        // One that grew is of no size class, and is freed.
        if let Some((shelf, expected)) = self.pool.shelf(capacity)
            && capacity == expected
        {
            let mut idle = shelf.lock();
            if idle.len() < MAX_IDLE {
                idle.push(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_empty_and_are_counted() {
        let pool = Arc::new(BufferPool::default());
        let mut first = pool.lend(GATHER);
        first.bytes.extend_from_slice(&[1; 1000]);
        let address = first.bytes.as_ptr();
        let small = pool.lend(100);
        assert_eq!(pool.in_use().held, GATHER + 100);
        drop(small);
        drop(first);
        let again = pool.lend(GATHER);
        assert_eq!(
            (again.bytes.as_ptr(), again.bytes.len(), again.room()),
            (address, 0, GATHER)
        );
        drop(again);
        assert_eq!(
            pool.in_use(),
            BufferUsage {
                held: 0,
                peak: GATHER + 100
            }
        );
    }

    #[test]
    fn idle_memory_is_bounded() {
        let pool = Arc::new(BufferPool::default());
        drop((0..100).map(|_| pool.lend(CHUNK)).collect::<Vec<_>>());
        assert_eq!(pool.chunk.lock().len(), MAX_IDLE);
    }
}
