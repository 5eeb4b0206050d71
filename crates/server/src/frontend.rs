//! The HTTP frontend: makes an operation's origin from what the socket tells, and calls the
//! dispatcher.
//!
//! Also the process's own routes: health, metrics, and the page at `/`.
//! They stand in the route table like any other, with their lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, Version, header};
use hyper::body::Incoming;
use seawall_kernel::http::{Dispatcher, Route, RouteAccess};
use seawall_kernel::{Error, Op, Origin, Reason};
use seawall_types::host::Host;
use seawall_types::lane::Lane;
use seawall_types::time::Random;

use crate::config::address::PublicUrl;
use crate::landing::{self, PublicEndpoint};
use crate::ops::ManagementRoutes;
use crate::proxy::{TrustedProxies, request_id};
use seawall_net::{Peer, RequestService};

/// The longest agent that goes into logs and events.
const AGENT_CHARS: usize = 256;

/// Ids of requests: a random number of this process and a running one. They are unique and no
/// secret, so the operating system need not be asked for each.
struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    fn new(random: &dyn Random) -> Self {
        let mut process = [0; 8];
        random.fill(&mut process);
        Self {
            process: format!("{:016x}", u64::from_be_bytes(process)),
            next: AtomicU64::new(1),
        }
    }

    fn next(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(2 * self.process.len());
        id.push_str(&self.process);
        // By hand, since each request has one, and formatting takes several times as long.
        for digit in (0..16).rev() {
            let digit = (next >> (4 * digit)) & 0xf;
            id.push(char::from(DIGITS[digit as usize]));
        }
        id
    }
}

/// What the listeners serve.
pub struct Frontend {
    dispatcher: Arc<Dispatcher>,
    trusted: TrustedProxies,
    ids: RequestIds,
}

impl Frontend {
    /// The dispatcher behind `trusted` proxies.
    pub fn new(dispatcher: Arc<Dispatcher>, trusted: TrustedProxies, random: &dyn Random) -> Self {
        Self {
            dispatcher,
            trusted,
            ids: RequestIds::new(random),
        }
    }

    fn origin<B>(&self, request: &Request<B>, peer: &Peer) -> Origin {
        let headers = request.headers();
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        let client = self
            .trusted
            .client(peer.address, peer.tls, authority, headers);
        let id = request_id(headers, client.proxied).map_or_else(|| self.ids.next(), str::to_owned);
        Origin {
            address: Some(client.address),
            secure: client.tls,
            host: client.host.map(|host| host.as_str().to_owned()),
            request_id: id,
            agent: agent(headers),
        }
    }
}

fn agent(headers: &HeaderMap) -> String {
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let agent = agent.unwrap_or_default();
    // Header values are visible ASCII here, but a boundary costs nothing to ask for.
    agent
        .get(..agent.floor_char_boundary(AGENT_CHARS))
        .unwrap_or_default()
        .to_owned()
}

impl RequestService for Frontend {
    fn serve(&self, request: Request<Incoming>, peer: Peer) -> BoxFuture<'static, Response<Body>> {
        let origin = self.origin(&request, &peer);
        if !names_one_host(&request) {
            let words = "the Host header is missing, repeated or not valid";
            let error = Error::new(Reason::BadRequest, words);
            let response = self
                .dispatcher
                .refuse(request.map(Body::new), origin, &error);
            return std::future::ready(response).boxed();
        }
        let dispatcher = Arc::clone(&self.dispatcher);
        async move { dispatcher.dispatch(request.map(Body::new), origin).await }.boxed()
    }
}

/// Whether a request says once and validly for whom it is. HTTP/1.1 asks for no less (RFC 9112
/// §3.2); HTTP/1.0, which simple probes speak, need not say it.
fn names_one_host<B>(request: &Request<B>) -> bool {
    let valid = |host: &str| Host::parse(host).is_ok();
    let mut headers = request.headers().get_all(header::HOST).iter();
    match (headers.next(), headers.next()) {
        (_, Some(_)) => false,
        (Some(host), None) => host.to_str().is_ok_and(valid),
        (None, None) => {
            let authority = request.uri().authority();
            request.version() < Version::HTTP_11
                || authority.is_some_and(|authority| valid(authority.as_str()))
        }
    }
}

/// The process's own routes. Health and metrics are served here unless they have a listener of
/// their own (`ops` is `None` then).
pub fn routes(ops: Option<&ManagementRoutes>) -> Vec<Route> {
    let mut routes = vec![landing_route()];
    if let Some(ops) = ops {
        let paths = [
            ("live", "/health/live"),
            ("ready", "/health/ready"),
            ("metrics", "/metrics"),
        ];
        routes.extend(paths.map(|(name, path)| ops_route(ops, name, path)));
    }
    routes
}

fn ops_route(ops: &ManagementRoutes, name: &'static str, path: &'static str) -> Route {
    let ops = ops.clone();
    Route::get(name, path)
        .lane(Lane::Control)
        .access(RouteAccess::Open)
        .handler(move |call| {
            let asked = (call.method(), call.uri().path());
            let answer = ops.answer_anybody(asked, call.op.origin(), call.headers());
            let nothing = || Error::new(Reason::NotFound, "nothing is served at this path");
            std::future::ready(answer.ok_or_else(nothing))
        })
}

fn landing_route() -> Route {
    Route::get("landing", "/")
        .lane(Lane::Interactive)
        .access(RouteAccess::Open)
        .summary("Says how to log in, to people with a browser.")
        .handler(|call| {
            let page = door(&call.op)
                .map(|door| landing::page(call.headers(), &door))
                .ok_or_else(|| Error::new(Reason::BadRequest, "the Host header is not valid"));
            std::future::ready(page)
        })
}

/// What clients write: the configured address, else the host by which this one came.
fn door(op: &Op) -> Option<PublicEndpoint> {
    let public = op.kernel().settings().public_url.as_deref();
    if let Some(url) = public.and_then(|url| url.parse::<PublicUrl>().ok()) {
        return Some(PublicEndpoint {
            host: url.host(),
            tls: url.tls(),
        });
    }
    let origin = op.origin();
    let host = origin.host.as_deref().unwrap_or("localhost");
    let host = Host::parse(host).ok()?;
    Some(PublicEndpoint::new(&host, origin.secure))
}
