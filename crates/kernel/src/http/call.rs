//! What a handler receives: the operation, the request's head, and a body to be read at most once.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ::http::request::Parts;
use ::http::{HeaderMap, HeaderName, Method, Uri};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use seawall_types::name::RepositoryName;
use seawall_types::{Error, Reason, Result};

use super::Response;
use super::body::{BodyStream, refuse};
use super::dialect::{Asked, Dialect};
use super::params::{Places, Query, decode};
use crate::op::Op;

/// A body that a handler may take; what it leaves can still be drained afterwards.
#[derive(Clone, Default)]
pub(super) struct BodySlot(Arc<Mutex<Option<Body>>>);

impl BodySlot {
    pub(super) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(Some(body))))
    }

    /// Puts back what was not read of it.
    pub(super) fn give_back(&self, rest: Body) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
    }

    pub(super) fn take(&self) -> Option<Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Where a handler says who acted, when its body told and not its head.
pub(super) type Acted = Arc<OnceLock<Op>>;

/// A request's head, and where its parameters stand in the path.
pub(super) struct Head {
    pub(super) parts: Parts,
    pub(super) places: Places,
}

/// One request on its way through a handler.
pub struct Call {
    /// The operation, its actor known.
    pub op: Op,
    head: Arc<Head>,
    query: Query,
    body: BodySlot,
    dialect: Dialect,
    acted: Acted,
}

impl Call {
    pub(super) fn new(
        op: Op,
        (head, dialect): (Arc<Head>, Dialect),
        body: BodySlot,
        acted: Acted,
    ) -> Result<Self> {
        let query = Query::parse(head.parts.uri.query().unwrap_or_default())?;
        Ok(Self {
            op,
            head,
            query,
            body,
            dialect,
            acted,
        })
    }

    /// Tells the request's record that it went on as `op`: its actor and lane were known only from
    /// the body. The first word counts.
    pub fn went_on_as(&self, op: &Op) {
        let _ = self.acted.set(op.clone());
    }

    /// An error in the route's dialect with headers that help the client to go on, such as where an
    /// upload stands. For everything else a handler returns the error itself.
    pub fn refuse(&self, error: &Error, headers: HeaderMap) -> Response {
        let asked = Asked {
            method: self.method(),
            challenge: None,
            allow: None,
        };
        let mut response = self.dialect.render(error, &asked);
        response.headers_mut().extend(headers);
        response
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
                    Error::new(Reason::BadRequest, format!("header {name} holds odd bytes"))
                })
            })
            .transpose()
    }

    /// The repository that the path names. Escaped slashes are plain by now, and nothing else that needs
    /// an escape is part of a name (distribution §2.12). Errors: `NameInvalid`.
    pub fn name(&self) -> Result<RepositoryName> {
        Ok(RepositoryName::parse(self.raw("name"))?)
    }

    /// A parameter of the path, decoded once.
    pub fn param(&self, name: &str) -> Result<String> {
        Ok(decode(self.raw(name))?.into_owned())
    }

    fn raw(&self, name: &str) -> &str {
        let Head { parts, places } = &*self.head;
        places.raw(parts.uri.path(), name)
    }

    /// The body's length as `Content-Length` declares it. Errors: `SizeInvalid`.
    pub fn declared_length(&self) -> Result<Option<u64>> {
        let Some(text) = self.header(&::http::header::CONTENT_LENGTH)? else {
            return Ok(None);
        };
        let invalid = || Error::new(Reason::SizeInvalid, "Content-Length is not a number");
        text.parse().map(Some).map_err(|_| invalid())
    }

    /// The body as a stream of pieces, which must come as fast as the settings say. Empty when it was
    /// taken before.
    pub fn stream(&self) -> BodyStream {
        let kernel = self.op.kernel();
        BodyStream::new(
            &self.body,
            kernel.settings().patience,
            Arc::clone(kernel.clock()),
        )
    }

    /// The whole body, if it is at most `limit` bytes long.
    ///
    /// Errors: `TooLarge` (at once, if the declared length already says so), `Timeout`, `ClientGone`.
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
