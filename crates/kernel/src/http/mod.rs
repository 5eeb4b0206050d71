//! From a parsed HTTP request to its answer: the route table, the call that a handler receives, the
//! dispatcher, and the dialects in which errors are said.
//!
//! A handler returns a value or a neutral error; it never renders an error itself, so it cannot
//! answer in the wrong dialect. Sockets and TLS are not here, and no rule of any protocol.

mod body;
mod call;
mod deadline;
mod dialect;
mod dispatch;
mod head;
mod journal;
mod meters;
mod params;
mod pattern;
mod plain;
mod record;
mod route;

pub use body::{BodyStream, refuse};
pub use call::Call;
pub use deadline::Deadline;
pub use dialect::Dialect;
pub use dispatch::{Dispatcher, challenge_realm};
pub use journal::{Journal, Line};
pub use params::{Params, Query};
pub use pattern::Pattern;
pub use route::{Access, LaneRule, Route, Table};

/// An answer: head and a body that may stream.
pub type Response = ::http::Response<axum::body::Body>;
