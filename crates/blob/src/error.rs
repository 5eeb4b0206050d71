//! The errors of this crate.

use std::io;

use seawall_types::digest::Digest;
use seawall_types::error::{Error as Shared, Reason};

/// Why an operation on blobs or uploads did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The place holds nothing. A row that says otherwise is wrong, so this is never by itself a
    /// client's mistake.
    #[error("nothing is stored at {0}")]
    NotFound(String),
    /// No space or quota left (ENOSPC, EDQUOT).
    #[error("no space left while {doing}")]
    Full {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file system refuses writes (EROFS).
    #[error("the file system is read-only: {doing}")]
    ReadOnly {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else that the system refused.
    #[error("input or output failed while {doing}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes have another digest than the caller said (protocol §6.11).
    #[error("the content has the digest {found}")]
    DigestMismatch {
        /// What the bytes are.
        found: Digest,
    },
    /// Someone else works on this upload (protocol §7.14).
    #[error("another request is working on this upload")]
    Busy,
    /// The bytes of this upload are lost or not to be trusted; it has to begin anew.
    #[error("the bytes of upload {0} are lost")]
    Lost(uuid::Uuid),
    /// An upload state that this release cannot read.
    #[error("the state of the upload cannot be used: {0}")]
    State(String),
    /// What is stored is not what was stored.
    #[error("{0}")]
    Corrupt(String),
    /// A range that is not within the blob: the caller did not check it.
    #[error("bytes {start} to {end} are not within a blob of {size} bytes")]
    Range {
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
        /// Size of the blob.
        size: u64,
    },
    /// A row names a location that is not configured.
    #[error("the storage location {0:?} is not configured")]
    UnknownLocation(String),
    /// The configuration cannot be used.
    #[error("storage.{0}")]
    Config(#[from] seawall_config::RuleViolation),
}

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Sorts an error of the system by what can be done about it.
    pub(crate) fn io(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { doing, source }
            }
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { doing, source },
            _ => Self::Io { doing, source },
        }
    }

    /// A piece of blocking work that ended without an answer: it panicked, or the runtime is
    /// shutting down.
    pub(crate) fn unfinished(error: tokio::task::JoinError) -> Self {
        Self::Io {
            doing: "waiting for a file",
            source: io::Error::other(error),
        }
    }
}

impl From<Error> for Shared {
    fn from(error: Error) -> Self {
        let (reason, public) = match &error {
            Error::Full { .. } => (Reason::StorageFull, "the registry's storage is full"),
            Error::ReadOnly { .. } => (
                Reason::Unavailable,
                "the registry's storage takes no writes now",
            ),
            Error::DigestMismatch { .. } => (
                Reason::DigestMismatch,
                "the content does not match the digest",
            ),
            Error::Busy => (
                Reason::Conflict,
                "another request is working on this upload",
            ),
            Error::Lost(_) => (
                Reason::UploadUnknown,
                "the bytes of this upload are lost; begin anew",
            ),
            Error::State(_) => (
                Reason::UploadInvalid,
                "the state of this upload cannot be used; begin anew",
            ),
            Error::Range { .. } => (Reason::RangeInvalid, "the range is not within the blob"),
            Error::UnknownLocation(_) => (
                Reason::Unavailable,
                "the content is kept where this server cannot read",
            ),
            // It may be over at the next attempt, or at another replica.
            Error::Io { .. } => (Reason::Unavailable, "the registry's storage failed"),
            Error::NotFound(_) | Error::Corrupt(_) | Error::Config(_) => {
                (Reason::Internal, "the registry's storage failed")
            }
        };
        Shared::new(reason, public).with_source(error)
    }
}

/// Why a body ended before its time; told by the reader of the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The connection is gone.
    #[error("the client is gone")]
    ClientGone,
    /// Bytes came too slowly.
    #[error("the client sent too slowly")]
    TooSlow,
    /// The reader's own limit was passed.
    #[error("the body is too large")]
    TooLarge,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_are_sorted() {
        let sort = |errno| Error::io("testing")(io::Error::from_raw_os_error(errno));
        assert!(matches!(sort(28), Error::Full { .. }), "ENOSPC");
        assert!(matches!(sort(122), Error::Full { .. }), "EDQUOT");
        assert!(matches!(sort(30), Error::ReadOnly { .. }), "EROFS");
        assert!(matches!(sort(5), Error::Io { .. }), "EIO");
    }
}
