//! The operator's routes: `/health/live`, `/health/ready`, `/metrics`. The main dispatcher serves
//! them, or, where one is configured, the management listener only. They need no
//! database and no seat: they answer when nothing else does.
//!
//! On a public listener a stranger sees the status and nothing more: counters show who logs in and
//! which names are known, and reasons show what is broken. The rest is for this machine and for who
//! has the token.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::{constant_time, digest};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use seawall_kernel::Origin;
use seawall_kernel::http::{Answer, Response};
use seawall_types::Secret;
use seawall_types::basic::Credentials;
use seawall_types::host::Host;

use crate::health::Health;
use crate::telemetry::Telemetry;
use seawall_net::{Peer, RequestService};

/// Health and metrics.
#[derive(Clone)]
pub struct ManagementRoutes {
    health: Arc<Health>,
    telemetry: Telemetry,
    token: Option<Secret>,
}

impl ManagementRoutes {
    /// Answers from these; a caller with `token` sees everything.
    pub fn new(health: Arc<Health>, telemetry: Telemetry, token: Option<Secret>) -> Self {
        Self {
            health,
            telemetry,
            token,
        }
    }

    /// The answer to an operator, if the path is one of these.
    pub fn answer(&self, method: &Method, path: &str) -> Option<Response> {
        let readable = matches!(*method, Method::GET | Method::HEAD);
        let response = match path {
            "/health/live" | "/health/ready" | "/metrics" if !readable => refused(),
            "/health/live" => Health::live(),
            "/health/ready" => self.health.ready(true),
            "/metrics" => self.telemetry.answer(),
            _ => return None,
        };
        Some(response)
    }

    /// The answer on a public listener.
    pub fn answer_anybody(
        &self,
        (method, path): (&Method, &str),
        origin: &Origin,
        headers: &HeaderMap,
    ) -> Option<Response> {
        if is_local(origin, headers) || self.is_token(headers) {
            return self.answer(method, path);
        }
        match path {
            "/health/ready" => Some(self.health.ready(false)),
            "/metrics" => Some(self.forbidden()),
            _ => self.answer(method, path),
        }
    }

    /// Whether the token came along. What is compared are hashes, so that the time tells nothing of
    /// the token.
    fn is_token(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(header::AUTHORIZATION);
        let given = value.and_then(|value| value.to_str().ok());
        let given = given.map(Credentials::parse);
        let (Some(token), Some(Ok(Credentials::Bearer(given)))) = (&self.token, given) else {
            return false;
        };
        let hash = |secret: &Secret| digest::digest(&digest::SHA256, secret.expose().as_bytes());
        let (token, given) = (hash(token), hash(&given));
        constant_time::verify_slices_are_equal(token.as_ref(), given.as_ref()).is_ok()
    }

    /// Another token may help where there is one, and nothing where there is none.
    fn forbidden(&self) -> Response {
        let text = "metrics are for this machine (http://localhost or http://127.0.0.1, without a proxy), for the listener of \
                    management.address, and for who sends the token of management.token_file as Bearer\n";
        if self.token.is_some() {
            let challenge = HeaderValue::from_static("Bearer realm=\"metrics\"");
            Answer::new(StatusCode::UNAUTHORIZED)
                .value(header::WWW_AUTHENTICATE, challenge)
                .fixed(text)
        } else {
            Answer::new(StatusCode::FORBIDDEN).fixed(text)
        }
    }
}

/// Whether a request comes from this machine itself, and not through a proxy on it: no proxy has
/// left a header, and what was asked for is no name that the outside knows.
fn is_local(origin: &Origin, headers: &HeaderMap) -> bool {
    let loopback = |address: IpAddr| address.to_canonical().is_loopback();
    let host = origin.host.as_deref().map(Host::parse);
    let local_host = match host {
        None => true,
        Some(Ok(host)) => {
            host.host().eq_ignore_ascii_case("localhost") || host.ip().is_some_and(loopback)
        }
        Some(Err(_)) => false,
    };
    local_host && origin.address.is_some_and(loopback) && !headers.keys().any(is_of_a_proxy)
}

fn is_of_a_proxy(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-forwarded") || matches!(name, "forwarded" | "via" | "x-real-ip")
}

fn refused() -> Response {
    Answer::new(StatusCode::METHOD_NOT_ALLOWED)
        .value(header::ALLOW, HeaderValue::from_static("GET, HEAD"))
        .fixed("only GET and HEAD\n")
}

/// The whole service of the management listener.
impl RequestService for ManagementRoutes {
    fn serve(&self, request: Request<Incoming>, _: Peer) -> BoxFuture<'static, Response> {
        let answer = self.answer(request.method(), request.uri().path());
        let response = answer.unwrap_or_else(|| {
            let text = "this listener has /health/live, /health/ready and /metrics\n";
            Answer::new(StatusCode::NOT_FOUND).fixed(text)
        });
        std::future::ready(response).boxed()
    }
}
