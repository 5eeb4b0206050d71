//! Downloads: exactly the bytes that were asked for, or an error; never a clean end that comes too
//! early (protocol §5.15).
//!
//! What is in memory already is read where it is sent, a chunk at a time: a trip to another thread
//! and back costs as much as the copy, and two caches. What is not is read on a blocking thread,
//! one chunk ahead of its consumer and no more, since a client may well stop reading (protocol
//! §5.8). Dropping a stream closes the file.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::blobs::blocking;
use crate::buffer::{BufferPool, CHUNK};
use crate::files::{Files, OpenFile};
use crate::{BlobPlace, Error, Result, Transfers};

/// After so many chunks from the disk memory is asked again.
const LOOK_AGAIN: u64 = 8;

/// A blob that is being read.
#[derive(Debug)]
pub struct Download {
    /// The size of the whole blob in bytes.
    pub size: u64,
    /// How many bytes the stream will bring.
    pub length: u64,
    /// The bytes.
    pub stream: ByteStream,
}

/// Bytes of a blob in order. Ends after exactly the length that was asked for, or with an error.
#[derive(Debug)]
pub struct ByteStream {
    source: Arc<ReadSource>,
    runtime: Handle,
    cost: Arc<seawall_types::Cost>,
    /// What was read when the blob was opened.
    first: Option<Bytes>,
    reading: Option<JoinHandle<Result<Bytes>>>,
    /// Whether the last chunk had to come from the disk, so that the next one most likely has to,
    /// too.
    cold: bool,
    /// The next byte to be read, and one past the last.
    next: u64,
    end: u64,
}

#[derive(Debug)]
struct ReadSource {
    files: Arc<dyn Files>,
    file: OpenFile,
    pool: Arc<BufferPool>,
}

impl Transfers {
    /// Opens a blob of which the caller's row says that it has `size` bytes; `range` is (first
    /// byte, length) and must be within it. A blob of another size is [`Error::Corrupt`], told
    /// before the first byte is sent. The first chunk is read in the same trip to the disk.
    pub async fn open(
        &self,
        place: &BlobPlace,
        size: u64,
        range: Option<(u64, u64)>,
    ) -> Result<Download> {
        let (start, length) = range.unwrap_or((0, size));
        let end = start.saturating_add(length);
        if end > size {
            return Err(Error::Range { start, end, size });
        }
        let location = self.inner.location_of(place)?;
        let (place, pool) = (place.clone(), Arc::clone(&self.inner.pool));
        let (source, first) = blocking(move || {
            let (file, found) = location.open_blob(&place)?;
            if found != size {
                return Err(Error::Corrupt(format!(
                    "{place} has {found} bytes instead of {size}"
                )));
            }
            let source = ReadSource {
                files: Arc::clone(location.files()),
                file,
                pool,
            };
            let first = source.read(start, end)?;
            Ok((source, first))
        })
        .await?;
        let next = start + first.len() as u64;
        let stream = ByteStream {
            source: Arc::new(source),
            runtime: Handle::current(),
            cost: Arc::clone(&self.context.cost),
            first: (!first.is_empty()).then_some(first),
            reading: None,
            cold: false,
            next,
            end,
        };
        Ok(Download {
            size,
            length,
            stream,
        })
    }
}

impl ReadSource {
    /// Reads the chunk at `start`, as far as `end`.
    fn read(&self, start: u64, end: u64) -> Result<Bytes> {
        let length = usize::try_from(end - start).map_or(CHUNK, |left| left.min(CHUNK));
        if length == 0 {
            return Ok(Bytes::new());
        }
        let mut buffer = self.pool.lend(length);
        self.files
            .read_at(&self.file, &mut buffer.bytes, length, start)
            .map_err(Error::io("reading a blob"))?;
        Ok(Bytes::from_owner(buffer))
    }
}

impl ReadSource {
    /// The chunk at `start`, if it is in memory.
    fn read_cached(&self, start: u64, end: u64) -> Option<Bytes> {
        let length = usize::try_from(end - start).map_or(CHUNK, |left| left.min(CHUNK));
        let mut buffer = self.pool.lend_filled(length);
        let cached = self.files.read_cached(&self.file, &mut buffer.bytes, start);
        cached.then(|| Bytes::from_owner(buffer))
    }
}

impl ByteStream {
    /// All bytes at once, if they came with the opening of the blob.
    pub fn take_whole(&mut self) -> Option<Bytes> {
        if self.next < self.end || self.reading.is_some() {
            return None;
        }
        let whole = self.first.take()?;
        self.cost.charge_bytes_out(whole.len() as u64);
        Some(whole)
    }

    /// The next chunk, from memory or from the disk.
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes>> {
        if self.reading.is_none() {
            if let Some(chunk) = self.source.read_cached(self.next, self.end) {
                return Poll::Ready(Ok(chunk));
            }
            self.read_ahead();
        }
        let Some(reading) = &mut self.reading else {
            let end = Error::State("a download went on after its end".to_owned());
            return Poll::Ready(Err(end));
        };
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        // Now and then the page cache is asked again: another reader may have filled it.
        self.cold = !(self.next / CHUNK as u64).is_multiple_of(LOOK_AGAIN);
        Poll::Ready(read.map_err(Error::unfinished).flatten())
    }

    fn read_ahead(&mut self) {
        if self.next < self.end {
            let (source, next, end) = (Arc::clone(&self.source), self.next, self.end);
            self.reading = Some(self.runtime.spawn_blocking(move || source.read(next, end)));
        }
    }
}

impl Stream for ByteStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = &mut *self;
        let chunk = match stream.first.take() {
            Some(first) => first,
            None if stream.next == stream.end => return Poll::Ready(None),
            None => match ready!(stream.poll_chunk(context)) {
                Ok(chunk) => {
                    stream.next += chunk.len() as u64;
                    chunk
                }
                Err(error) => {
                    stream.end = stream.next;
                    return Poll::Ready(Some(Err(error)));
                }
            },
        };
        stream.cost.charge_bytes_out(chunk.len() as u64);
        if stream.cold {
            stream.read_ahead();
        }
        Poll::Ready(Some(Ok(chunk)))
    }
}
