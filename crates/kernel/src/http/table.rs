//! The route table: all routes of a process, found by their paths.
//!
//! The table is what the access test attacks with every kind of caller, so nothing is served that
//! is not in it. The order of registration means nothing: the more specific pattern answers, and
//! what would be ambiguous is refused when the process starts, naming both routes and their
//! features. Once a pattern matches a path, only its own routes may answer.

use std::fmt;
use std::sync::Arc;

use ::http::Method;

use super::dialect::{DialectMount, ErrorDialect};
use super::index::RouteIndex;
use super::meters::Meters;
use super::params::ParamSpans;
use super::pattern::{Pattern, PatternError};
use super::plain_text::PlainText;
use super::repository::RepositoryParams;
use super::route::{Route, RouteAccess};
use crate::auth::ActTarget;

/// A route as an error names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteName {
    /// Its name.
    pub name: &'static str,
    /// Its feature.
    pub feature: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: &'static str,
}

impl RouteName {
    fn of(route: &Route) -> Self {
        Self {
            name: route.name,
            feature: route.feature,
            method: route.method.clone(),
            path: route.path,
        }
    }
}

impl fmt::Display for RouteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            feature,
            method,
            path,
        } = self;
        write!(f, "{name} of {feature} ({method} {path})")
    }
}

/// Why routes cannot be served together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteTableError {
    /// A path that is no pattern.
    #[error("the path of route {route} is not valid: {source}")]
    Pattern {
        /// The route.
        route: Box<RouteName>,
        /// What is wrong.
        source: PatternError,
    },
    /// A parameter that a route speaks of, and that its path does not have.
    #[error("route {route} speaks of the parameter {param:?}, which its path does not have")]
    UnknownParam {
        /// The route.
        route: Box<RouteName>,
        /// The parameter.
        param: &'static str,
    },
    /// Two routes of one method and path.
    #[error("routes {first} and {second} are the same")]
    Twice {
        /// One of them.
        first: Box<RouteName>,
        /// The other.
        second: Box<RouteName>,
    },
    /// Two routes whose patterns match one path, and neither is more specific.
    #[error("routes {first} and {second} are ambiguous: neither path is more specific")]
    Ambiguous {
        /// One of them.
        first: Box<RouteName>,
        /// The other.
        second: Box<RouteName>,
    },
    /// A prefix that does not begin with a slash, or ends with one.
    #[error("the prefix {prefix:?} of {feature} must begin with a slash and not end with one")]
    Prefix {
        /// The prefix.
        prefix: &'static str,
        /// The feature that mounts it.
        feature: &'static str,
    },
    /// Two mounts of one prefix.
    #[error("the prefix {prefix} is mounted by {first} and by {second}")]
    MountedTwice {
        /// The prefix.
        prefix: &'static str,
        /// One feature.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}

/// A route in its place.
#[derive(Clone)]
pub(super) struct RouteEntry {
    pub(super) route: Route,
    pub(super) meters: Arc<Meters>,
    pub(super) dialect: &'static dyn ErrorDialect,
    /// The parameter that is a repository's name, and may have come with escaped slashes.
    pub(super) escaped: Option<&'static str>,
    /// Whether a GET's handler answers HEAD here, so that its body is dropped.
    pub(super) is_head_of_get: bool,
}

/// What the table says of a path and a method.
pub(super) enum RouteMatch<'t> {
    /// This route, and where the parameters of the path stand.
    Route(&'t RouteEntry, ParamSpans),
    /// The path is known, but only with these methods.
    Methods(&'static dyn ErrorDialect, String),
    /// Nothing is there; this is the dialect of the place.
    Nothing(&'static dyn ErrorDialect),
}

/// All routes of a process.
#[derive(Clone)]
pub struct RouteTable {
    entries: Vec<RouteEntry>,
    index: RouteIndex,
    /// The places of the routes of each pattern.
    patterns: Vec<(Pattern, Vec<usize>)>,
    /// The longest prefix first.
    mounts: Vec<DialectMount>,
}

impl RouteTable {
    /// A table of `routes`, with the dialects of `mounts`; plain text where nothing is mounted.
    ///
    /// Errors: what cannot be served together, or not at all.
    pub fn new(
        routes: impl IntoIterator<Item = Route>,
        mounts: impl IntoIterator<Item = DialectMount>,
    ) -> Result<Self, RouteTableError> {
        let mut table = Self {
            entries: Vec::new(),
            index: RouteIndex::default(),
            patterns: Vec::new(),
            mounts: sorted(mounts.into_iter().collect())?,
        };
        let routes: Vec<_> = routes.into_iter().collect();
        for route in &routes {
            table.add(route, false)?;
            let has_head = |other: &Route| other.method == Method::HEAD && other.path == route.path;
            if route.method == Method::GET && route.answers_head && !routes.iter().any(has_head) {
                let head = Route {
                    method: Method::HEAD,
                    ..route.clone()
                };
                table.add(&head, true)?;
            }
        }
        table.refuse_ambiguous()?;
        for (pattern, _) in &table.patterns {
            table.index.add(pattern);
        }
        Ok(table)
    }

    fn add(&mut self, route: &Route, is_head_of_get: bool) -> Result<(), RouteTableError> {
        let name = || Box::new(RouteName::of(route));
        let pattern = Pattern::new(route.path).map_err(|source| RouteTableError::Pattern {
            route: name(),
            source,
        })?;
        if let Some(param) = unknown_param(route, &pattern) {
            let route = name();
            return Err(RouteTableError::UnknownParam { route, param });
        }
        let escaped = match route.repository {
            RepositoryParams::Whole(name) => Some(name).filter(|name| pattern.is_many(name)),
            RepositoryParams::Parts { .. } => None,
        };
        let place = self.entries.len();
        let mut patterns = self.patterns.iter_mut();
        match patterns.find(|(known, _)| known.text() == route.path) {
            Some((_, places)) => {
                let kin = places.iter().filter_map(|place| self.entries.get(*place));
                let mut kin = kin.map(|entry| &entry.route);
                if let Some(first) = kin.find(|kin| kin.method == route.method) {
                    return Err(RouteTableError::Twice {
                        first: Box::new(RouteName::of(first)),
                        second: name(),
                    });
                }
                places.push(place);
            }
            None => self.patterns.push((pattern, vec![place])),
        }
        self.entries.push(RouteEntry {
            route: route.clone(),
            meters: Arc::new(Meters::new(route.feature, route.name)),
            dialect: self.dialect_of(route.path),
            escaped,
            is_head_of_get,
        });
        Ok(())
    }

    fn refuse_ambiguous(&self) -> Result<(), RouteTableError> {
        for (count, (pattern, places)) in self.patterns.iter().enumerate() {
            let mut earlier = self.patterns.iter().take(count);
            let Some((_, others)) = earlier.find(|(other, _)| other.conflicts_with(pattern)) else {
                continue;
            };
            let first_of = |places: &[usize]| self.entries.get(*places.first()?);
            if let (Some(first), Some(second)) = (first_of(others), first_of(places)) {
                return Err(RouteTableError::Ambiguous {
                    first: Box::new(RouteName::of(&first.route)),
                    second: Box::new(RouteName::of(&second.route)),
                });
            }
        }
        Ok(())
    }

    /// All routes. What a GET answers to HEAD is a route of its own here.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.entries.iter().map(|entry| &entry.route)
    }

    /// The route that answers, and the parameters of its path as they came: what a request would
    /// meet.
    pub fn lookup<'p>(
        &self,
        method: &Method,
        path: &'p str,
    ) -> Option<(&Route, Vec<(&'static str, &'p str)>)> {
        let RouteMatch::Route(entry, spans) = self.find(method, path) else {
            return None;
        };
        let params = spans
            .iter()
            .map(|(name, span)| (name, path.get(span).unwrap_or_default()));
        Some((&entry.route, params.collect()))
    }

    /// The dialect of a path, or of a pattern.
    pub(super) fn dialect_of(&self, path: &str) -> &'static dyn ErrorDialect {
        let mut mounts = self.mounts.iter();
        mounts
            .find(|mount| mount.covers(path))
            .map_or(&PlainText, |mount| mount.dialect)
    }

    /// The methods that change nothing, of the path that `route` serves.
    pub(super) fn looking_at(&self, route: &Route) -> String {
        let kin = self.iter().filter(|kin| kin.path == route.path);
        let methods: Vec<&str> = kin
            .filter(|kin| kin.method.is_safe())
            .map(|kin| kin.method.as_str())
            .collect();
        methods.join(", ")
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> RouteMatch<'_> {
        let found = self.index.find(path);
        let found = found.and_then(|(place, spans)| Some((self.patterns.get(place)?, spans)));
        let Some(((_, places), spans)) = found else {
            return RouteMatch::Nothing(self.dialect_of(path));
        };
        let kin = || places.iter().filter_map(|place| self.entries.get(*place));
        if let Some(entry) = kin().find(|entry| entry.route.method == *method) {
            return RouteMatch::Route(entry, spans);
        }
        let methods: Vec<&str> = kin().map(|entry| entry.route.method.as_str()).collect();
        let dialect = kin().next().map(|entry| entry.dialect);
        RouteMatch::Methods(dialect.unwrap_or(&PlainText), methods.join(", "))
    }
}

