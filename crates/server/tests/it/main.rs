//! The one HTTP suite: stories of users against a whole server in process.
//!
//! `SEAWALL_TEST_DB` says on which database; `make http` runs it on each.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod artifacts;
mod auth;
mod blobs;
mod chunked;
mod coherence;
mod deletion;
mod disks;
mod errors;
mod events;
mod features;
mod fresh;
mod growth;
mod hangups;
mod headers;
mod hostile;
mod listing;
mod lost;
mod manifests;
mod mount;
mod moving;
mod names;
mod nothing;
mod oracles;
mod pushing;
mod referrers;
mod restart;
mod rights;
mod routes;
mod slow;
mod snapshots;
mod statements;
mod store;
mod tokens;
mod uploads;
mod wire;
