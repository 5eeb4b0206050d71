//! The route table: every route with its lane, its access and its dialect.
//!
//! A route cannot be made without a lane. The table is what the access test attacks with every kind
//! of caller, so nothing is served that is not in it.

use std::sync::Arc;

use ::http::Method;
use ::http::request::Parts;
use futures::FutureExt;
use futures::future::BoxFuture;
use seawall_types::Result;
use seawall_types::lane::Lane;

use super::Response;
use super::call::Call;
use super::deadline::Deadline;
use super::dialect::Dialect;
use super::meters::Meters;
use super::params::Places;
use super::pattern::Pattern;
use crate::auth::ActKind;

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
pub enum Access {
    /// Nobody is asked who they are; credentials are not even read.
    Open,
    /// Credentials are verified, but none are needed.
    Anyone,
    /// Somebody must be known, or the installation's public side must be open to all.
    Known,
    /// The act on the repository that the path names.
    Repository(ActKind),
    /// The catalog.
    Catalog,
}

type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Result<Response>> + Send + Sync>;

/// One route.
#[derive(Clone)]
pub struct Route {
    /// Its name in logs and metrics, e.g. `manifest.get`.
    pub name: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path.
    pub pattern: Pattern,
    /// How its lane is found.
    pub lane: LaneRule,
    /// What it asks of its caller.
    pub access: Access,
    /// In which dialect its errors are said.
    pub dialect: Dialect,
    /// By when it answers, if not by the deadline of its lane.
    pub deadline: Option<Deadline>,
    pub(super) handler: Handler,
}

impl Route {
    /// A route; it answers only through `handler`.
    pub fn new<F, R>(
        name: &'static str,
        at: (Method, &'static str),
        lane: impl Into<LaneRule>,
        (access, dialect): (Access, Dialect),
        handler: F,
    ) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Response>> + Send + 'static,
    {
        Self {
            name,
            method: at.0,
            pattern: Pattern::new(at.1),
            lane: lane.into(),
            access,
            dialect,
            deadline: None,
            handler: Arc::new(move |call| handler(call).boxed()),
        }
    }

    /// The same route with a deadline of its own.
    pub fn deadline(self, deadline: Deadline) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }
}

/// What the table says of a path and a method.
pub(super) enum Found<'t> {
    /// This route, with its metrics and the places of its parameters.
    Route(&'t Route, &'t Arc<Meters>, Places),
    /// The path is known, but only with these methods.
    Methods(&'t Route, String),
    /// Nothing is there.
    Nothing,
}

/// All routes of a process.
#[derive(Clone, Default)]
pub struct Table {
    routes: Vec<(Route, Arc<Meters>)>,
    /// The places of the routes of each pattern. A later pattern is looser: once a stricter one knows
    /// the path, only its own routes may answer.
    patterns: Vec<(Pattern, Vec<usize>)>,
}

impl Table {
    /// A table of `routes`; where two patterns match, the earlier one counts.
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Self {
        let mut table = Self::default();
        for (place, route) in routes.into_iter().enumerate() {
            let mut patterns = table.patterns.iter_mut();
            match patterns.find(|(pattern, _)| *pattern == route.pattern) {
                Some((_, places)) => places.push(place),
                None => table.patterns.push((route.pattern.clone(), vec![place])),
            }
            let meters = Arc::new(Meters::new(route.name));
            table.routes.push((route, meters));
        }
        table
    }

    /// All routes, in the order of matching.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().map(|(route, _)| route)
    }

    /// The methods that change nothing, of the path that `route` serves.
    pub(super) fn looking_at(&self, route: &Route) -> String {
        let kin = self.iter().filter(|kin| kin.pattern == route.pattern);
        let methods: Vec<&str> = kin
            .filter(|kin| kin.method.is_safe())
            .map(|kin| kin.method.as_str())
            .collect();
        methods.join(", ")
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let captured = self
            .patterns
            .iter()
            .find_map(|(pattern, places)| Some((pattern.capture(path)?, places)));
        let Some((params, places)) = captured else {
            return Found::Nothing;
        };
        let kin = || places.iter().filter_map(|place| self.routes.get(*place));
        if let Some((route, meters)) = kin().find(|(route, _)| route.method == *method) {
            return Found::Route(route, meters, params.places(path));
        }
        let methods: Vec<&str> = kin().map(|(route, _)| route.method.as_str()).collect();
        match kin().next() {
            Some((route, _)) => Found::Methods(route, methods.join(", ")),
            None => Found::Nothing,
        }
    }
}
