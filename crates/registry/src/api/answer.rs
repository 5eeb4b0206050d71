//! Small builders of answers, and the headers that the protocol adds to HTTP's.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use seawall_kernel::http::Response;
use seawall_types::condition::ETags;
use seawall_types::{Digest, Error, RepositoryName, Result};

use crate::names::Names;

/// The digest of the content that the answer is about (distribution §4.2, §5.1).
pub(super) const DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");

/// What never changes may be kept for a year, which is as long as anything may be.
const FOREVER: HeaderValue = HeaderValue::from_static("max-age=31536000, immutable");
const FOREVER_PRIVATE: HeaderValue =
    HeaderValue::from_static("private, max-age=31536000, immutable");

/// Nobody may serve it again without asking.
pub(super) const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
/// What was pushed is of the type that its pusher said, and no page of ours (distribution §14.16).
pub(super) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// Should a browser show it all the same, it may do nothing.
pub(super) const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox");

/// How many headers most answers have, the dispatcher's among them.
const TYPICAL: usize = 12;

/// An answer in the making. A value that is no header makes the answer an internal error, when it is
/// finished: so nothing unchecked ever leaves as a header (distribution §14.14).
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    failure: Option<http::header::InvalidHeaderValue>,
}

impl Answer {
    /// An answer with this status and no headers yet.
    pub(super) fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::with_capacity(TYPICAL),
            failure: None,
        }
    }

    /// Sets a header.
    pub(super) fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        match HeaderValue::try_from(value.as_ref()) {
            Ok(value) => drop(self.headers.insert(name, value)),
            Err(failure) => self.failure = Some(failure),
        }
        self
    }

    /// Sets a header to a value that was checked when it was made.
    pub(super) fn value(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets a header to a number.
    pub(super) fn number(mut self, name: HeaderName, value: u64) -> Self {
        self.headers.insert(name, HeaderValue::from(value));
        self
    }

    /// Says which content this is about: `Docker-Content-Digest`, the digest as it was asked for.
    pub(super) fn digest(self, digest: &Digest) -> Self {
        self.header(DOCKER_CONTENT_DIGEST, digest.to_string())
    }

    /// Says what the content is called, and that what has this name never changes:
    /// `Docker-Content-Digest`, `ETag` and `Cache-Control`.
    pub(super) fn immutable(self, names: &Names, public: bool) -> Self {
        let keep = if public { FOREVER } else { FOREVER_PRIVATE };
        self.value(DOCKER_CONTENT_DIGEST, names.digest.clone())
            .value(header::ETAG, names.etag.clone())
            .value(header::CACHE_CONTROL, keep)
    }

    /// The headers alone, for an error that is rendered elsewhere.
    pub(super) fn into_headers(self) -> Result<HeaderMap> {
        match self.failure {
            None => Ok(self.headers),
            Some(failure) => Err(Error::internal(failure)),
        }
    }

    /// The answer with this body.
    pub(super) fn body(self, body: impl Into<Body>) -> Result<Response> {
        let status = self.status;
        let headers = self.into_headers()?;
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// The answer without a body. Where HTTP lets it, it says so: `Content-Length: 0`.
    pub(super) fn empty(self) -> Result<Response> {
        let bodiless = matches!(
            self.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        let answer = if bodiless {
            self
        } else {
            self.number(header::CONTENT_LENGTH, 0)
        };
        answer.body(Body::empty())
    }
}

/// Where a blob of a repository is pulled from, as the client wrote the repository's name.
pub(super) fn blob_location(name: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{}/blobs/{digest}", name.as_written())
}

/// Whether the client has content with this entity tag (without quotes) already, so that 304 is the
/// answer (distribution §4.7, §5.9). A malformed `If-None-Match` is as if absent.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let lines: Vec<&str> = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    !lines.is_empty()
        && ETags::parse(&lines.join(",")).is_ok_and(|known| !known.if_none_match(Some(etag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_header_value_never_leaves() {
        let odd = Answer::new(StatusCode::OK)
            .header(header::LOCATION, "/v2/\r\nx: y")
            .empty();
        assert!(odd.is_err());
    }

    #[test]
    fn empty_answers_say_so_unless_they_have_no_body_by_nature() {
        let length = |status| {
            let answer = Answer::new(status).empty().unwrap();
            answer.headers().get(header::CONTENT_LENGTH).cloned()
        };
        assert_eq!(length(StatusCode::CREATED).unwrap(), "0");
        assert_eq!(length(StatusCode::NO_CONTENT), None);
        assert_eq!(length(StatusCode::NOT_MODIFIED), None);
    }

    #[test]
    fn conditions_may_be_spread_over_lines() {
        let mut headers = HeaderMap::new();
        assert!(!is_known(&headers, "sha256:a"));
        headers.append(header::IF_NONE_MATCH, HeaderValue::from_static("\"x\""));
        headers.append(
            header::IF_NONE_MATCH,
            HeaderValue::from_static("W/\"sha256:a\""),
        );
        assert!(is_known(&headers, "sha256:a"));
        assert!(!is_known(&headers, "sha256:b"));
    }
}
