//! What operators ask: `/health/live`, `/health/ready`, `/metrics`. The main dispatcher serves them, or, where one is configured, the
//! management listener and nobody else. They need no database and no seat: they answer when nothing else does.

use std::sync::Arc;

use axum::body::Body;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use crate::health::Health;
use crate::net::{Peer, Serve};
use crate::telemetry::Telemetry;

/// Health and metrics.
#[derive(Clone)]
pub struct Ops {
    health: Arc<Health>,
    telemetry: Telemetry,
}

impl Ops {
    /// Answers from these.
    pub fn new(health: Arc<Health>, telemetry: Telemetry) -> Self {
        Self { health, telemetry }
    }

    /// The answer, if the path is one of these.
    pub fn answer(&self, method: &Method, path: &str) -> Option<Response<Body>> {
        let readable = matches!(*method, Method::GET | Method::HEAD);
        let response = match path {
            "/health/live" | "/health/ready" | "/metrics" if !readable => refused(),
            "/health/live" => Health::live(),
            "/health/ready" => self.health.ready(),
            "/metrics" => self.telemetry.answer(),
            _ => return None,
        };
        Some(response)
    }
}

fn refused() -> Response<Body> {
    let mut response = Response::new(Body::from("only GET and HEAD\n"));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// The whole service of the management listener.
impl Serve for Ops {
    fn serve(&self, request: Request<Incoming>, _: Peer) -> BoxFuture<'static, Response<Body>> {
        let answer = self.answer(request.method(), request.uri().path());
        let response = answer.unwrap_or_else(|| {
            let text = "this listener has /health/live, /health/ready and /metrics\n";
            let mut response = Response::new(Body::from(text));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        });
        std::future::ready(response).boxed()
    }
}
