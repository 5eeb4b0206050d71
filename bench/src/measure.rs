//! Measuring one row at one registry, once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use http::header::ACCEPT;
use http::{Method, StatusCode};
use seawall_kernel::clock::SystemClock;
use seawall_types::time::Clock;

use crate::bare::BareServers;
use crate::client::PreparedRequest;
use crate::connection::Dialer;
use crate::content::{ACCEPTED, ContentMaker, LARGE, SMALL, noise};
use crate::fixture::{CATALOG, Fixture};
use crate::load::{LoadOutcome, LoadStep, closed, count, open};
use crate::process::cpu_time;
use crate::rows::{Protocol, Row, Workload, Yardstick};
use crate::statistics::percentile;
use crate::steps::{ExpectedAnswer, Fetch, NewRepository, PushImage, PushLayer, PushTag};
use crate::target::{BenchTarget, scope};

/// What was measured once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// The figure, in the row's unit.
    pub(crate) value: f64,
    /// The median latency.
    pub(crate) half: Duration,
    /// The 99th percentile of latency.
    pub(crate) tail: Duration,
    /// How many cores this process used meanwhile.
    pub(crate) own: f64,
    /// How many cores the registry used meanwhile, if it runs here.
    pub(crate) server: Option<f64>,
    /// The CPU time that a step cost the registry, if it runs here, in microseconds.
    pub(crate) cost: Option<f64>,
    /// Of an open loop: which share of what was due was done when the schedule ended.
    pub(crate) kept: Option<f64>,
    /// Of an open loop: the 99th percentile of how late the generator began.
    pub(crate) lag: Option<Duration>,
}

impl Sample {
    /// A figure that was not timed.
    pub(crate) fn plain(value: f64) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }
}

/// What all measurements have in common.
pub(crate) struct Bench {
    /// The clients that read.
    pub(crate) clients: usize,
    /// How long one takes.
    pub(crate) window: Duration,
    /// The rate of the paced row.
    pub(crate) rate: f64,
    /// What is pushed.
    pub(crate) content: Arc<ContentMaker>,
}

/// The CPU time used by two processes, and the clock.
struct Meter {
    server: Option<u32>,
    before: [Option<Duration>; 2],
    begun: Duration,
}

impl Meter {
    fn start(server: Option<u32>) -> Self {
        Self {
            server,
            before: Self::read(server),
            begun: SystemClock.elapsed(),
        }
    }

    fn read(server: Option<u32>) -> [Option<Duration>; 2] {
        [cpu_time(std::process::id()), server.and_then(cpu_time)]
    }

    /// The seconds since the start, and the CPU seconds of this process and of the server.
    fn used(&self) -> (f64, [Option<f64>; 2]) {
        let passed = SystemClock.elapsed().saturating_sub(self.begun);
        let after = Self::read(self.server);
        let used = [0, 1].map(|at| {
            let before = self.before.get(at).copied()??;
            let used = after.get(at).copied()??.saturating_sub(before);
            Some(used.as_secs_f64())
        });
        (passed.as_secs_f64().max(1e-9), used)
    }
}

fn sample(outcome: &LoadOutcome, factor: f64, meter: &Meter) -> Sample {
    let (passed, [own, server]) = meter.used();
    let at = |per_mille| percentile(&outcome.latencies, per_mille).unwrap_or_default();
    let steps = count(outcome.latencies.len()).max(1.0);
    Sample {
        value: outcome.rate * factor,
        half: at(500),
        tail: at(990),
        own: own.unwrap_or_default() / passed,
        server: server.map(|seconds| seconds / passed),
        cost: server.map(|seconds| seconds * 1e6 / steps),
        kept: outcome.kept,
        lag: percentile(&outcome.lags, 990),
    }
}

/// Lets these clients do one thing after the other for `window`; the figure is their rate.
pub(crate) async fn as_fast_as_possible<S: LoadStep>(
    steps: Vec<S>,
    window: Duration,
    server: Option<u32>,
) -> Result<Sample> {
    let meter = Meter::start(server);
    let outcome = closed(steps, window, true).await?;
    Ok(sample(&outcome, 1.0, &meter))
}

/// Lets these clients begin at `rate` for `window`; the figure is the 99th percentile in
/// milliseconds.
pub(crate) async fn paced<S: LoadStep>(
    steps: Vec<S>,
    window: Duration,
    rate: f64,
    server: Option<u32>,
) -> Result<Sample> {
    let meter = Meter::start(server);
    let outcome = open(steps, window, rate).await?;
    let mut sample = sample(&outcome, 1.0, &meter);
    sample.value = sample.tail.as_secs_f64() * 1e3;
    Ok(sample)
}

impl Bench {
    fn clients(&self, row: &Row) -> usize {
        if row.clients == 0 {
            self.clients
        } else {
            row.clients
        }
    }

