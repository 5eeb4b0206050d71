//! The default dialect: errors in one line of text, for people and for health checks.

use ::http::StatusCode;
use seawall_types::{Error, Reason};

use super::dialect::{ErrorDialect, RenderedError};

/// One line of text.
#[derive(Debug, Clone, Copy)]
pub struct PlainText;

impl ErrorDialect for PlainText {
    fn render(&self, error: &Error) -> RenderedError {
        RenderedError {
            status: status(error.reason),
            content_type: "text/plain; charset=utf-8",
            body: format!("{}\n", error.public),
        }
    }
}

const fn status(reason: Reason) -> StatusCode {
    use StatusCode as S;
    match reason {
        Reason::Unauthenticated | Reason::InvalidToken | Reason::InsufficientScope => {
            S::UNAUTHORIZED
        }
        Reason::Hidden
        | Reason::NameUnknown
        | Reason::ManifestUnknown
        | Reason::BlobUnknown
        | Reason::UploadUnknown
        | Reason::NotFound => S::NOT_FOUND,
        Reason::Forbidden => S::FORBIDDEN,
        Reason::NameInvalid
        | Reason::TagInvalid
        | Reason::ManifestInvalid
        | Reason::MissingReferences
        | Reason::UploadInvalid
        | Reason::DigestInvalid
        | Reason::DigestMismatch
        | Reason::SizeInvalid
        | Reason::PageInvalid
        | Reason::ClientGone
        | Reason::BadRequest => S::BAD_REQUEST,
        Reason::BlobReferenced
        | Reason::ReadOnly
        | Reason::Unsupported
        | Reason::MethodNotAllowed => S::METHOD_NOT_ALLOWED,
        Reason::Conflict | Reason::TagImmutable => S::CONFLICT,
        Reason::RangeInvalid => S::RANGE_NOT_SATISFIABLE,
        Reason::TooLarge => S::PAYLOAD_TOO_LARGE,
        Reason::UriTooLong => S::URI_TOO_LONG,
        Reason::HeadersTooLarge => S::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Reason::Timeout => S::REQUEST_TIMEOUT,
        Reason::Precondition => S::PRECONDITION_FAILED,
        Reason::TooMany => S::TOO_MANY_REQUESTS,
        Reason::StorageFull => S::INSUFFICIENT_STORAGE,
        Reason::Unavailable | Reason::DeadlinePassed => S::SERVICE_UNAVAILABLE,
        Reason::Internal => S::INTERNAL_SERVER_ERROR,
    }
}
