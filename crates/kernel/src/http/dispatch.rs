//! The dispatcher: a request's way from its route to its answer.
//!
//! route → lane → operation and record → actor → handler → answer, or error in the route's dialect.
//! No request is answered before its operation and its record exist. A request that may change
//! something runs in a task of its own, so that a client that hangs up cannot stop it half-way; a
//! request that only reads ends when its client hangs up. Whatever panics becomes an answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use ::http::request::Parts;
use ::http::{HeaderName, HeaderValue, Method, Request, header};
use axum::body::{Body, HttpBody};
use futures::{FutureExt, StreamExt};
use seawall_types::lane::Lane;
use seawall_types::work::Spawner;
use seawall_types::{Error, Reason, Result};
use tokio::sync::oneshot;

use super::Response;
use super::access_log::AccessLog;
use super::body::BodySlot;
use super::call::{AcceptedRequest, Call, RouteFacts};
use super::deadline::{Deadline, DeadlineWatch};
use super::dialect::{ErrorContext, ErrorDialect, error_answer};
use super::head::RequestHead;
use super::meters::Meters;
use super::params::ParamSpans;
use super::record::{RequestRecord, RequestStart};
use super::route::RouteAccess;
use super::slashes::with_plain_slashes;
use super::table::{RouteEntry, RouteMatch, RouteTable};
use crate::auth::{ActTarget, Actor, IdentitySource, RequestedAccess, Verifier};
use crate::kernel::Kernel;
use crate::op::{Op, Origin};

/// What a refused request still sends is read up to here while its answer is on the way: many
/// clients write their whole body before they read, and would see a reset connection instead of the
/// answer (protocol §12.4.3).
const LINGER_BYTES: usize = 64 * 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(5);

/// The feature of requests that no route is for, in metrics and logs.
const NO_FEATURE: &str = "kernel";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Serves requests from a route table.
pub struct Dispatcher {
    kernel: Arc<Kernel>,
    table: RouteTable,
    verifier: Arc<dyn Verifier>,
    journal: Option<Arc<dyn AccessLog>>,
    /// The metrics of requests for what is not served.
    unknown: Arc<Meters>,
    wrong_method: Arc<Meters>,
    /// Those of requests that are refused before they are looked at.
    malformed: Arc<Meters>,
}

