//! The distribution specification's errors: `{"errors":[{"code","message","detail"}]}` (§3).
//!
//! The specification's list of codes is closed, and 4xx answers keep to it, also where their status
//! is not in its table. Answers above 499 use the two words that registries have in common for
//! them.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use seawall_kernel::http::{ErrorDialect, RenderedError};
use seawall_types::{Error, Reason};
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
struct Entry<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a Value>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    errors: Vec<Entry<'a>>,
}

/// The dialect of everything below `/v2`.
pub static OCI: OciDialect = OciDialect;

/// The distribution specification's way to say errors.
#[derive(Debug, Clone, Copy)]
pub struct OciDialect;

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

impl ErrorDialect for OciDialect {
    fn render(&self, error: &Error) -> RenderedError {
        render(error)
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    }
}

fn render(error: &Error) -> RenderedError {
    let (status, code) = words(error.reason);
    let entry = |detail| Entry {
        code,
        message: &error.public,
        detail,
    };
    let errors = match (&error.detail, error.reason) {
        // One entry for each digest that is missing (§3.3).
        (Some(Value::Array(missing)), Reason::MissingReferences) => {
            missing.iter().map(|digest| entry(Some(digest))).collect()
        }
        (detail, _) => vec![entry(detail.as_ref())],
    };
    let body = serde_json::to_string(&ErrorBody { errors }).unwrap_or_default();
    RenderedError {
        status,
        content_type: "application/json",
        body,
    }
}

/// The status and the code of each reason; `docs/protocol.md` says why where there was a choice.
const fn words(reason: Reason) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match reason {
        Reason::Unauthenticated | Reason::InvalidToken | Reason::InsufficientScope => {
            (S::UNAUTHORIZED, "UNAUTHORIZED")
        }
        Reason::Hidden | Reason::NameUnknown => (S::NOT_FOUND, "NAME_UNKNOWN"),
        Reason::Forbidden => (S::FORBIDDEN, "DENIED"),
        Reason::NameInvalid | Reason::TagInvalid => (S::BAD_REQUEST, "NAME_INVALID"),
        Reason::ManifestUnknown => (S::NOT_FOUND, "MANIFEST_UNKNOWN"),
        Reason::ManifestInvalid => (S::BAD_REQUEST, "MANIFEST_INVALID"),
        Reason::MissingReferences => (S::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
        Reason::BlobUnknown => (S::NOT_FOUND, "BLOB_UNKNOWN"),
        Reason::BlobReferenced | Reason::ReadOnly | Reason::Unsupported => {
            (S::METHOD_NOT_ALLOWED, "UNSUPPORTED")
        }
        Reason::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
        Reason::UploadUnknown => (S::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
        Reason::UploadInvalid => (S::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
        Reason::Conflict => (S::CONFLICT, "BLOB_UPLOAD_INVALID"),
        Reason::DigestInvalid | Reason::DigestMismatch => (S::BAD_REQUEST, "DIGEST_INVALID"),
        Reason::RangeInvalid => (S::RANGE_NOT_SATISFIABLE, "SIZE_INVALID"),
        Reason::TooLarge => (S::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
        Reason::UriTooLong => (S::URI_TOO_LONG, "SIZE_INVALID"),
        Reason::HeadersTooLarge => (S::REQUEST_HEADER_FIELDS_TOO_LARGE, "SIZE_INVALID"),
        Reason::Timeout => (S::REQUEST_TIMEOUT, "SIZE_INVALID"),
        // When the client has gone, it is not read; the log shows 499.
        Reason::SizeInvalid | Reason::ClientGone => (S::BAD_REQUEST, "SIZE_INVALID"),
        Reason::Precondition => (S::PRECONDITION_FAILED, "DENIED"),
        Reason::TagImmutable => (S::CONFLICT, "DENIED"),
        Reason::PageInvalid | Reason::BadRequest => (S::BAD_REQUEST, "UNSUPPORTED"),
        Reason::NotFound => (S::NOT_FOUND, "UNSUPPORTED"),
        Reason::TooMany => (S::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
        Reason::StorageFull => (S::INSUFFICIENT_STORAGE, "UNAVAILABLE"),
        Reason::Unavailable | Reason::DeadlinePassed => (S::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Reason::Internal => (S::INTERNAL_SERVER_ERROR, "UNKNOWN"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_digest_has_an_entry() {
        let error = Error::new(Reason::MissingReferences, "not here")
            .with_detail(serde_json::json!(["sha256:a", "sha256:b"]));
        let said = render(&error);
        assert_eq!(said.status, StatusCode::BAD_REQUEST);
        let body: Value = serde_json::from_str(&said.body).unwrap();
        assert_eq!(body["errors"].as_array().unwrap().len(), 2);
        assert_eq!(body["errors"][1]["detail"], "sha256:b");
        assert_eq!(body["errors"][1]["code"], "MANIFEST_BLOB_UNKNOWN");
    }

    #[test]
    fn client_errors_use_the_specifications_codes_only() {
        let listed = [
            "BLOB_UNKNOWN",
            "BLOB_UPLOAD_INVALID",
            "BLOB_UPLOAD_UNKNOWN",
            "DIGEST_INVALID",
            "MANIFEST_BLOB_UNKNOWN",
            "MANIFEST_INVALID",
            "MANIFEST_UNKNOWN",
            "NAME_INVALID",
            "NAME_UNKNOWN",
            "SIZE_INVALID",
            "UNAUTHORIZED",
            "DENIED",
            "UNSUPPORTED",
            "TOOMANYREQUESTS",
        ];
        for reason in Reason::ALL {
            let (status, code) = words(*reason);
            assert!(
                status.is_server_error() || listed.contains(&code),
                "{reason}: {code}"
            );
        }
    }
}
