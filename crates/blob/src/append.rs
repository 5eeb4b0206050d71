//! What an append may bring, and how its body ended.

use crate::BodyError;

/// How much an append may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendLimit {
    /// The size in bytes that the whole upload must not pass; the configured one holds, too.
    pub max_total: u64,
    /// The length of the body in bytes where the client declared it (`Content-Length`,
    /// `Content-Range`).
    pub exact: Option<u64>,
}

impl Default for AppendLimit {
    fn default() -> Self {
        Self {
            max_total: u64::MAX,
            exact: None,
        }
    }
}

impl AppendLimit {
    /// A body of a declared length.
    pub fn exactly(length: u64) -> Self {
        Self {
            exact: Some(length),
            ..Self::default()
        }
    }
}

/// How the body of an append ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyOutcome {
    /// As it should.
    Complete,
    /// Before its time; what came is kept (protocol §7.13).
    Broken(BodyError),
    /// Beyond the limit; nothing is kept.
    TooLarge,
    /// Longer or shorter than declared; nothing is kept (protocol §6.10, §7.8).
    LengthMismatch,
}