/// The mounts with the longest prefix first. Errors: a prefix that is none, or is there twice.
fn sorted(mut mounts: Vec<DialectMount>) -> Result<Vec<DialectMount>, RouteTableError> {
    for (count, mount) in mounts.iter().enumerate() {
        let (prefix, second) = (mount.prefix, mount.feature);
        if !prefix.starts_with('/') || prefix.ends_with('/') {
            let feature = second;
            return Err(RouteTableError::Prefix { prefix, feature });
        }
        let mut earlier = mounts.iter().take(count);
        if let Some(earlier) = earlier.find(|earlier| earlier.prefix == prefix) {
            return Err(RouteTableError::MountedTwice {
                prefix,
                first: earlier.feature,
                second,
            });
        }
    }
    mounts.sort_by_key(|mount| std::cmp::Reverse(mount.prefix.len()));
    Ok(mounts)
}

/// A parameter that the route needs or describes, and its path does not have.
fn unknown_param(route: &Route, pattern: &Pattern) -> Option<&'static str> {
    let on_repository =
        matches!(route.access, RouteAccess::Act(act) if act.rule().target == ActTarget::Repository);
    let named = route.repository.names().filter(|_| on_repository);
    let described = route.documentation.path_params().map(|param| param.name);
    let mut needed = named.chain(described);
    needed.find(|needed| pattern.params().all(|param| param != *needed))
}

