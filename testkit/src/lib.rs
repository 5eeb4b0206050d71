//! Fixtures for tests: a whole server in process, on a real database of its own, with clients that
//! speak to it as people and machines do.
//!
//! Nothing here stands in for our own code: the dispatcher, the database and the files are the real
//! ones. [`TestApp`] leaves out the sockets; [`Site`] leaves out nothing and runs the binary. Which
//! database it is, `SEAWALL_TEST_DB` says.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a fixture that cannot do its work fails the test"
)]

mod answer;
mod app;
mod client;
pub mod crash;
mod disk;
mod image;
pub mod notes;
mod process;
mod requests;
mod wire;

pub use answer::TestResponse;
pub use app::TestApp;
pub use client::{Client, Request};
pub use disk::SmallDisk;
pub use image::{Layer, TestImage, blob_of};
pub use process::{CommandResult, ServerProcess, Site};
pub use requests::{LoggedRequest, RequestCapture};
pub use seawall_blob::files::{Fault, FaultyFiles, FileOperation};
pub use seawall_kernel::clock::SystemClock;
pub use seawall_meta::fixture::TestClock;
pub use wire::Wire;
