//! The crash lab: a real server process under a mixed load, killed at random moments, asked after
//! every restart for everything that it has ever acknowledged.
//!
//! A push that was acknowledged must be there, a deletion must have stayed, and what was under way
//! must have happened whole or not at all. Each client sends one request at a time and remembers
//! what the server must show ([`ClientModel`]); so after a kill there are at most two worlds that a
//! client may see: without and with its one unanswered step. Everything is drawn from one seed.
//!
//! Nothing here may help the server up again: it is started as an operator's supervisor would.

mod check;
mod client;
mod journal;
mod lab;
mod load;
mod model;
mod process;
mod step;
mod wire;

pub use check::{Violation, check};
pub use lab::{BrokenPromise, Figures, Lab, LabPlan};
pub use model::{ClientModel, ModelKey, ModelUpload, Observed};
pub use process::LabInstallation;
pub use step::{LabStep, PushedManifest};
