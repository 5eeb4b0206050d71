//! The dispatcher: a request's way from its route to its answer.
//!
//! route → lane → operation and record → actor → handler → answer, or error in the route's dialect. No
//! request is answered before its operation and its record exist. A request that may change something
//! runs in a task of its own, so that a client that hangs up cannot stop it half-way; a request that
//! only reads ends when its client hangs up. Whatever panics becomes an answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use ::http::request::Parts;
use ::http::{HeaderName, HeaderValue, Method, Request, header};
use axum::body::{Body, HttpBody};
use futures::{FutureExt, StreamExt};
use seawall_types::lane::Lane;
use seawall_types::name::RepositoryName;
use seawall_types::work::Spawn;
use seawall_types::{Error, Reason, Result};
use tokio::sync::oneshot;

use super::Response;
use super::body::BodySlot;
use super::call::{Call, Taken};
use super::deadline::{Deadline, Watch};
use super::dialect::{Asked, Dialect};
use super::head::Head;
use super::journal::Journal;
use super::meters::Meters;
use super::params::Places;
use super::plain::plain;
use super::record::{Begun, RequestRecord};
use super::route::{Access, Found, Route, Table};
use crate::auth::{Actor, IdentitySource, Verifier};
use crate::kernel::Kernel;
use crate::op::{Op, Origin};

/// What a refused request still sends is read up to here while its answer is on the way: many
/// clients write their whole body before they read, and would see a reset connection instead of the
/// answer (distribution §12.4.3).
const LINGER_BYTES: usize = 64 * 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(5);

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Serves requests from a route table.
pub struct Dispatcher {
    kernel: Arc<Kernel>,
    table: Table,
    verifier: Arc<dyn Verifier>,
    journal: Option<Arc<dyn Journal>>,
    /// The metrics of requests for what is not served.
    unknown: Arc<Meters>,
    wrong_method: Arc<Meters>,
    /// Those of requests that are refused before they are looked at.
    malformed: Arc<Meters>,
}

