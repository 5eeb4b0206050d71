//! Uploads: sessions that become blobs (protocol §6 and §7, decision 13).
//!
//! An upload is a token that its client carries and, from its first byte on, a row and a file: one
//! that brings all its bytes with its end never has a row. The row counts: it says how many bytes
//! are durable and what they hash to so far, and it moves on by one statement that compares offset
//! and generation and sets them. A change of an upload takes its lock first and reads its row then,
//! so bytes are never interleaved, and nothing is written once it is committed or cancelled.
//!
//! An upload belongs to the repository and the principal that opened it; for all others it does not
//! exist. Nothing is created for a request that is refused. The hard part is `commit`.

mod append;
mod checkpoint;
mod commit;
mod ended;
mod open;
mod session;
mod state;
pub(crate) mod store;
mod sweep;
mod token;

pub(crate) use append::append;
pub(crate) use commit::finish;
pub(crate) use ended::EndedUploads;
pub(crate) use open::{open, push_whole};
pub(crate) use session::{Chunk, UploadRequest, cancel, progress};
pub(crate) use state::{StepRefusal, UploadProgress};
pub(crate) use sweep::{SWEEP_FIRST, SweepUploads, clear, sweep};
pub(crate) use token::UploadToken;
