//! What a feature says of its health: checks that the process runs again and again, beside
//! requests.
//!
//! A check must not hang for long and must put no secret into its words; only what pulls need may
//! fail.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthFinding {
    /// All is well.
    Ok,
    /// Something is wrong, in a few words without secrets, but pulls can be served.
    Degraded(String),
    /// Pulls cannot be served, for this reason.
    Failed(String),
}

/// A named check.
#[derive(Clone)]
pub struct HealthCheck {
    /// Its name, a key of the answer of `/health/ready`.
    pub name: &'static str,
    run: Arc<dyn Fn() -> BoxFuture<'static, HealthFinding> + Send + Sync>,
}

impl HealthCheck {
    /// A check called `name`.
    pub fn new<F, R>(name: &'static str, run: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = HealthFinding> + Send + 'static,
    {
        Self {
            name,
            run: Arc::new(move || run().boxed()),
        }
    }

    /// Runs it.
    pub fn run(&self) -> BoxFuture<'static, HealthFinding> {
        (self.run)()
    }
}