impl Dispatcher {
    /// A dispatcher over `table`, with `verifier` to tell who asks, and without a request log if there
    /// is no `journal`.
    pub fn new(
        kernel: Arc<Kernel>,
        table: Table,
        verifier: Arc<dyn Verifier>,
        journal: Option<Arc<dyn Journal>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            kernel,
            table,
            verifier,
            journal,
            unknown: Arc::new(Meters::new("unknown-route")),
            wrong_method: Arc::new(Meters::new("wrong-method")),
            malformed: Arc::new(Meters::new("malformed")),
        })
    }

    /// The routes that are served.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Answers one request. It always answers: errors and panics become answers, too.
    pub async fn dispatch(self: &Arc<Self>, request: Request<Body>, origin: Origin) -> Response {
        let started = self.kernel.clock().elapsed();
        let (mut parts, body) = request.into_parts();
        let slot = BodySlot::new(body);
        let path = parts.uri.path();
        let (target, lane, dialect) = match self.table.find(&parts.method, path) {
            Found::Route(route, meters, places) => {
                let lane = route.lane.lane(&parts);
                (Target::Route(route, meters, places), lane, route.dialect)
            }
            Found::Methods(route, allow) => (Target::Methods(allow), Lane::Listing, route.dialect),
            Found::Nothing => (Target::Nothing, Lane::Listing, Dialect::of_path(path)),
        };
        let (meters, places) = match &target {
            Target::Route(_, meters, places) => (*meters, places.clone()),
            Target::Methods(_) => (&self.wrong_method, Places::default()),
            Target::Nothing => (&self.unknown, Places::default()),
        };
        let places = match &target {
            Target::Route(route, ..) => match plain(&parts.uri, &route.pattern, &places) {
                Some((uri, places)) => {
                    parts.uri = uri;
                    places
                }
                None => places,
            },
            _ => places,
        };
        let head = Arc::new(Head { parts, places });
        let begun = Begun {
            head: &head,
            meters,
            journal: self.journal.as_ref(),
            started,
        };
        let deadline = match &target {
            Target::Route(route, ..) => route.deadline,
            _ => None,
        };
        let deadline = deadline.unwrap_or(Deadline::of(lane));
        let op = self
            .kernel
            .op(lane, Actor::anonymous(), origin, deadline.total());
        let (record, op) = RequestRecord::begin(op, &begun);
        let request = Taken {
            op: &op,
            head: &head,
            slot: &slot,
            record: &record,
            started,
            deadline,
        };
        let answered = match target {
            Target::Route(route, ..) => self.answer(route, &request).await,
            Target::Methods(allow) => Err(Failure {
                allow: Some(allow),
                ..Error::new(Reason::MethodNotAllowed, "the path has no such method").into()
            }),
            Target::Nothing => {
                Err(Error::new(Reason::NotFound, "nothing is served at this path").into())
            }
        };
        if answered
            .as_ref()
            .map_or(true, |response| response.status().is_client_error())
        {
            self.linger(&head.parts, &slot);
        }
        let mut response = match answered {
            Ok(response) => response,
            Err(failure) => {
                record.failed(&failure.error);
                let asked = Asked {
                    method: &head.parts.method,
                    challenge: failure.challenge,
                    allow: failure.allow,
                };
                dialect.render(&failure.error, &asked)
            }
        };
        sign(&mut response, dialect, &op);
        record.answer(response)
    }

    /// Answers a request with `error` and looks no further at it: for what cannot be a request of ours.
    pub fn refuse(
        self: &Arc<Self>,
        request: Request<Body>,
        origin: Origin,
        error: &Error,
    ) -> Response {
        let started = self.kernel.clock().elapsed();
        let (parts, _) = request.into_parts();
        let dialect = Dialect::of_path(parts.uri.path());
        let op = self
            .kernel
            .op(Lane::Listing, Actor::anonymous(), origin, None);
        let places = Places::default();
        let head = Arc::new(Head { parts, places });
        let begun = Begun {
            head: &head,
            meters: &self.malformed,
            journal: self.journal.as_ref(),
            started,
        };
        let (record, op) = RequestRecord::begin(op, &begun);
        record.failed(error);
        let asked = Asked {
            method: &head.parts.method,
            challenge: None,
            allow: None,
        };
        let mut response = dialect.render(error, &asked);
        sign(&mut response, dialect, &op);
        record.answer(response)
    }

    /// Lets a route answer by its deadline, behind a panic barrier. What only reads ends when the
    /// deadline passes; what may change something goes on in its task, and keeps the record.
    async fn answer(
        &self,
        route: &Route,
        request: &Taken<'_>,
    ) -> std::result::Result<Response, Failure> {
        let watch = Watch {
            deadline: request.deadline,
            clock: &**self.kernel.clock(),
            started: request.started,
            cost: request.op.cost(),
            progress: request.slot.progress(),
        };
        let answering = AssertUnwindSafe(self.identify_and_handle(route, request));
        let answered = match watch.over(answering.catch_unwind()).await {
            Some(Ok(answered)) => answered,
            Some(Err(_)) => return Err(panicked().into()),
            None => return Err(cut_off(request, None)),
        };
        match answered {
            // SQL keeps to the same deadline, and may have noticed first.
            Err(failure) if failure.error.reason == Reason::Unavailable && watch.has_passed() => {
                Err(cut_off(request, failure.error.source))
            }
            answered => answered,
        }
    }

    async fn identify_and_handle(
        &self,
        route: &Route,
        request: &Taken<'_>,
    ) -> std::result::Result<Response, Failure> {
        let Taken { op, head, .. } = request;
        let refused = |error: Error| Failure {
            challenge: challenge(op, route.access, head),
            // Whatever is refused with 405 names what is left (RFC 9110 §15.5.6): to look at it.
            allow: forbids_changes(error.reason).then(|| self.table.looking_at(route)),
            error,
        };
        let actor = match route.access {
            Access::Open => Actor::anonymous(),
            _ => self
                .verifier
                .verify(op, &head.parts)
                .await
                .map_err(refused)?,
        };
        let identities = Arc::clone(&self.verifier) as Arc<dyn IdentitySource>;
        let op = op.proved_by(identities).acting_as(actor);
        request.record.goes_on_as(&op);
        if route.access == Access::Known && op.actor().is_anonymous() {
            let error = Error::new(Reason::Unauthenticated, "authentication required");
            return Err(refused(error));
        }
        let call = Call::new(op, request, route.dialect).map_err(refused)?;
        let answered = if matches!(*call.method(), Method::GET | Method::HEAD) {
            (route.handler)(call).await
        } else {
            self.run_to_its_end(route, call, request.record).await
        };
        answered.map_err(refused)
    }

    /// Runs a handler that may change something in a task of its own, behind a panic barrier of its
    /// own. When the client has gone, the record ends with the task.
    async fn run_to_its_end(
        &self,
        route: &Route,
        call: Call,
        record: &Arc<RequestRecord>,
    ) -> Result<Response> {
        let (answer, answered) = oneshot::channel();
        let record = Arc::clone(record);
        let work = AssertUnwindSafe((route.handler)(call)).catch_unwind();
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
    request: &Taken<'_>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
) -> Failure {
    request.record.cut_off();
    let error = Error::new(
        Reason::DeadlinePassed,
        "the request took too long; try again later",
    );
    Error { source, ..error }.into()
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

/// What a request is for.
enum Target<'t> {
    Route(&'t Route, &'t Arc<Meters>, Places),
    Methods(String),
    Nothing,
}

