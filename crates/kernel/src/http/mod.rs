//! From a parsed HTTP request to its answer: the route table, the call that a handler receives, the
//! dispatcher, and the dialects in which errors are said.
//!
//! A handler returns a value or a neutral error; it never renders an error itself, so it cannot
//! answer in the wrong dialect. Sockets and TLS are not here, and no rule of any protocol.

mod access_log;
mod answer;
mod body;
mod call;
mod conditional;
mod deadline;
mod dialect;
mod dispatch;
mod documentation;
mod head;
mod index;
mod json;
mod meters;
mod paging;
mod params;
mod pattern;
mod plain_text;
mod record;
mod repository;
mod route;
mod slashes;
mod table;

pub use access_log::{AccessLog, AccessLogEntry};
pub use answer::Answer;
pub use body::{BodyStream, refuse};
pub use call::Call;
pub use conditional::{condition, is_known};
pub use deadline::Deadline;
pub use dialect::{DialectMount, ErrorDialect, RenderedError};
pub use dispatch::Dispatcher;
pub use documentation::{
    Documentation, ParamDocumentation, ParamPlace, ResponseDocumentation, SchemaOf,
};
pub use paging::{PageRequest, Paging};
pub use params::Query;
pub use pattern::{Pattern, PatternError};
pub use plain_text::PlainText;
pub use repository::RepositoryParams;
pub use route::{LaneRule, Route, RouteAccess, RouteBuilder, RouteWithoutLane};
pub use table::{RouteName, RouteTable, RouteTableError};

/// An answer: head and a body that may stream.
pub type Response = ::http::Response<axum::body::Body>;