    /// Measures a row; `None` where the registry has nothing of the kind.
    pub(crate) async fn measure(
        &self,
        row: &Row,
        target: &Arc<BenchTarget>,
        fixture: &Fixture,
    ) -> Result<Option<Sample>> {
        let window = self.window;
        let clients = self.clients(row);
        let content = &self.content;
        let meter;
        let outcome = match row.work {
            Workload::PushLayer => {
                let step = PushLayer::open(target, content).await?;
                meter = Meter::start(target.pid);
                closed(vec![step], window, false).await?
            }
            Workload::PushImage => {
                let step = PushImage::open(target, content).await?;
                meter = Meter::start(target.pid);
                closed(vec![step], window, true).await?
            }
            Workload::PushTag => {
                let steps = PushTag::clients(clients, target, content).await?;
                meter = Meter::start(target.pid);
                closed(steps, window, true).await?
            }
            Workload::NewRepository => {
                let steps = NewRepository::clients(clients, target, content).await?;
                meter = Meter::start(target.pid);
                closed(steps, window, true).await?
            }
            Workload::MemoryAtRest | Workload::MemoryPerConnection(_) => {
                bail!("not a matter of load")
            }
            _ => {
                let Some((door, wanted)) = read(row.work, target, fixture).await? else {
                    return Ok(None);
                };
                let steps = Fetch::clients(clients, &door, vec![wanted]).await?;
                if row.work == Workload::ManifestPaced {
                    return paced(steps, window, self.rate, target.pid).await.map(Some);
                }
                meter = Meter::start(target.pid);
                closed(steps, window, true).await?
            }
        };
        Ok(Some(sample(&outcome, row.factor, &meter)))
    }

    /// Measures what the machine can do. `seawall` is asked for its empty route.
    pub(crate) async fn yardstick(
        &self,
        yardstick: Yardstick,
        bare: &BareServers,
        seawall: &BenchTarget,
    ) -> Result<Sample> {
        let mut pid = None;
        let (host, ask, clients, factor) = match yardstick {
            Yardstick::Ceiling => {
                let ask = PreparedRequest::new(Method::GET, &bare.empty, "/")?;
                (&bare.empty, ask, self.clients, 1.0)
            }
            Yardstick::EmptyRoute => {
                pid = seawall.pid;
                let ask = seawall.ask(Method::GET, "/health/live")?;
                (&seawall.host, ask, self.clients, 1.0)
            }
            Yardstick::BareSend => {
                let ask = PreparedRequest::new(Method::GET, &bare.sender, "/")?;
                (&bare.sender, ask, 2, 64.0)
            }
            Yardstick::BareReceive => {
                let ask = PreparedRequest::new(Method::PUT, &bare.receiver, "/")?;
                let body = noise(LARGE);
                let pieces = (0..LARGE / PIECE).map(|n| body.slice(n * PIECE..(n + 1) * PIECE));
                let ask = ask.body(pieces.collect::<crate::client::Payload>());
                (&bare.receiver, ask, 1, 64.0)
            }
        };
        let status = match yardstick {
            Yardstick::BareReceive => StatusCode::CREATED,
            _ => StatusCode::OK,
        };
        let wanted = vec![ExpectedAnswer::ok(ask).status(status)];
        let steps = Fetch::clients(clients, &Dialer::plain(host), wanted).await?;
        let meter = Meter::start(pid);
        let outcome = closed(steps, self.window, true).await?;
        Ok(sample(&outcome, factor, &meter))
    }
}

/// The pieces in which a large body is sent.
const PIECE: usize = 256 << 10;

/// Where a row reads, and what; `None` if the registry has nothing of the kind.
async fn read(
    work: Workload,
    target: &BenchTarget,
    fixture: &Fixture,
) -> Result<Option<(Dialer, ExpectedAnswer)>> {
    let pull = &fixture.pull;
    if work == Workload::Token {
        let request = target.token_request(&[scope(pull, "pull")])?;
        return Ok(request.map(|(host, ask)| (Dialer::plain(&host), ExpectedAnswer::ok(ask))));
    }
    let way = match work {
        Workload::ManifestByTag(way) => way,
        _ => Protocol::Plain,
    };
    let Some(door) = target.door(way)? else {
        return Ok(None);
    };
    let (method, path, length) = match work {
        Workload::ManifestByTag(_) | Workload::ManifestPaced => (
            Method::GET,
            fixture.manifest("v1"),
            Some(fixture.manifest_length),
        ),
        Workload::ManifestByDigest => {
            let path = fixture.manifest(&fixture.manifest);
            (Method::GET, path, Some(fixture.manifest_length))
        }
        Workload::ManifestHead => (Method::HEAD, fixture.manifest("v1"), Some(0)),
        Workload::BlobHead => (Method::HEAD, fixture.blob(&fixture.small), Some(0)),
        Workload::BlobSmall => (
            Method::GET,
            fixture.blob(&fixture.small),
            Some(SMALL as u64),
        ),
        Workload::BlobLarge => (
            Method::GET,
            fixture.blob(&fixture.large),
            Some(LARGE as u64),
        ),
        Workload::TagsPage => (Method::GET, fixture.tags.clone(), None),
        Workload::CatalogPage => (Method::GET, fixture.catalog.clone(), None),
        _ => bail!("not a request that can be sent over and over"),
    };
    let needed = match work {
        Workload::CatalogPage => CATALOG.to_owned(),
        Workload::TagsPage => scope(&target.repository("tags"), "pull"),
        _ => scope(pull, "pull"),
    };
    let ticket = target.ticket(&[needed]).await?;
    let ask = target.ask(method, path)?.authorized(ticket.as_ref());
    let wanted = ExpectedAnswer::ok(ask.header(ACCEPT, ACCEPTED)?);
    let wanted = match length {
        Some(length) => wanted.length(length),
        None => wanted,
    };
    Ok(Some((door, wanted)))
}
