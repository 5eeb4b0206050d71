//! What the request log says, kept for tests to look at.

use std::sync::Arc;

use parking_lot::Mutex;
use seawall_kernel::http::{AccessLog, AccessLogEntry};

/// One request, as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRequest {
    /// The feature that brings the route.
    pub feature: &'static str,
    /// The route's name.
    pub route: &'static str,
    /// The path, without its query.
    pub path: String,
    /// The lane it ran in.
    pub lane: &'static str,
    /// Who asked.
    pub actor: String,
    /// The status.
    pub status: u16,
    /// SQL statements that only read.
    pub reads: u64,
    /// SQL statements that write.
    pub writes: u64,
}

/// The log of all requests of a test.
#[derive(Clone, Default)]
pub struct RequestCapture(Arc<Mutex<Vec<LoggedRequest>>>);

impl RequestCapture {
    /// What was answered since the last call, in the order in which the answers' bodies were out.
    pub fn take(&self) -> Vec<LoggedRequest> {
        std::mem::take(&mut self.0.lock())
    }
}

impl AccessLog for RequestCapture {
    fn note(&self, line: &AccessLogEntry<'_>) {
        let mut seen = self.0.lock();
        seen.push(LoggedRequest {
            feature: line.feature,
            route: line.route,
            path: line.path.to_owned(),
            lane: line.lane,
            actor: line.actor.to_owned(),
            status: line.status,
            reads: line.reads,
            writes: line.writes,
        });
    }
}
