//! Routes: what is served at a path, with its lane, what it asks of its caller, and its bounds.
//!
//! A route is built in steps, and does not compile without a lane. Its dialect is that of the mount
//! in which its path lies; its feature is written on it by [`Feature::routes`](crate::Feature).

use std::sync::Arc;

use ::http::request::Parts;
use ::http::{Method, StatusCode};
use futures::FutureExt;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use seawall_types::lane::Lane;
use seawall_types::{Error, Reason, Result};

use super::Response;
use super::call::Call;
use super::deadline::Deadline;
use super::documentation::{
    Documentation, ParamDocumentation, ParamPlace, ResponseDocumentation, schema_of,
};
use super::repository::RepositoryParams;
use crate::auth::ActKind;
use crate::switch::{FeatureState, Switch};

/// How a request's lane is found.
#[derive(Debug, Clone, Copy)]
pub enum LaneRule {
    /// Always this one.
    Always(Lane),
    /// It depends on the request's head.
    Of(fn(&Parts) -> Lane),
}

impl From<Lane> for LaneRule {
    fn from(lane: Lane) -> Self {
        Self::Always(lane)
    }
}

impl LaneRule {
    pub(super) fn lane(self, parts: &Parts) -> Lane {
        match self {
            Self::Always(lane) => lane,
            Self::Of(rule) => rule(parts),
        }
    }
}

/// What a route asks of its caller; it decides the challenge, and the handler does the checking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteAccess {
    /// Open to all; credentials are not even read.
    Open,
    /// Credentials are verified, but none are needed.
    Anyone,
    /// The caller must be known, or the installation's public side must be open to all.
    Known,
    /// An act: on the repository that the path names, or on what else the act is done to.
    Act(ActKind),
    /// The catalog.
    Catalog,
}

pub(super) type RouteHandler =
    Arc<dyn Fn(Call) -> BoxFuture<'static, Result<Response>> + Send + Sync>;

/// One route.
#[derive(Clone)]
pub struct Route {
    /// Its name in logs and metrics, e.g. `manifest.get`.
    pub name: &'static str,
    /// The feature that brings it.
    pub feature: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path, as a pattern.
    pub path: &'static str,
    /// How its lane is found.
    pub lane: LaneRule,
    /// What it asks of its caller.
    pub access: RouteAccess,
    /// Which parameters name its repository.
    pub repository: RepositoryParams,
    /// The most bytes of a body that the handler takes whole.
    pub body_limit: Option<usize>,
    /// By when it answers, if not by the deadline of its lane.
    pub deadline: Option<Deadline>,
    /// Whether a GET answers a HEAD, too, unless the path has a route for that.
    pub answers_head: bool,
    /// What it says of itself.
    pub documentation: Arc<Documentation>,
    pub(super) handler: RouteHandler,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident: $method:ident,)*) => {$(
        $(#[$doc])*
        pub fn $name(name: &'static str, path: &'static str) -> RouteWithoutLane {
            RouteWithoutLane { name, method: Method::$method, path }
        }
    )*};
}

/// Routes are built from here.
///
/// ```
/// # use seawall_kernel::http::{Call, Response, Route};
/// # use seawall_types::{Lane, Result};
/// # async fn show(_: std::sync::Arc<()>, _: Call) -> Result<Response> { unimplemented!() }
/// # let state = std::sync::Arc::new(());
/// Route::get("thing.show", "/things/{thing}").lane(Lane::Interactive).to(&state, show);
/// ```
///
/// Without a lane there is no route:
///
/// ```compile_fail
/// # use seawall_kernel::http::{Call, Response, Route};
/// # use seawall_types::{Lane, Result};
/// # async fn show(_: std::sync::Arc<()>, _: Call) -> Result<Response> { unimplemented!() }
/// # let state = std::sync::Arc::new(());
/// Route::get("thing.show", "/things/{thing}").to(&state, show);
/// ```
impl Route {
    methods! {
        /// A route that shows what is at `path`. It answers HEAD, too.
        get: GET,
        /// A route that answers only the head of what is at `path`.
        head: HEAD,
        /// A route that makes something below `path`.
        post: POST,
        /// A route that stores what is at `path`.
        put: PUT,
        /// A route that changes what is at `path`.
        patch: PATCH,
        /// A route that removes what is at `path`.
        delete: DELETE,
    }

    /// The same route with the name of the feature that brings it.
    pub fn brought_by(self, feature: &'static str) -> Self {
        Self { feature, ..self }
    }

    /// The path with an example for each of its parameters; `known` is asked first.
    pub fn example_path(&self, known: impl Fn(&str) -> Option<String>) -> String {
        let segments = self.path.split('/').map(|segment| {
            let Some(param) = segment.strip_prefix('{') else {
                return segment.to_owned();
            };
            let param = param.trim_end_matches('}').trim_end_matches("...");
            let example = || self.documentation.example(param).unwrap_or("1").to_owned();
            known(param).unwrap_or_else(example)
        });
        segments.collect::<Vec<_>>().join("/")
    }
}

/// A route that does not know its lane yet.
#[must_use]
pub struct RouteWithoutLane {
    name: &'static str,
    method: Method,
    path: &'static str,
}

