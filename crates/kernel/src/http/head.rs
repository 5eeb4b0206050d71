//! A request's head, shared by the call that a handler receives and by the request's record.

use ::http::request::Parts;

use super::params::Places;

/// A request's head, and where its parameters stand in the path.
pub(super) struct Head {
    pub(super) parts: Parts,
    pub(super) places: Places,
}
