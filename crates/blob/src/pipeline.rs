//! The append pipeline of a body: frames are gathered into large buffers, and while one buffer is
//! hashed and written, each on a blocking thread, the next one fills.
//!
//! A stream has two buffers at most, whatever its length, and no thread while its client is slow. A
//! body that fits one buffer is hashed, written and made durable in a single trip to a blocking
//! thread: small layers are the common case.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::{Stream, StreamExt};
use seawall_types::digest::{Digest, Hasher};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::append::{AppendLimit, BodyOutcome};
use crate::blobs::{CpuMeter, blocking};
use crate::buffer::{Buffer, BufferPool, GATHER};
use crate::filesystem::Filesystem;
use crate::upload_lock::LockedUpload;
use crate::{BlobPlace, BodyError, Error, Result};

/// One append under way.
#[derive(Debug)]
pub(crate) struct AppendPipeline {
    work: AppendStep,
    pool: Arc<BufferPool>,
    limit: AppendLimit,
    received: u64,
    buffer: Option<Buffer>,
    hasher: Option<Hasher>,
    running: Option<BufferInFlight>,
}

/// What every step on a blocking thread needs.
#[derive(Clone, Debug)]
struct AppendStep {
    location: Arc<Filesystem>,
    meter: CpuMeter,
    /// Where the append begins.
    start: u64,
    /// Where the next bytes go.
    offset: u64,
    /// Last, so that it is dropped after everything else.
    held: Arc<LockedUpload>,
}

/// A buffer that is being hashed and written.
#[derive(Debug)]
struct BufferInFlight {
    hash: JoinHandle<Hasher>,
    write: JoinHandle<Result<()>>,
}

/// Where an append goes.
pub(crate) struct AppendTarget {
    pub(crate) location: Arc<Filesystem>,
    pub(crate) held: Arc<LockedUpload>,
    pub(crate) offset: u64,
    pub(crate) hasher: Hasher,
}

impl AppendPipeline {
    pub(crate) fn new(
        target: AppendTarget,
        limit: AppendLimit,
        pool: Arc<BufferPool>,
        meter: CpuMeter,
    ) -> Self {
        let AppendTarget {
            location,
            held,
            offset,
            hasher,
        } = target;
        let work = AppendStep {
            location,
            meter,
            start: offset,
            offset,
            held,
        };
        let hasher = Some(hasher);
        Self {
            work,
            pool,
            limit,
            received: 0,
            buffer: None,
            hasher,
            running: None,
        }
    }

