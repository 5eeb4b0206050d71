//! The dialects in which errors are said, one file each.
//!
//! A neutral reason gets its status, its word and its advice here and nowhere else. Each file is one
//! `match` over all reasons, so that a new one does not compile before every dialect has its word.

mod oci;
mod plain;

use ::http::{HeaderValue, Method, StatusCode, header};
use axum::body::Body;
use seawall_types::{Error, Reason};

use super::Response;

/// A way to say errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The distribution specification's JSON.
    Oci,
    /// One line of text, for people and for health checks.
    Plain,
}

/// What an error's rendering needs to know of the request.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    /// The challenge for whoever is not known, or not known well enough.
    pub(super) challenge: Option<String>,
    /// The methods that the path has, for a wrong one.
    pub(super) allow: Option<String>,
}

impl Dialect {
    /// The dialect of a path that no route owns.
    pub(super) fn of_path(path: &str) -> Self {
        if path == "/v2" || path.starts_with("/v2/") {
            Self::Oci
        } else {
            Self::Plain
        }
    }

    /// Says `error`. The cause stays out of it: it is for the log.
    pub(super) fn render(self, error: &Error, asked: &Asked<'_>) -> Response {
        let (status, content_type, body) = match self {
            Self::Oci => oci::render(error),
            Self::Plain => plain::render(error),
        };
        let length = body.len();
        let body = if asked.method == Method::HEAD {
            Body::empty()
        } else {
            Body::from(body)
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after(error) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let value = asked
                .challenge
                .as_deref()
                .map(|base| challenge(base, error.reason));
            if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
                headers.insert(header::WWW_AUTHENTICATE, value);
            }
        }
        if let Some(Ok(allow)) = asked.allow.as_deref().map(HeaderValue::try_from) {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}

/// What an error advises, or what its kind usually needs.
fn retry_after(error: &Error) -> Option<u32> {
    error.retry_after.or(match error.reason {
        Reason::TooMany | Reason::Unavailable | Reason::DeadlinePassed => Some(5),
        Reason::StorageFull => Some(60),
        _ => None,
    })
}

/// The challenge with what is wrong about the token that was sent (distribution §13.1).
fn challenge(base: &str, reason: Reason) -> String {
    match reason {
        Reason::InvalidToken => format!("{base},error=\"invalid_token\""),
        Reason::InsufficientScope => format!("{base},error=\"insufficient_scope\""),
        _ => base.to_owned(),
    }
}
