//! The process's metrics: the recorder that all crates write to, and the text that Prometheus
//! reads.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use metrics::{describe_counter, describe_gauge};
use metrics_exporter_prometheus::{
    BuildError, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use seawall_kernel::http::{Answer, Response};
use seawall_net::lifecycle::{Lifecycle, Phase};

/// How often the recorder tidies up what was recorded, so that nothing grows between scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// The bounds of all histograms, in seconds: from a warm pull to a layer over a poor line.
const BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0,
];

/// The metrics of the process. A clone is the same.
#[derive(Clone)]
pub struct Telemetry {
    handle: PrometheusHandle,
}

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The recorder cannot be built.
    #[error("metrics cannot be set up: {0}")]
    Build(#[from] BuildError),
    /// The process has a recorder already.
    #[error("metrics are set up twice")]
    Twice,
}

impl Telemetry {
    /// Makes the recorder of the process. To be called once, before anything is counted.
    pub fn install() -> Result<Self, TelemetryError> {
        let (telemetry, recorder) = Self::build()?;
        metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::Twice)?;
        describe();
        Ok(telemetry)
    }

    fn build() -> Result<(Self, PrometheusRecorder), BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS)?
            .build_recorder();
        let telemetry = Self {
            handle: recorder.handle(),
        };
        Ok((telemetry, recorder))
    }

    /// The answer of `/metrics`.
    pub fn answer(&self) -> Response {
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        Answer::new(StatusCode::OK)
            .value(header::CONTENT_TYPE, kind)
            .fixed(self.handle.render())
    }

    /// Tidies up, until the process ends.
    pub async fn upkeep(self, lifecycle: Lifecycle) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(UPKEEP) => self.handle.run_upkeep(),
                () = lifecycle.reached(Phase::Closed) => return,
            }
        }
    }
}

fn describe() {
    describe_gauge!("seawall_connections", "Connections that are open.");
    describe_counter!(
        "seawall_connections_accepted_total",
        "Connections that were taken."
    );
    describe_counter!(
        "seawall_connections_refused_total",
        "Connections closed at once because there were too many."
    );
    describe_counter!(
        "seawall_accept_errors_total",
        "Failures to accept a connection."
    );
    describe_counter!(
        "seawall_tls_handshake_failures_total",
        "TLS handshakes that failed or took too long."
    );
    describe_counter!(
        "seawall_log_lines_dropped_total",
        "Log lines dropped because they could not be written in time."
    );
    describe_gauge!(
        "seawall_health",
        "1 if a check of /health/ready found all well."
    );
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn metrics_are_rendered() {
        let (telemetry, recorder) = Telemetry::build().unwrap();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("seawall_test_total", "kind" => "a").increment(2);
        });
        let bytes = telemetry
            .answer()
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.contains("seawall_test_total{kind=\"a\"} 2"), "{text}");
    }
}
