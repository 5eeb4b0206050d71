//! A request's life: however it ends, it leaves one entry in the log and one count in the metrics,
//! and its seat is taken for as long as any of its work goes on.

use std::sync::Arc;
use std::time::Duration;

use ::http::request::Parts;
use ::http::{Method, Request, StatusCode};
use axum::body::Body;
use futures::FutureExt;
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;
use seawall_meta::fixture::OpenTransaction;
use seawall_meta::{Tx, args};
use seawall_types::lane::Lane;
use seawall_types::work::Spawner;
use seawall_types::{Error, Millis, Reason, Result};
use tokio::sync::Notify;

use super::{Process, eventually, store};
use crate::auth::{Identity, IdentitySource, Verifier};
use crate::http::{
    AccessLog, AccessLogEntry, Call, Deadline, Dispatcher, Response, Route, RouteAccess,
    RouteBuilder, RouteTable,
};
use crate::{Actor, Op, Origin};

/// What the log says of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RouteEntry {
    route: &'static str,
    status: u16,
    whole: bool,
    reads: u64,
}

#[derive(Clone, Default)]
struct Entries(Arc<Mutex<Vec<RouteEntry>>>);

impl AccessLog for Entries {
    fn note(&self, line: &AccessLogEntry<'_>) {
        self.0.lock().push(RouteEntry {
            route: line.route,
            status: line.status,
            whole: line.whole,
            reads: line.reads,
        });
    }
}

/// Knows everybody, but panics at whoever brings credentials.
struct Stumbling;

impl Verifier for Stumbling {
    fn verify<'a>(&'a self, _: &'a Op, head: &'a Parts) -> BoxFuture<'a, Result<Actor>> {
        assert!(!head.headers.contains_key("authorization"), "stumbled");
        async { Ok(Actor::anonymous()) }.boxed()
    }
}

impl IdentitySource for Stumbling {
    fn renew<'a>(
        &'a self,
        _: &'a mut Tx,
        identity: &'a Identity,
        _: Millis,
    ) -> BoxFuture<'a, Result<Identity>> {
        async { Ok(identity.clone()) }.boxed()
    }
}

/// A process that serves routes which wait until they are let go on.
struct RequestOutcome {
    process: Process,
    dispatcher: Arc<Dispatcher>,
    entries: Entries,
    gate: Arc<Notify>,
    metrics: PrometheusHandle,
    // The recorder outlives its guard.
    _guard: LocalRecorderGuard<'static>,
}

/// The deadline of routes that have a short one.
const SHORT: Duration = Duration::from_millis(200);

/// Waits for the gate, then charges a read and answers.
async fn wait(gate: Arc<Notify>, call: Call) -> Result<Response> {
    gate.notified().await;
    call.op.cost().charge_reads(1);
    Ok(Response::new(Body::from("done")))
}

/// Leaves a part of its work to a task, as SQL is, and waits for ever.
async fn leave(gate: Arc<Notify>, call: Call) -> Result<Response> {
    let op = call.op.clone();
    let rest = async move {
        gate.notified().await;
        op.cost().charge_reads(3);
    };
    call.op.kernel().tracker().spawn("rest", rest.boxed());
    futures::future::pending().await
}

async fn fall(gate: Arc<Notify>, _: Call) -> Result<Response> {
    gate.notified().await;
    panic!("fell");
}

/// Changes a row, which another may hold.
async fn change(_: Arc<Notify>, call: Call) -> Result<Response> {
    let stored = call.op.transaction((), |tx, _, ()| {
        Box::pin(async move { Ok(tx.execute(&store::INSTALLATION_TOUCH, args![]).await?) })
    });
    stored.await?;
    Ok(Response::new(Body::from("stored")))
}

/// Waits for the body, then says how much of its time is left to it.
async fn read(_: Arc<Notify>, call: Call) -> Result<Response> {
    let body = call.bytes(100).await?;
    call.op.sql().all(&store::JOBS, args![]).await?;
    Ok(Response::new(Body::from(body)))
}

fn fail() -> Result<Response> {
    Err(Error::new(Reason::Conflict, "no"))
}

impl RequestOutcome {
    async fn new() -> Self {
        let recorder: &'static PrometheusRecorder =
            Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        let guard = metrics::set_default_local_recorder(recorder);
        let process = Process::new().await;
        let gate = Arc::new(Notify::new());
        let entries = Entries::default();
        let table = RouteTable::new(routes(&gate), []).unwrap();
        let dispatcher = Dispatcher::new(
            Arc::clone(&process.kernel),
            table,
            Arc::new(Stumbling),
            Some(Arc::new(entries.clone())),
        );
        Self {
            process,
            dispatcher,
            entries,
            gate,
            metrics: recorder.handle(),
            _guard: guard,
        }
    }

