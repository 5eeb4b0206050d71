//! Blobs by digest: uploads, downloads, places.
//!
//! This crate owns the bytes and nothing else: which repository may serve a blob, who keeps it
//! alive and how far an upload has come are rows of the caller's. It must never derive a place from
//! a digest, hold a body in memory whole, show a blob that is not complete and durable, or wait for
//! a disk on a thread of the asynchronous runtime.
//!
//! [`Blobs`] is the store; [`Blobs::session`] makes the handle by which one operation moves bytes,
//! [`Transfers`], which charges what it moves to that operation. An upload is
//! [`begun`](Transfers::begin), [held](Transfers::hold), [appended to](Transfers::append) and
//! [finished](Transfers::finish); between requests the caller keeps its [`UploadState`] in a row,
//! and that row counts, whatever a file holds after a crash.
//!
//! A future that is dropped cancels nothing that has reached the disk: work that was begun runs to
//! its end under the same [`UploadLock`]. A caller that must know how a finish went (the row
//! depends on it) awaits it in a task of its own.
//!
//! The hard parts are in `filesystem` (what is durable when) and `pipeline` (hashing beside
//! writing).

mod append;
mod blobs;
mod buffer;
mod config;
mod download;
mod error;
pub mod files;
mod filesystem;
#[cfg(feature = "test-fixture")]
pub mod fixture;
mod maintenance;
mod pipeline;
mod place;
mod state;
#[cfg(feature = "test-fixture")]
pub mod suite;
mod upload;
mod upload_lock;

pub use append::{AppendLimit, BodyOutcome};
pub use blobs::{Blobs, StoreRuntime, Transfers};
pub use buffer::BufferUsage;
pub use config::{Config, Location};
pub use download::{ByteStream, Download};
pub use error::{BodyError, Error, Result};
pub use maintenance::{BlobStat, ListedBlob, SweepOutcome};
pub use place::BlobPlace;
pub use state::UploadState;
pub use upload::{AppendOutcome, FinishOutcome, StoredBlob};
pub use upload_lock::UploadLock;