impl RouteWithoutLane {
    /// The lane in which it is served.
    pub fn lane(self, lane: impl Into<LaneRule>) -> RouteBuilder {
        RouteBuilder {
            name: self.name,
            method: self.method,
            path: self.path,
            lane: lane.into(),
            access: RouteAccess::Known,
            repository: RepositoryParams::Whole("name"),
            body_limit: None,
            deadline: None,
            answers_head: true,
            documentation: Documentation::default(),
        }
    }
}

/// A route without a handler. Its caller must be known, unless it says otherwise.
#[must_use]
pub struct RouteBuilder {
    name: &'static str,
    method: Method,
    path: &'static str,
    lane: LaneRule,
    access: RouteAccess,
    repository: RepositoryParams,
    body_limit: Option<usize>,
    deadline: Option<Deadline>,
    answers_head: bool,
    documentation: Documentation,
}

impl RouteBuilder {
    /// It does this; a caller who may not is refused with a challenge that asks for it.
    pub fn act(self, act: ActKind) -> Self {
        self.access(RouteAccess::Act(act))
    }

    /// It asks this of its caller.
    pub fn access(mut self, access: RouteAccess) -> Self {
        self.access = access;
        self
    }

    /// The repository is named by two parameters, instead of one called `name`.
    pub fn repository_in(mut self, namespace: &'static str, name: &'static str) -> Self {
        self.repository = RepositoryParams::Parts { namespace, name };
        self
    }

    /// The repository is named by this parameter, instead of one called `name`.
    pub fn repository(mut self, name: &'static str) -> Self {
        self.repository = RepositoryParams::Whole(name);
        self
    }

    /// A body that is taken whole has at most so many bytes.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// It answers by this deadline instead of that of its lane.
    pub fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// A GET that does not answer HEAD.
    pub fn without_head(mut self) -> Self {
        self.answers_head = false;
        self
    }

    /// What it does, in a sentence.
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.documentation.summary = summary;
        self
    }

    /// The group that it belongs to in documents.
    pub fn tag(mut self, tag: &'static str) -> Self {
        self.documentation.tag = Some(tag);
        self
    }

    /// Describes a parameter of the path.
    pub fn path_param(
        mut self,
        name: &'static str,
        description: &'static str,
        example: &'static str,
    ) -> Self {
        self.documentation.params.push(ParamDocumentation {
            name,
            place: ParamPlace::Path,
            description,
            example,
        });
        self
    }

    /// Describes a parameter of the query.
    pub fn query_param(
        mut self,
        name: &'static str,
        description: &'static str,
        example: &'static str,
    ) -> Self {
        self.documentation.params.push(ParamDocumentation {
            name,
            place: ParamPlace::Query,
            description,
            example,
        });
        self
    }

    /// It takes a JSON body of this type.
    pub fn request<T: JsonSchema>(mut self) -> Self {
        self.documentation.request = Some(schema_of::<T>);
        self
    }

    /// It answers with a JSON body of this type.
    pub fn response<T: JsonSchema>(
        mut self,
        status: StatusCode,
        description: &'static str,
    ) -> Self {
        self.documentation.responses.push(ResponseDocumentation {
            status,
            description,
            schema: Some(schema_of::<T>),
        });
        self
    }

    /// It answers without a body, or with one that is not JSON.
    pub fn other_response(mut self, status: StatusCode, description: &'static str) -> Self {
        self.documentation.responses.push(ResponseDocumentation {
            status,
            description,
            schema: None,
        });
        self
    }

    /// It is answered by `handler`, which gets a share of `state`.
    pub fn to<S, F, R>(self, state: &Arc<S>, handler: F) -> Route
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, Call) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Response>> + Send + 'static,
    {
        let state = Arc::clone(state);
        self.handler(move |call| handler(Arc::clone(&state), call))
    }

    /// It is answered by `handler`.
    pub fn handler<F, R>(self, handler: F) -> Route
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Response>> + Send + 'static,
    {
        Route {
            name: self.name,
            feature: "",
            method: self.method,
            path: self.path,
            lane: self.lane,
            access: self.access,
            repository: self.repository,
            body_limit: self.body_limit,
            deadline: self.deadline,
            answers_head: self.answers_head,
            documentation: Arc::new(self.documentation),
            handler: Arc::new(move |call| handler(call).boxed()),
        }
    }
}

impl Route {
    /// The same route, which asks `switch` each time. Switched off, it answers as if it were not
    /// there, and says why; where the feature answers from caches, what needs the database is
    /// refused.
    pub fn gated(self, switch: &Switch) -> Self {
        let (handler, switch) = (self.handler, switch.clone());
        let gated = move |mut call: Call| match switch.state() {
            FeatureState::On => handler(call),
            FeatureState::Cached => {
                call.op = call.op.without_sql();
                handler(call)
            }
            FeatureState::Off => {
                let words = format!("the feature {} is switched off", switch.feature());
                std::future::ready(Err(Error::new(Reason::NotFound, words))).boxed()
            }
        };
        Self {
            handler: Arc::new(gated),
            ..self
        }
    }
}