    /// How many bytes of the body were taken in.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Takes in a body until it ends, in whatever way. An error is the disk's, not the client's.
    pub(crate) async fn drain<B>(&mut self, body: B) -> Result<BodyOutcome>
    where
        B: Stream<Item = std::result::Result<Bytes, BodyError>>,
    {
        let room = self.limit.max_total.saturating_sub(self.work.start);
        if self.limit.exact.is_some_and(|exact| exact > room) {
            return Ok(BodyOutcome::TooLarge);
        }
        let mut body = std::pin::pin!(body);
        while let Some(frame) = body.next().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(BodyError::TooLarge) => return Ok(BodyOutcome::TooLarge),
                Err(why) => return Ok(BodyOutcome::Broken(why)),
            };
            let length = frame.len() as u64;
            self.work.meter.cost.charge_bytes_in(length);
            if self
                .limit
                .exact
                .is_some_and(|exact| length > exact - self.received)
            {
                return Ok(BodyOutcome::LengthMismatch);
            }
            if length > room - self.received {
                return Ok(BodyOutcome::TooLarge);
            }
            self.received += length;
            self.gather(frame).await?;
        }
        let short = self.limit.exact.is_some_and(|exact| exact > self.received);
        Ok(if short {
            BodyOutcome::LengthMismatch
        } else {
            BodyOutcome::Complete
        })
    }

    async fn gather(&mut self, mut frame: Bytes) -> Result<()> {
        while !frame.is_empty() {
            // A full buffer waits for a byte that follows it, since the last one has a shorter way.
            let mut buffer = match self.buffer.take() {
                Some(full) if full.room() == 0 => {
                    self.dispatch(full).await?;
                    self.pool.lend(self.need(frame.len()))
                }
                Some(buffer) => buffer,
                None => self.pool.lend(self.need(frame.len())),
            };
            let taken = frame.len().min(buffer.room());
            buffer.bytes.extend_from_slice(&frame[..taken]);
            frame.advance(taken);
            self.buffer = Some(buffer);
        }
        Ok(())
    }

    /// How large the next buffer has to be, when `rest` bytes that count as received have no place
    /// yet.
    fn need(&self, rest: usize) -> usize {
        let Some(exact) = self.limit.exact else {
            return GATHER;
        };
        let to_come = (exact - self.received).saturating_add(rest as u64);
        usize::try_from(to_come).map_or(GATHER, |to_come| to_come.min(GATHER))
    }

    async fn dispatch(&mut self, buffer: Buffer) -> Result<()> {
        let mut hasher = self.idle().await?;
        let data = Arc::new(buffer);
        let (hashed, meter) = (Arc::clone(&data), self.work.meter.clone());
        let hash = tokio::task::spawn_blocking(move || {
            meter.cpu(|| hasher.update(&hashed.bytes));
            hasher
        });
        let length = data.bytes.len() as u64;
        let work = self.work.clone();
        let write = tokio::task::spawn_blocking(move || work.write(&data.bytes));
        self.work.offset += length;
        self.running = Some(BufferInFlight { hash, write });
        Ok(())
    }

    /// Waits until nothing runs.
    async fn idle(&mut self) -> Result<Hasher> {
        if let Some(running) = self.running.take() {
            // Both, before any error is returned: no work may go on behind an answer.
            let (hash, write) = (running.hash.await, running.write.await);
            write.map_err(Error::unfinished)??;
            return hash.map_err(Error::unfinished);
        }
        let hasher = self.hasher.take();
        hasher.ok_or_else(|| Error::State("an append went on after its end".to_owned()))
    }

    /// The last step, to be taken on a blocking thread.
    pub(crate) async fn close(mut self) -> Result<FinalStep> {
        let hasher = self.idle().await?;
        Ok(FinalStep {
            buffer: self.buffer.take(),
            hasher,
            work: self.work,
        })
    }

    /// Takes back what was written.
    pub(crate) async fn give_up(mut self) -> Result<()> {
        // Whether the last write succeeded does not matter any more.
        let _ = self.idle().await;
        if self.work.offset == self.work.start {
            return Ok(());
        }
        let work = self.work;
        blocking(move || {
            work.location.roll_back(&work.held, work.start);
            Ok(())
        })
        .await
    }
}

impl AppendStep {
    fn write(&self, bytes: &[u8]) -> Result<()> {
        self.location
            .write(&self.held, self.start, bytes, self.offset)
    }
}

/// The end of an append: what is left to hash and write, and what follows.
#[derive(Debug)]
pub(crate) struct FinalStep {
    buffer: Option<Buffer>,
    hasher: Hasher,
    work: AppendStep,
}

impl FinalStep {
    /// Hashes and writes the rest and makes the append durable. Waits for the disk.
    pub(crate) fn settle(mut self) -> Result<Hasher> {
        self.hash();
        self.write()?;
        self.work
            .location
            .settle(&self.work.held, self.work.start)?;
        Ok(self.hasher)
    }

    /// The same, and makes a blob of it if it has the wanted digest. Waits for the disk.
    pub(crate) fn store(mut self, wanted: &Digest, key: Uuid) -> Result<(Hasher, BlobPlace)> {
        self.hash();
        let found = self.hasher.finish(wanted.algorithm());
        let work = &self.work;
        if found.as_ref() != Some(wanted) {
            // A small body has not touched the disk yet.
            if work.offset > work.start {
                work.location.roll_back(&work.held, work.start);
            }
            let unknown = || Error::State(format!("{} was not computed", wanted.algorithm()));
            let mismatch = |found| Error::DigestMismatch { found };
            return Err(found.map_or_else(unknown, mismatch));
        }
        self.write()?;
        // The name in `uploads` need not be durable: the rename takes it away.
        work.location.sync(&work.held)?;
        let place = work
            .location
            .store_session(&work.held, key)
            .inspect_err(|_| {
                work.location.roll_back(&work.held, work.start);
            })?;
        Ok((self.hasher, place))
    }

    fn hash(&mut self) {
        if let Some(buffer) = &self.buffer {
            self.work.meter.cpu(|| self.hasher.update(&buffer.bytes));
        }
    }

    fn write(&self) -> Result<()> {
        self.buffer
            .as_ref()
            .map_or(Ok(()), |buffer| self.work.write(&buffer.bytes))
    }
}