impl Dispatcher {
    /// A dispatcher over `table`, with `verifier` to tell who asks, and without a request log if
    /// there is no `journal`.
    pub fn new(
        kernel: Arc<Kernel>,
        table: RouteTable,
        verifier: Arc<dyn Verifier>,
        journal: Option<Arc<dyn AccessLog>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            kernel,
            table,
            verifier,
            journal,
            unknown: Arc::new(Meters::new(NO_FEATURE, "unknown-route")),
            wrong_method: Arc::new(Meters::new(NO_FEATURE, "wrong-method")),
            malformed: Arc::new(Meters::new(NO_FEATURE, "malformed")),
        })
    }

    /// The routes that are served.
    pub fn table(&self) -> &RouteTable {
        &self.table
    }

    /// Answers one request. It always answers: errors and panics become answers, too.
    pub async fn dispatch(self: &Arc<Self>, request: Request<Body>, origin: Origin) -> Response {
        let started = self.kernel.clock().elapsed();
        let (mut parts, body) = request.into_parts();
        let slot = BodySlot::new(body);
        let path = parts.uri.path();
        let found = self.table.find(&parts.method, path);
        let (lane, dialect, meters) = match &found {
            RouteMatch::Route(entry, _) => {
                let lane = entry.route.lane.lane(&parts);
                (lane, entry.dialect, &entry.meters)
            }
            RouteMatch::Methods(dialect, _) => (Lane::Listing, *dialect, &self.wrong_method),
            RouteMatch::Nothing(dialect) => (Lane::Listing, *dialect, &self.unknown),
        };
        let spans = match &found {
            RouteMatch::Route(entry, spans) => {
                let plain = entry
                    .escaped
                    .and_then(|name| with_plain_slashes(&parts.uri, spans, name));
                match plain {
                    Some((uri, spans)) => {
                        parts.uri = uri;
                        spans
                    }
                    None => *spans,
                }
            }
            _ => ParamSpans::default(),
        };
        let head = Arc::new(RequestHead { parts, spans });
        let begun = RequestStart {
            head: &head,
            meters,
            journal: self.journal.as_ref(),
            started,
        };
        let deadline = match &found {
            RouteMatch::Route(entry, _) => entry.route.deadline,
            _ => None,
        };
        let deadline = deadline.unwrap_or(Deadline::of(lane));
        let op = self
            .kernel
            .op(lane, Actor::anonymous(), origin, deadline.total());
        let (record, op) = RequestRecord::begin(op, &begun);
        let request = AcceptedRequest {
            op: &op,
            head: &head,
            slot: &slot,
            record: &record,
            started,
            deadline,
        };
        let answered = match &found {
            RouteMatch::Route(entry, _) => self.answer(entry, &request).await,
            RouteMatch::Methods(..) => Err(Error::new(
                Reason::MethodNotAllowed,
                "the path has no such method",
            )),
            RouteMatch::Nothing(_) => Err(Error::new(
                Reason::NotFound,
                "nothing is served at this path",
            )),
        };
        if answered
            .as_ref()
            .map_or(true, |response| response.status().is_client_error())
        {
            self.linger(&head.parts, &slot);
        }
        let mut response = match answered {
            Ok(response) => response,
            Err(error) => {
                record.failed(&error);
                self.say(&error, &found, &request)
            }
        };
        sign(&mut response, dialect, &op);
        record.answer(response)
    }

    /// The answer that says `error` to a request.
    fn say(
        &self,
        error: &Error,
        found: &RouteMatch<'_>,
        request: &AcceptedRequest<'_>,
    ) -> Response {
        let (dialect, allow) = match found {
            // Whatever is refused with 405 names what is left (RFC 9110 §15.5.6): to look at it.
            RouteMatch::Route(entry, _) => (
                entry.dialect,
                forbids_changes(error.reason).then(|| self.table.looking_at(&entry.route)),
            ),
            RouteMatch::Methods(dialect, allow) => (*dialect, Some(allow.clone())),
            RouteMatch::Nothing(dialect) => (*dialect, None),
        };
        let context = ErrorContext {
            method: &request.head.parts.method,
            allow,
        };
        error_answer(dialect, error, context, || match found {
            RouteMatch::Route(entry, _) => {
                let wanted = wanted(entry, request.head)?;
                self.verifier.challenge(request.op, &wanted, error.reason)
            }
            _ => None,
        })
    }

    /// Answers a request with `error` and looks no further at it: for what cannot be a request of
    /// ours.
    pub fn refuse(
        self: &Arc<Self>,
        request: Request<Body>,
        origin: Origin,
        error: &Error,
    ) -> Response {
        let started = self.kernel.clock().elapsed();
        let (parts, _) = request.into_parts();
        let dialect = self.table.dialect_of(parts.uri.path());
        let op = self
            .kernel
            .op(Lane::Listing, Actor::anonymous(), origin, None);
        let spans = ParamSpans::default();
        let head = Arc::new(RequestHead { parts, spans });
        let begun = RequestStart {
            head: &head,
            meters: &self.malformed,
            journal: self.journal.as_ref(),
            started,
        };
        let (record, op) = RequestRecord::begin(op, &begun);
        record.failed(error);
        let context = ErrorContext {
            method: &head.parts.method,
            allow: None,
        };
        let mut response = error_answer(dialect, error, context, || None);
        sign(&mut response, dialect, &op);
        record.answer(response)
    }

    /// Lets a route answer by its deadline, behind a panic barrier. What only reads ends when the
    /// deadline passes; what may change something goes on in its task, and keeps the record.
    async fn answer(&self, entry: &RouteEntry, request: &AcceptedRequest<'_>) -> Result<Response> {
        let watch = DeadlineWatch {
            deadline: request.deadline,
            clock: &**self.kernel.clock(),
            started: request.started,
            cost: request.op.cost(),
            progress: request.slot.progress(),
        };
        let answering = AssertUnwindSafe(self.identify_and_handle(entry, request));
        let answered = match watch.over(answering.catch_unwind()).await {
            Some(Ok(answered)) => answered,
            Some(Err(_)) => return Err(panicked()),
            None => return Err(cut_off(request, None)),
        };
        match answered {
            // SQL keeps to the same deadline, and may have noticed first.
            Err(error) if error.reason == Reason::Unavailable && watch.has_passed() => {
                Err(cut_off(request, error.source))
            }
            Ok(response) if entry.is_head_of_get => Ok(head_of(response)),
            answered => answered,
        }
    }

    async fn identify_and_handle(
        &self,
        entry: &RouteEntry,
        request: &AcceptedRequest<'_>,
    ) -> Result<Response> {
        let AcceptedRequest { op, head, .. } = request;
        let route = &entry.route;
        let actor = match route.access {
            RouteAccess::Open => Actor::anonymous(),
            _ => self.verifier.verify(op, &head.parts).await?,
        };
        let identities = Arc::clone(&self.verifier) as Arc<dyn IdentitySource>;
        let op = op.proved_by(identities).acting_as(actor);
        request.record.moves_to_lane(&op);
        if route.access == RouteAccess::Known && op.actor().is_anonymous() {
            return Err(Error::new(
                Reason::Unauthenticated,
                "authentication required",
            ));
        }
        let facts = RouteFacts {
            name: route.name,
            dialect: entry.dialect,
            repository: route.repository,
            body_limit: route.body_limit,
        };
        let call = Call::new(op, request, facts)?;
        if matches!(*call.method(), Method::GET | Method::HEAD) {
            (route.handler)(call).await
        } else {
            self.run_to_end(entry, call, request.record).await
        }
    }

    /// Runs a handler that may change something in a task of its own, behind a panic barrier of its
    /// own. When the client has gone, the record ends with the task.
    async fn run_to_end(
        &self,
        entry: &RouteEntry,
        call: Call,
        record: &Arc<RequestRecord>,
    ) -> Result<Response> {
        let (answer, answered) = oneshot::channel();
        let record = Arc::clone(record);
        let work = AssertUnwindSafe((entry.route.handler)(call)).catch_unwind();
        let work = async move {
            let ended = work.await.unwrap_or_else(|_| Err(panicked()));
            // Where the client has gone, a failure of ours is known to the log only.
            if let Err(Err(error)) = answer.send(ended) {
                record.failed(&error);
            }
        };
        self.kernel.tracker().spawn("request", Box::pin(work));
        answered.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Reads on, beside the answer, in a body that no handler took.
    fn linger(&self, parts: &Parts, slot: &BodySlot) {
        // Reading would invite the body of a client that waits for our word first.
        if parts.headers.contains_key(header::EXPECT) {
            return;
        }
        let Some(body) = slot.take().filter(|body| !body.is_end_stream()) else {
            return;
        };
        let reading = async {
            let mut stream = body.into_data_stream();
            let mut left = LINGER_BYTES;
            while let Some(Ok(piece)) = stream.next().await {
                left = left.saturating_sub(piece.len());
                if left == 0 {
                    break;
                }
            }
        };
        let reading = async {
            let _ = tokio::time::timeout(LINGER_TIME, reading).await;
        };
        self.kernel.tracker().spawn("linger", Box::pin(reading));
    }
}