    fn dispatch(&self, method: Method, path: &str) -> BoxFuture<'static, Response> {
        let request = Request::builder().method(method).uri(path);
        self.send(request.body(Body::empty()).unwrap())
    }

    fn send(&self, request: Request<Body>) -> BoxFuture<'static, Response> {
        let dispatcher = Arc::clone(&self.dispatcher);
        async move { dispatcher.dispatch(request, Origin::internal("test")).await }.boxed()
    }

    /// Sends a request, and hangs up once it waits.
    async fn hang_up(&self, method: Method, path: &str) {
        let mut request = self.dispatch(method, path);
        for _ in 0..10 {
            assert!(futures::poll!(&mut request).is_pending());
            tokio::task::yield_now().await;
        }
    }

    /// How many seats are taken in the lane of the routes.
    fn seats(&self) -> u64 {
        self.metric("seawall_requests_running{lane=\"interactive\"}")
    }

    fn counted(&self, route: &str, class: &str) -> u64 {
        let text = self.metrics.render();
        let line = text.lines().find(|line| {
            line.starts_with("seawall_requests_total{")
                && line.contains(&format!("route=\"{route}\""))
                && line.contains(&format!("status=\"{class}\""))
        });
        line.map_or(0, value)
    }

    fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.render();
        text.lines()
            .find(|line| line.starts_with(name))
            .map_or(0, value)
    }

    fn entries(&self) -> Vec<RouteEntry> {
        self.entries.0.lock().clone()
    }

    /// Waits for the one entry of the log.
    async fn entry(&self) -> RouteEntry {
        eventually("an entry in the log", async || !self.entries().is_empty()).await;
        let [entry] = self.entries().try_into().unwrap();
        entry
    }

    async fn idle(&self) {
        eventually("no seat is taken", async || self.seats() == 0).await;
    }
}

fn value(line: &str) -> u64 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

type RouteHandler = fn(Arc<Notify>, Call) -> BoxFuture<'static, Result<Response>>;

fn routes(gate: &Arc<Notify>) -> Vec<Route> {
    let short = |route: RouteBuilder| route.deadline(Deadline::Total(SHORT));
    let stream = |route: RouteBuilder| route.deadline(Deadline::Streaming(None));
    let plain = |route: RouteBuilder| route;
    let both = |name, path, bounded: fn(RouteBuilder) -> RouteBuilder, handler: RouteHandler| {
        [Route::get(name, path), Route::put(name, path)].map(|route| {
            let route = route.lane(Lane::Interactive).access(RouteAccess::Anyone);
            bounded(route).to(gate, handler)
        })
    };
    [
        both("late", "/late", short, |gate, call| {
            wait(gate, call).boxed()
        }),
        both("store", "/store", short, |gate, call| {
            change(gate, call).boxed()
        }),
        both("read", "/read", short, |gate, call| {
            read(gate, call).boxed()
        }),
        both("stream", "/stream", stream, |gate, call| {
            wait(gate, call).boxed()
        }),
        both("wait", "/wait", plain, |gate, call| {
            wait(gate, call).boxed()
        }),
        both("leave", "/leave", plain, |gate, call| {
            leave(gate, call).boxed()
        }),
        both("fall", "/fall", plain, |gate, call| {
            fall(gate, call).boxed()
        }),
        both("fail", "/fail", plain, |_, _| {
            std::future::ready(fail()).boxed()
        }),
    ]
    .concat()
}

