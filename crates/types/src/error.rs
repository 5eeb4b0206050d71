//! The one error that services return.
//!
//! A [`Reason`] is neutral: what happened, in the domain's words. Its word, status and retry advice
//! on the wire belong to the renderer of each dialect, one `match` each, so that a new reason does
//! not compile until every dialect has said what it is there. `public` is what a stranger may read;
//! `source` is logged once, at the edge, and never rendered.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// The result of a service.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The cause of an error, for the log only.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a request was not served. Clones share the cause, for callers who waited for the same work.
#[derive(Debug, Clone)]
pub struct Error {
    /// What happened, in the domain's words.
    pub reason: Reason,
    /// What a stranger may read: one sentence without secrets, paths or names that the caller may
    /// not know.
    pub public: Cow<'static, str>,
    /// Machine-readable particulars for the caller, e.g. the digests that are missing.
    pub detail: Option<Value>,
    /// What caused it, for the log only.
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    /// After how many seconds it may be worth trying again.
    pub retry_after: Option<u32>,
}

impl Error {
    /// An error with this reason and public text.
    pub fn new(reason: Reason, public: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason,
            public: public.into(),
            detail: None,
            source: None,
            retry_after: None,
        }
    }

    /// The same with particulars for the caller.
    pub fn with_detail(mut self, detail: impl Into<Value>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with a cause for the log.
    pub fn with_source(mut self, source: impl Into<Cause>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// The same with advice to come back after so many seconds.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// An internal error that says nothing to the caller; the cause goes to the log.
    pub fn internal(source: impl Into<Cause>) -> Self {
        Self::new(Reason::Internal, "internal error").with_source(source)
    }

    /// What happened.
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.public)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

macro_rules! reasons {
    ($($(#[$meta:meta])* $variant:ident, $name:literal;)+) => {
        /// What happened, in the domain's words: small, closed and without a wire form of its own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[$meta])* $variant,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The reason's name in metrics and logs.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

reasons! {
    /// The request has no credentials, and needs some.
    Unauthenticated, "unauthenticated";
    /// A token that is expired, forged or revoked, or a wrong password.
    InvalidToken, "invalid_token";
    /// A token that holds less than its subject may do.
    InsufficientScope, "insufficient_scope";
    /// The caller may not know whether this exists.
    Hidden, "hidden";
    /// The caller may know of it, but not do this.
    Forbidden, "forbidden";
    /// A repository or namespace name outside the grammar.
    NameInvalid, "name_invalid";
    /// No such repository.
    NameUnknown, "name_unknown";
    /// No such tag or manifest.
    ManifestUnknown, "manifest_unknown";
    /// A manifest that is malformed, ambiguous or of an unknown type.
    ManifestInvalid, "manifest_invalid";
    /// A manifest that names what is not here; the detail is an array with one entry for each
    /// digest.
    MissingReferences, "missing_references";
    /// No such blob in this repository.
    BlobUnknown, "blob_unknown";
    /// A blob that a manifest here still refers to.
    BlobReferenced, "blob_referenced";
    /// No such upload, or not this caller's.
    UploadUnknown, "upload_unknown";
    /// An upload in a state that does not admit this step.
    UploadInvalid, "upload_invalid";
    /// A digest that is missing, malformed or of an unsupported algorithm.
    DigestInvalid, "digest_invalid";
    /// Bytes that do not hash to the digest that was said.
    DigestMismatch, "digest_mismatch";
    /// Lengths that contradict each other.
    SizeInvalid, "size_invalid";
    /// A range that does not fit what is there.
    RangeInvalid, "range_invalid";
    /// A tag outside the grammar.
    TagInvalid, "tag_invalid";
    /// Page parameters that are not numbers or too long.
    PageInvalid, "page_invalid";
    /// A condition of the request does not hold.
    Precondition, "precondition";
    /// Writes are switched off, here or everywhere.
    ReadOnly, "read_only";
    /// A tag that may not be moved.
    TagImmutable, "tag_immutable";
    /// Something that this server does not do, or that is switched off.
    Unsupported, "unsupported";
    /// No such route.
    NotFound, "not_found";
    /// A route, but not with this method.
    MethodNotAllowed, "method_not_allowed";
    /// A body beyond its limit.
    TooLarge, "too_large";
    /// A request line beyond its limit.
    UriTooLong, "uri_too_long";
    /// Headers beyond their limit.
    HeadersTooLarge, "headers_too_large";
    /// Malformed in a way that has no word of its own.
    BadRequest, "bad_request";
    /// Another request is changing the same thing now.
    Conflict, "conflict";
    /// The caller asks for more than its share.
    TooMany, "too_many";
    /// The caller was too slow.
    Timeout, "timeout";
    /// This server was too slow: the request's deadline has passed.
    DeadlinePassed, "deadline_passed";
    /// The store for bytes or rows is full.
    StorageFull, "storage_full";
    /// Something that this needs is not there at present.
    Unavailable, "unavailable";
    /// The client hung up.
    ClientGone, "client_gone";
    /// A fault of this server.
    Internal, "internal";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn the_cause_is_reachable_but_not_displayed() {
        let error = Error::internal(std::io::Error::other("disk 3 is on fire"));
        assert_eq!(error.to_string(), "internal: internal error");
        assert_eq!(error.source().unwrap().to_string(), "disk 3 is on fire");
    }

    #[test]
    fn builders_add_up() {
        let error = Error::new(Reason::TooMany, "slow down")
            .retry_after(7)
            .with_detail("x");
        assert_eq!(error.retry_after, Some(7));
        assert_eq!(error.detail, Some(Value::from("x")));
        assert_eq!(error.reason(), Reason::TooMany);
        assert!(error.source().is_none());
    }

    #[test]
    fn names_are_distinct_words() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(
            names
                .iter()
                .all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        );
    }

    #[test]
    fn errors_stay_small() {
        assert!(size_of::<Error>() <= 120, "{}", size_of::<Error>());
    }
}
