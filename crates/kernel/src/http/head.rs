//! A request's head, shared by the call that a handler receives and by the request's record.

use ::http::request::Parts;

use super::params::ParamSpans;

/// A request's head, and where its parameters stand in the path.
pub(super) struct RequestHead {
    pub(super) parts: Parts,
    pub(super) spans: ParamSpans,
}

impl RequestHead {
    /// A parameter as it stands in the path, or nothing.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.spans.raw(self.parts.uri.path(), name)
    }
}
