//! The metrics of requests: their handles are looked up once for each route and lane.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};
use seawall_types::lane::Lane;
use seawall_types::work::CostSnapshot;

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The metrics of one route.
pub(super) struct Meters {
    feature: &'static str,
    route: &'static str,
    lanes: [OnceLock<MetricHandles>; Lane::ALL.len()],
}

struct MetricHandles {
    requests: [Counter; CLASSES.len()],
    seconds: Histogram,
    sent: Counter,
    received: Counter,
    statements: Counter,
}

impl MetricHandles {
    fn new(meters: &Meters, lane: Lane) -> Self {
        let labels = [
            ("feature", meters.feature),
            ("route", meters.route),
            ("lane", lane.name()),
        ];
        let requests = |class| {
            let [feature, route, lane] = labels;
            counter!(
                "seawall_requests_total",
                &[feature, route, lane, ("status", class)]
            )
        };
        Self {
            requests: CLASSES.map(requests),
            seconds: histogram!("seawall_request_seconds", &labels),
            sent: counter!("seawall_sent_bytes_total", &labels),
            received: counter!("seawall_received_bytes_total", &labels),
            statements: counter!("seawall_sql_statements_total", &labels),
        }
    }
}

/// What is counted of a request that has ended.
pub(super) struct RequestOutcome {
    pub(super) lane: Lane,
    pub(super) status: u16,
    pub(super) took: Duration,
    /// Bytes of the answer's body.
    pub(super) sent: u64,
    pub(super) cost: CostSnapshot,
}

impl Meters {
    /// The metrics of the route called `route` of `feature`.
    pub(super) fn new(feature: &'static str, route: &'static str) -> Self {
        Self {
            feature,
            route,
            lanes: Default::default(),
        }
    }

    /// The feature's name.
    pub(super) fn feature(&self) -> &'static str {
        self.feature
    }

    /// The route's name.
    pub(super) fn route(&self) -> &'static str {
        self.route
    }

    /// Counts a request that has ended.
    pub(super) fn count(&self, served: &RequestOutcome) {
        let Some(place) = self.lanes.get(served.lane.index()) else {
            return;
        };
        let handles = place.get_or_init(|| MetricHandles::new(self, served.lane));
        let class = usize::from(served.status / 100).clamp(1, CLASSES.len()) - 1;
        if let Some(requests) = handles.requests.get(class) {
            requests.increment(1);
        }
        let cost = &served.cost;
        handles.seconds.record(served.took.as_secs_f64());
        for (counter, amount) in [
            (&handles.sent, served.sent),
            (&handles.received, cost.bytes_in),
            (&handles.statements, cost.reads + cost.writes),
        ] {
            if amount > 0 {
                counter.increment(amount);
            }
        }
    }
}