#[tokio::test]
async fn a_client_that_hangs_up_during_a_put_is_logged_when_its_work_has_ended() {
    let served = RequestOutcome::new().await;
    served.hang_up(Method::PUT, "/wait").await;
    assert_eq!((served.seats(), served.entries().len()), (1, 0));
    served.gate.notify_one();
    let entry = served.entry().await;
    let expected = RouteEntry {
        route: "wait",
        status: 499,
        whole: false,
        reads: 1,
    };
    assert_eq!(entry, expected);
    served.idle().await;
    assert_eq!(served.counted("wait", "4xx"), 1);
    served.process.stop().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_during_a_get_is_logged_and_counted() {
    let served = RequestOutcome::new().await;
    served.hang_up(Method::GET, "/wait").await;
    let entry = served.entry().await;
    assert_eq!((entry.status, entry.reads), (499, 0));
    served.idle().await;
    assert_eq!(served.counted("wait", "4xx"), 1);
    served.process.stop().await;
}

#[tokio::test]
async fn what_goes_on_after_a_client_has_hung_up_keeps_its_seat() {
    for method in [Method::GET, Method::PUT] {
        let served = RequestOutcome::new().await;
        served.hang_up(method.clone(), "/leave").await;
        assert_eq!((served.seats(), served.entries().len()), (1, 0));
        served.gate.notify_one();
        if method == Method::GET {
            let entry = served.entry().await;
            assert_eq!((entry.status, entry.reads), (499, 3));
            served.idle().await;
        } else {
            // The handler of a change goes on as well, and this one never ends.
            tokio::task::yield_now().await;
            assert_eq!((served.seats(), served.entries().len()), (1, 0));
        }
    }
}

#[tokio::test]
async fn a_panic_leaves_one_entry() {
    for method in [Method::GET, Method::PUT] {
        let served = RequestOutcome::new().await;
        served.gate.notify_one();
        let answer = served.dispatch(method.clone(), "/fall").await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        drop(answer);
        assert_eq!(served.entry().await.status, 500);
        served.idle().await;
        assert_eq!(served.counted("fall", "5xx"), 1);
        served.process.stop().await;
    }
    let served = RequestOutcome::new().await;
    let request = Request::get("/wait").header("authorization", "x");
    let answer = served.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    drop(answer);
    assert_eq!(served.entry().await.status, 500);
    served.idle().await;
    served.process.stop().await;
}

#[tokio::test]
async fn a_panic_after_the_client_has_hung_up_leaves_one_entry() {
    let served = RequestOutcome::new().await;
    served.hang_up(Method::PUT, "/fall").await;
    served.gate.notify_one();
    assert_eq!(served.entry().await.status, 499);
    served.idle().await;
    served.process.stop().await;
}

#[tokio::test]
async fn an_answer_is_logged_once_when_its_body_is_out_or_dropped() {
    let served = RequestOutcome::new().await;
    served.gate.notify_one();
    let answer = served.dispatch(Method::PUT, "/wait").await;
    assert_eq!((served.seats(), served.entries().len()), (1, 0));
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "done");
    let entry = served.entry().await;
    assert_eq!((entry.status, entry.whole, entry.reads), (200, true, 1));
    served.idle().await;
    served.entries.0.lock().clear();

    served.gate.notify_one();
    drop(served.dispatch(Method::GET, "/wait").await);
    let entry = served.entry().await;
    assert_eq!((entry.status, entry.whole), (200, false));
    served.idle().await;
    served.entries.0.lock().clear();

    drop(served.dispatch(Method::GET, "/fail").await);
    assert_eq!(served.entry().await.status, 409);
    served.entries.0.lock().clear();
    drop(served.dispatch(Method::GET, "/nothing").await);
    assert_eq!(served.entry().await.route, "unknown-route");
    tokio::time::timeout(Duration::from_secs(5), served.process.stop())
        .await
        .unwrap();
}

/// Fails unless the answer says that the deadline has passed, and when to come back.
async fn cut_off(answer: Response) {
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "5");
    assert_eq!(
        answer.headers()["content-type"],
        "text/plain; charset=utf-8"
    );
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "the request took too long; try again later\n");
}

async fn within<T>(answer: impl Future<Output = T>) -> T {
    let most = SHORT + Duration::from_secs(2);
    tokio::time::timeout(most, answer).await.unwrap()
}

#[tokio::test]
async fn a_get_that_takes_too_long_is_answered_by_its_deadline_and_ends() {
    let served = RequestOutcome::new().await;
    cut_off(within(served.dispatch(Method::GET, "/late")).await).await;
    assert_eq!(served.entry().await.status, 503);
    served.idle().await;
    assert_eq!(served.counted("late", "5xx"), 1);
    assert_eq!(
        served.metric("seawall_requests_cut_off_total{feature=\"\",route=\"late\""),
        1
    );
    served.process.stop().await;
}

#[tokio::test]
async fn a_change_that_takes_too_long_goes_on_behind_its_answer_and_keeps_its_seat() {
    let served = RequestOutcome::new().await;
    cut_off(within(served.dispatch(Method::PUT, "/late")).await).await;
    assert_eq!((served.seats(), served.entries().len()), (1, 0));
    served.gate.notify_one();
    let entry = served.entry().await;
    assert_eq!((entry.status, entry.whole, entry.reads), (503, true, 1));
    served.idle().await;
    served.process.stop().await;
}

#[tokio::test]
async fn a_change_of_a_row_that_another_holds_is_answered_by_its_deadline() {
    let served = RequestOutcome::new().await;
    let url = &served.process.database.url;
    let standing = OpenTransaction::open(url, &[store::HOLD_INSTALLATION])
        .await
        .unwrap();
    cut_off(within(served.dispatch(Method::PUT, "/store")).await).await;
    assert_eq!((served.seats(), served.entries().len()), (1, 0));
    standing.end().await.unwrap();
    assert_eq!(served.entry().await.status, 503);
    served.idle().await;
    served.process.stop().await;
}

#[tokio::test]
async fn the_time_in_which_a_body_is_waited_for_is_not_ours() {
    for method in [Method::GET, Method::PUT] {
        let served = RequestOutcome::new().await;
        let piece = async {
            tokio::time::sleep(3 * SHORT).await;
            Ok::<_, std::io::Error>("a piece")
        };
        let body = Body::from_stream(futures::stream::once(piece));
        let request = Request::builder().method(method).uri("/read");
        let answer = served.send(request.body(body).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        drop(answer);
        served.process.stop().await;
    }
}

#[tokio::test]
async fn a_route_that_streams_has_no_total() {
    let served = RequestOutcome::new().await;
    let mut answer = served.dispatch(Method::PUT, "/stream");
    let waited = tokio::time::timeout(3 * SHORT, &mut answer).await;
    assert!(waited.is_err());
    served.gate.notify_one();
    assert_eq!(answer.await.status(), StatusCode::OK);
    served.process.stop().await;
}
