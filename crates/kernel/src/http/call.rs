//! What a handler receives: the operation, the request's head, and a body to be read at most once.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, Method, Uri};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use seawall_types::name::RepositoryName;
use seawall_types::{Error, Reason, Result};

use super::Response;
use super::body::{BodySlot, BodyStream, refuse};
use super::deadline::Deadline;
use super::dialect::{ErrorContext, ErrorDialect, error_answer};
use super::head::RequestHead;
use super::params::{Query, decode};
use super::record::RequestRecord;
use super::repository::RepositoryParams;
use crate::op::Op;

/// A request that was taken up, and what its answer is made from.
pub(super) struct AcceptedRequest<'a> {
    /// Its actor may not be known yet.
    pub(super) op: &'a Op,
    pub(super) head: &'a Arc<RequestHead>,
    pub(super) slot: &'a BodySlot,
    pub(super) record: &'a Arc<RequestRecord>,
    /// When it was taken up, on the kernel's clock.
    pub(super) started: Duration,
    pub(super) deadline: Deadline,
}

/// What a call knows of its route.
#[derive(Clone, Copy)]
pub(super) struct RouteFacts {
    pub(super) name: &'static str,
    pub(super) dialect: &'static dyn ErrorDialect,
    pub(super) repository: RepositoryParams,
    pub(super) body_limit: Option<usize>,
}

/// The most bytes of a body that is taken whole, where its route names no limit.
const BODY_LIMIT: usize = 1 << 20;

/// One request on its way through a handler.
pub struct Call {
    /// The operation, its actor known.
    pub op: Op,
    head: Arc<RequestHead>,
    query: Query,
    body: BodySlot,
    route: RouteFacts,
    record: Arc<RequestRecord>,
    deadline: Deadline,
}

impl Call {
    /// A call by `op`, whose actor is known.
    pub(super) fn new(op: Op, request: &AcceptedRequest<'_>, route: RouteFacts) -> Result<Self> {
        let head = Arc::clone(request.head);
        let query = Query::parse(head.parts.uri.query().unwrap_or_default())?;
        Ok(Self {
            op,
            head,
            query,
            body: request.slot.clone(),
            route,
            record: Arc::clone(request.record),
            deadline: request.deadline,
        })
    }

    /// Tells the request's record that it went on as `op`: its actor and lane were known only from
    /// the body.
    pub fn moved_to_lane(&self, op: &Op) {
        self.record.moves_to_lane(op);
    }

    /// An error in the route's dialect with headers that help the client to go on, such as where an
    /// upload stands. For everything else a handler returns the error itself.
    pub fn refuse(&self, error: &Error, headers: HeaderMap) -> Response {
        let context = ErrorContext {
            method: self.method(),
            allow: None,
        };
        let mut response = error_answer(self.route.dialect, error, context, || None);
        response.headers_mut().extend(headers);
        response
    }

    /// The name of the route that this request is for.
    pub(super) fn route_name(&self) -> &'static str {
        self.route.name
    }

    /// The request's method.
    pub fn method(&self) -> &Method {
        &self.head.parts.method
    }

    /// The request's target as it came.
    pub fn uri(&self) -> &Uri {
        &self.head.parts.uri
    }

    /// The request's headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.parts.headers
    }

    /// The query's parameters.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// A header's text. Errors: `BadRequest` for bytes that are no visible ASCII.
    pub fn header(&self, name: &HeaderName) -> Result<Option<&str>> {
        self.head
            .parts
            .headers
            .get(name)
            .map(|value| {
                value.to_str().map_err(|_| {
                    Error::new(
                        Reason::BadRequest,
                        format!("header {name} holds bytes that are not visible ASCII"),
                    )
                })
            })
            .transpose()
    }

    /// The repository that the path names. Escaped slashes are plain by now, and nothing else that
    /// needs an escape is part of a name (protocol §2.12). Errors: `NameInvalid`.
    pub fn name(&self) -> Result<RepositoryName> {
        self.route.repository.parse(|param| self.raw(param))
    }

    /// A parameter of the path, decoded once.
    pub fn param(&self, name: &str) -> Result<String> {
        Ok(decode(self.raw(name))?.into_owned())
    }

    fn raw(&self, name: &str) -> &str {
        self.head.raw(name)
    }

    /// The body's length as `Content-Length` declares it. Errors: `SizeInvalid`.
    pub fn declared_length(&self) -> Result<Option<u64>> {
        let Some(text) = self.header(&::http::header::CONTENT_LENGTH)? else {
            return Ok(None);
        };
        let invalid = || Error::new(Reason::SizeInvalid, "Content-Length is not a number");
        text.parse().map(Some).map_err(|_| invalid())
    }

    /// The body as a stream of pieces, which must come as fast as the route says, or the settings.
    /// Empty when it was taken before.
    pub fn stream(&self) -> BodyStream {
        let patience = match self.deadline {
            Deadline::Streaming(Some(patience)) => patience,
            _ => self.op.kernel().settings().patience,
        };
        BodyStream::new(&self.body, patience, &self.op)
    }

    /// The whole body, if it is no longer than its route allows. Errors: as [`Self::bytes`].
    pub async fn whole_body(&self) -> Result<Bytes> {
        self.bytes(self.route.body_limit.unwrap_or(BODY_LIMIT))
            .await
    }

    /// The whole body, if it is at most `limit` bytes long.
    ///
    /// Errors: `TooLarge` (at once, if the declared length already says so), `Timeout`,
    /// `ClientGone`.
    pub async fn bytes(&self, limit: usize) -> Result<Bytes> {
        let too_large = || {
            Error::new(
                Reason::TooLarge,
                format!("the body is larger than {limit} bytes"),
            )
        };
        let declared = self.declared_length()?.unwrap_or_default();
        if declared > limit as u64 {
            return Err(too_large());
        }
        let mut whole = BytesMut::new();
        let mut stream = self.stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| refuse(&error))?;
            if whole.len() + piece.len() > limit {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        self.op.cost().charge_bytes_in(whole.len() as u64);
        Ok(whole.freeze())
    }
}