/// The answer to a request whose deadline has passed.
fn cut_off(
    request: &AcceptedRequest<'_>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
) -> Error {
    request.record.cut_off();
    let error = Error::new(
        Reason::DeadlinePassed,
        "the request took too long; try again later",
    );
    Error { source, ..error }
}

/// The answer to a request whose handler panicked.
fn panicked() -> Error {
    Error::new(Reason::Internal, "internal error")
}

/// Whether the method is refused for what the target is now.
fn forbids_changes(reason: Reason) -> bool {
    use Reason as R;
    matches!(reason, R::BlobReferenced | R::ReadOnly | R::Unsupported)
}

/// The answer without its body, which keeps its length (RFC 9110 §9.3.2).
fn head_of(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let length = body.size_hint().exact().filter(|length| *length > 0);
    if let (Some(length), false) = (length, parts.headers.contains_key(header::CONTENT_LENGTH)) {
        parts
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}

/// The headers that every answer has.
fn sign(response: &mut Response, dialect: &dyn ErrorDialect, op: &Op) {
    let headers = response.headers_mut();
    // Whatever is served is what it says that it is, and nothing that a browser makes of it.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    dialect.add_headers(headers);
    if let Ok(id) = HeaderValue::try_from(op.origin().request_id.as_str()) {
        headers.insert(REQUEST_ID, id);
    }
}

/// What a route's refused request wanted; nothing if no credentials would help. A name that cannot
/// exist needs no right.
fn wanted(entry: &RouteEntry, head: &RequestHead) -> Option<RequestedAccess> {
    Some(match entry.route.access {
        RouteAccess::Open => return None,
        RouteAccess::Act(act) if act.rule().target == ActTarget::Repository => {
            let repository = entry.route.repository.parse(|param| head.raw(param));
            repository.map_or(RequestedAccess::Identity, |name| {
                RequestedAccess::Repository(name, act)
            })
        }
        RouteAccess::Anyone | RouteAccess::Known | RouteAccess::Act(_) => RequestedAccess::Identity,
        RouteAccess::Catalog => RequestedAccess::Catalog,
    })
}
