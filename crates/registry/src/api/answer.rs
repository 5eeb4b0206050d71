//! The headers that the protocol adds to HTTP's.

use http::{HeaderName, HeaderValue, header};
pub(super) use seawall_kernel::http::{Answer, is_known};
use seawall_types::{Digest, RepositoryName};

use crate::content_headers::ContentHeaders;

/// The digest of the content that the answer is about (protocol §4.2, §5.1).
pub(super) const DOCKER_CONTENT_DIGEST: HeaderName =
    HeaderName::from_static("docker-content-digest");

/// What never changes may be kept for a year, which is as long as anything may be.
const FOREVER: HeaderValue = HeaderValue::from_static("max-age=31536000, immutable");
const FOREVER_PRIVATE: HeaderValue =
    HeaderValue::from_static("private, max-age=31536000, immutable");

/// No cache may serve it again without asking.
pub(super) const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
/// What was pushed is of the type that its pusher said, and no page of ours (protocol §14.16).
pub(super) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// Should a browser show it all the same, it may do nothing.
pub(super) const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox");

/// What an answer says of the content that it is about.
pub(super) trait ContentAnswer {
    /// Says which content this is about: `Docker-Content-Digest`, the digest as it was asked for.
    fn digest(self, digest: &Digest) -> Self;

    /// Says what the content is called, and that what has this name never changes:
    /// `Docker-Content-Digest`, `ETag` and `Cache-Control`.
    fn immutable(self, names: &ContentHeaders, public: bool) -> Self;
}

impl ContentAnswer for Answer {
    fn digest(self, digest: &Digest) -> Self {
        self.header(DOCKER_CONTENT_DIGEST, digest.to_string())
    }

    fn immutable(self, names: &ContentHeaders, public: bool) -> Self {
        let keep = if public { FOREVER } else { FOREVER_PRIVATE };
        self.value(DOCKER_CONTENT_DIGEST, names.digest.clone())
            .value(header::ETAG, names.etag.clone())
            .value(header::CACHE_CONTROL, keep)
    }
}

/// Where a blob of a repository is pulled from, as the client wrote the repository's name.
pub(super) fn blob_location(name: &RepositoryName, digest: &Digest) -> String {
    format!("/v2/{}/blobs/{digest}", name.as_written())
}