#[cfg(test)]
mod tests {
    use ::http::StatusCode;
    use seawall_types::Error;
    use seawall_types::lane::Lane;

    use super::*;
    use crate::auth::ActKind;
    use crate::http::Call;
    use crate::http::dialect::RenderedError;
    use crate::http::route::RouteBuilder;

    /// Says its own name.
    struct NamedShape(&'static str);

    impl ErrorDialect for NamedShape {
        fn render(&self, _: &Error) -> RenderedError {
            RenderedError {
                status: StatusCode::IM_A_TEAPOT,
                content_type: "text/plain",
                body: self.0.to_owned(),
            }
        }
    }

    static OUTER: NamedShape = NamedShape("outer");
    static INNER: NamedShape = NamedShape("inner");

    fn route(feature: &'static str, route: RouteBuilder) -> Route {
        let nothing = |_: Call| std::future::ready(Ok(crate::http::Response::default()));
        Route {
            feature,
            ..route.handler(nothing)
        }
    }

    fn get(name: &'static str, path: &'static str) -> RouteBuilder {
        Route::get(name, path).lane(Lane::Listing)
    }

    fn refusal(routes: Vec<Route>) -> String {
        RouteTable::new(routes, []).err().unwrap().to_string()
    }

    #[test]
    fn what_would_be_ambiguous_is_refused_with_both_routes_and_their_features() {
        let one = || route("one", get("a.show", "/a/{x}/c"));
        let refused = refusal(vec![one(), route("two", get("b.show", "/a/b/{y}"))]);
        assert_eq!(
            refused,
            "routes a.show of one (GET /a/{x}/c) and b.show of two (GET /a/b/{y}) are ambiguous: \
             neither path is more specific"
        );
        let refused = refusal(vec![one(), route("two", get("c.show", "/a/{x}/c"))]);
        assert_eq!(
            refused,
            "routes a.show of one (GET /a/{x}/c) and c.show of two (GET /a/{x}/c) are the same"
        );
        // One path has one spelling of its parameters.
        let other = Route::put("d.put", "/a/{z}/c").lane(Lane::Push);
        assert!(refusal(vec![one(), route("two", other)]).contains("are ambiguous"));
    }

    #[test]
    fn a_route_that_its_path_contradicts_is_refused() {
        let refused = refusal(vec![route("one", get("a", "/{x...}/{y...}"))]);
        assert!(
            refused.contains("a of one (GET /{x...}/{y...})"),
            "{refused}"
        );
        let builder = get("a", "/{x...}").act(ActKind::Pull);
        assert!(refusal(vec![route("one", builder)]).contains("the parameter \"name\""));
        let builder = get("a", "/{x}/{y}")
            .act(ActKind::Pull)
            .repository_in("x", "y");
        assert!(RouteTable::new([route("one", builder)], []).is_ok());
        let builder = get("a", "/{x}").path_param("y", "", "");
        assert!(refusal(vec![route("one", builder)]).contains("the parameter \"y\""));
    }

    #[test]
    fn the_order_of_registration_means_nothing() {
        let routes = [
            route("one", get("all", "/r/{name...}")),
            route("one", get("tag", "/r/{name...}/tag/{tag}")),
            route("two", get("list", "/r/list")),
        ];
        for shift in 0..routes.len() {
            let mut routes = routes.to_vec();
            routes.rotate_left(shift);
            let table = RouteTable::new(routes, []).unwrap();
            for (path, name) in [
                ("/r/a/b", "all"),
                ("/r/list", "list"),
                ("/r/list/tag/x", "tag"),
                ("/r/a/tag/b/c", "all"),
            ] {
                let (found, _) = table.lookup(&Method::GET, path).unwrap();
                assert_eq!(found.name, name, "{path}");
            }
        }
    }

    #[test]
    fn a_get_answers_head_unless_it_is_told_not_to_or_another_does() {
        let table = RouteTable::new(
            [
                route("one", get("get", "/a")),
                route("one", get("get", "/b")),
                route("one", Route::head("head", "/b").lane(Lane::Pull)),
                route("one", get("get", "/c").without_head()),
            ],
            [],
        )
        .unwrap();
        let head = |path| {
            table
                .lookup(&Method::HEAD, path)
                .map(|(route, _)| route.name)
        };
        assert_eq!(head("/a"), Some("get"));
        assert_eq!(head("/b"), Some("head"));
        assert_eq!(head("/c"), None);
    }

    #[test]
    fn the_longest_prefix_that_is_mounted_says_the_errors() {
        let mount = |prefix, dialect| DialectMount {
            prefix,
            feature: "one",
            dialect,
        };
        let mounts = [mount("/x", &OUTER as _), mount("/x/y", &INNER as _)];
        let table = RouteTable::new([], mounts).unwrap();
        let error = Error::new(seawall_types::Reason::NotFound, "plain");
        let said = |path| table.dialect_of(path).render(&error).body;
        for (path, expected) in [
            ("/x", "outer"),
            ("/x/", "outer"),
            ("/x/yes", "outer"),
            ("/x/y", "inner"),
            ("/x/y/z", "inner"),
            ("/xy", "plain\n"),
            ("/", "plain\n"),
        ] {
            assert_eq!(said(path), expected, "{path}");
        }
        let twice = [mount("/x", &OUTER as _), mount("/x", &INNER as _)];
        assert!(matches!(
            RouteTable::new([], twice),
            Err(RouteTableError::MountedTwice { prefix: "/x", .. })
        ));
        for prefix in ["", "x", "/", "/x/"] {
            let refused = RouteTable::new([], [mount(prefix, &OUTER as _)]);
            assert!(
                matches!(refused, Err(RouteTableError::Prefix { .. })),
                "{prefix}"
            );
        }
    }
}
