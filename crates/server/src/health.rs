//! Whether the process lives and whether it is ready, for those who restart it and those who send
//! it requests.
//!
//! Ready means: can serve pulls. A database that refuses writes, or a disk that is full, shows in
//! the body and takes no replica out of rotation that can still serve. The checks run in a loop of
//! their own; a probe only reads what they found last, so that no number of probes costs the
//! database anything, and a check that hangs is found to hang.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderValue, StatusCode, header};
use metrics::gauge;
use parking_lot::Mutex;
use seawall_kernel::http::{Answer, Response};
use seawall_kernel::{HealthCheck, HealthFinding, Switch};
use serde_json::{Map, json};
use tokio::time::timeout;

use seawall_net::lifecycle::{Lifecycle, Phase};

/// How often the checks run.
const INTERVAL: Duration = Duration::from_secs(2);

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(2);

type CheckFn = Box<dyn Fn() -> BoxFuture<'static, HealthFinding> + Send + Sync>;

/// A named check.
struct NamedCheck {
    name: &'static str,
    run: CheckFn,
    found: Mutex<HealthFinding>,
}

/// The health of the process.
pub struct Health {
    lifecycle: Lifecycle,
    checks: Vec<NamedCheck>,
    started: tokio::sync::watch::Sender<bool>,
}

impl Health {
    /// A process that is not yet ready, without checks.
    pub fn new(lifecycle: &Lifecycle) -> Self {
        Self {
            lifecycle: lifecycle.clone(),
            checks: Vec::new(),
            started: tokio::sync::watch::Sender::new(false),
        }
    }

    /// Adds a check. Its name is a key of the body, such as `database`.
    pub fn with<F>(mut self, name: &'static str, run: F) -> Self
    where
        F: Fn() -> BoxFuture<'static, HealthFinding> + Send + Sync + 'static,
    {
        self.checks.push(NamedCheck {
            name,
            run: Box::new(run),
            found: Mutex::new(HealthFinding::Ok),
        });
        self
    }

    /// Adds the checks of features. One that is not on has nothing to say.
    pub fn with_features<'f>(
        self,
        checks: impl Iterator<Item = (&'f Switch, &'f HealthCheck)>,
    ) -> Self {
        checks.fold(self, |health, (switch, check)| {
            let (switch, check) = (switch.clone(), check.clone());
            health.with(check.name, move || {
                if switch.is_on() {
                    check.run()
                } else {
                    std::future::ready(HealthFinding::Ok).boxed()
                }
            })
        })
    }

    /// Says that all is set up and requests may come.
    pub fn started(&self) {
        self.started.send_replace(true);
    }

    /// Runs all checks once, side by side.
    pub async fn check(&self) {
        let runs = self.checks.iter().map(|check| async {
            let found = timeout(PATIENCE, (check.run)())
                .await
                .unwrap_or_else(|_| HealthFinding::Degraded("no answer in time".to_owned()));
            let value = f64::from(u8::from(found == HealthFinding::Ok));
            gauge!("seawall_health", "check" => check.name).set(value);
            let mut last = check.found.lock();
            if *last != found {
                tracing::info!(check = check.name, now = ?found, before = ?*last, "health changed");
                *last = found;
            }
        });
        futures::future::join_all(runs).await;
    }

    /// Runs the checks again and again, until the process ends.
    pub async fn watch(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = async { self.check().await; tokio::time::sleep(INTERVAL).await } => {}
                () = self.lifecycle.reached(Phase::Closed) => return,
            }
        }
    }

    /// Whether requests should be sent here.
    pub fn is_ready(&self) -> bool {
        self.status() == "ready"
    }

    fn status(&self) -> &'static str {
        if self.lifecycle.phase() != Phase::Running {
            return "stopping";
        }
        if !*self.started.borrow() {
            return "starting";
        }
        let failed = self
            .checks
            .iter()
            .any(|check| matches!(*check.found.lock(), HealthFinding::Failed(_)));
        if failed { "failed" } else { "ready" }
    }

    /// The answer of `/health/live`: the process runs and answers, nothing more.
    pub fn live() -> Response {
        answer(StatusCode::OK, &json!({"status": "live"}))
    }

    /// The answer of `/health/ready`; what each check found only if the caller may be `told`.
    pub fn ready(&self, told: bool) -> Response {
        let status = self.status();
        let code = if status == "ready" {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        if !told {
            return answer(code, &json!({"status": status}));
        }
        let checks: Map<_, _> = self
            .checks
            .iter()
            .map(|check| {
                let found = check.found.lock();
                let value = match &*found {
                    HealthFinding::Ok => json!({"status": "ok"}),
                    HealthFinding::Degraded(why) => json!({"status": "degraded", "reason": why}),
                    HealthFinding::Failed(why) => json!({"status": "failed", "reason": why}),
                };
                (check.name.to_owned(), value)
            })
            .collect();
        answer(code, &json!({"status": status, "checks": checks}))
    }
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    Answer::new(status)
        .value(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )
        .value(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .fixed(format!("{body}\n"))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn body(response: Response) -> (u16, serde_json::Value) {
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn degraded_is_ready_and_failed_is_not() {
        let found = Arc::new(Mutex::new(HealthFinding::Ok));
        let given = Arc::clone(&found);
        let lifecycle = Lifecycle::new();
        let health = Health::new(&lifecycle).with("database", move || {
            let found = given.lock().clone();
            async move { found }.boxed()
        });
        assert_eq!(body(health.ready(true)).await.0, 503);
        health.started();
        let (status, json) = body(health.ready(true)).await;
        assert_eq!(status, 200);
        assert_eq!(json["checks"]["database"]["status"], "ok");

        *found.lock() = HealthFinding::Degraded("read-only".to_owned());
        health.check().await;
        let (status, json) = body(health.ready(true)).await;
        assert_eq!(
            (status, json["checks"]["database"]["reason"].as_str()),
            (200, Some("read-only"))
        );

        *found.lock() = HealthFinding::Failed("gone".to_owned());
        health.check().await;
        assert_eq!(body(health.ready(true)).await.0, 503);

        *found.lock() = HealthFinding::Ok;
        health.check().await;
        assert!(health.is_ready());
        lifecycle.stop();
        let (status, json) = body(health.ready(true)).await;
        assert_eq!((status, json["status"].as_str()), (503, Some("stopping")));
        assert_eq!(body(Health::live()).await.0, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_is_found_to_hang() {
        let health =
            Health::new(&Lifecycle::new()).with("storage", || futures::future::pending().boxed());
        health.started();
        health.check().await;
        let (status, json) = body(health.ready(true)).await;
        assert_eq!(
            (status, json["checks"]["storage"]["status"].as_str()),
            (200, Some("degraded"))
        );
    }
}