/// The headers that every answer has.
fn sign(response: &mut Response, dialect: Dialect, op: &Op) {
    let headers = response.headers_mut();
    // Whatever is served is what it says that it is, and nothing that a browser makes of it.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if dialect == Dialect::Oci {
        let version = HeaderValue::from_static("registry/2.0");
        headers.insert(API_VERSION, version);
    }
    if let Ok(id) = HeaderValue::try_from(op.origin().request_id.as_str()) {
        headers.insert(REQUEST_ID, id);
    }
}

/// An error with what its rendering needs.
struct Failure {
    error: Error,
    challenge: Option<String>,
    allow: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            challenge: None,
            allow: None,
        }
    }
}

/// The challenge for a route: the scopes that the route needs, whatever the method (distribution
/// §13.1). A name that cannot exist asks for no scope.
fn challenge(op: &Op, access: Access, head: &Head) -> Option<String> {
    let scope = match access {
        Access::Open => return None,
        Access::Anyone | Access::Known => None,
        Access::Catalog => Some("registry:catalog:*".to_owned()),
        Access::Repository(act) => {
            let name = head.places.raw(head.parts.uri.path(), "name");
            let name = RepositoryName::parse(name).ok();
            name.map(|name| format!("repository:{}:{}", name.as_written(), act.scope_actions()))
        }
    };
    let realm = challenge_realm(op);
    let service = op.kernel().installation();
    let scope = scope
        .map(|scope| format!(",scope=\"{scope}\""))
        .unwrap_or_default();
    Some(format!(
        "Bearer realm=\"{realm}\",service=\"{service}\"{scope}"
    ))
}

/// The token endpoint's address: under the configured public address, else under the host that the
/// client used, which was validated when it came in.
pub fn challenge_realm(op: &Op) -> String {
    if let Some(url) = &op.kernel().settings().public_url {
        return format!("{}/v2/auth", url.trim_end_matches('/'));
    }
    let scheme = if op.origin().secure { "https" } else { "http" };
    let host = op.origin().host.as_deref().unwrap_or("localhost");
    format!("{scheme}://{host}/v2/auth")
}
