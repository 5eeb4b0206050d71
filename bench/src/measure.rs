//! Measuring one row at one registry, once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use http::header::ACCEPT;
use http::{Method, StatusCode};
use seawall_kernel::clock::SystemClock;
use seawall_types::time::Clock;

use crate::bare::Bare;
use crate::client::Ask;
use crate::connection::Door;
use crate::content::{ACCEPTED, Content, LARGE, SMALL, noise};
use crate::fixture::{CATALOG, Fixture};
use crate::load::{Outcome, Step, closed, count, open};
use crate::process::cpu_time;
use crate::rows::{Row, Way, Work, Yardstick};
use crate::statistics::percentile;
use crate::steps::{Fetch, NewRepository, PushImage, PushLayer, PushTag, Wanted};
use crate::target::{Target, scope};

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
    pub(crate) content: Arc<Content>,
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

fn sample(outcome: &Outcome, factor: f64, meter: &Meter) -> Sample {
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
pub(crate) async fn as_fast_as_possible<S: Step>(
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
pub(crate) async fn paced<S: Step>(
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
        target: &Arc<Target>,
        fixture: &Fixture,
    ) -> Result<Option<Sample>> {
        let window = self.window;
        let clients = self.clients(row);
        let content = &self.content;
        let meter;
        let outcome = match row.work {
            Work::PushLayer => {
                let step = PushLayer::open(target, content).await?;
                meter = Meter::start(target.pid);
                closed(vec![step], window, false).await?
            }
            Work::PushImage => {
                let step = PushImage::open(target, content).await?;
                meter = Meter::start(target.pid);
                closed(vec![step], window, true).await?
            }
            Work::PushTag => {
                let steps = PushTag::clients(clients, target, content).await?;
                meter = Meter::start(target.pid);
                closed(steps, window, true).await?
            }
            Work::NewRepository => {
                let steps = NewRepository::clients(clients, target, content).await?;
                meter = Meter::start(target.pid);
                closed(steps, window, true).await?
            }
            Work::MemoryAtRest | Work::MemoryPerConnection(_) => bail!("not a matter of load"),
            _ => {
                let Some((door, wanted)) = read(row.work, target, fixture).await? else {
                    return Ok(None);
                };
                let steps = Fetch::clients(clients, &door, vec![wanted]).await?;
                if row.work == Work::ManifestPaced {
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
        bare: &Bare,
        seawall: &Target,
    ) -> Result<Sample> {
        let mut pid = None;
        let (host, ask, clients, factor) = match yardstick {
            Yardstick::Ceiling => {
                let ask = Ask::new(Method::GET, &bare.empty, "/")?;
                (&bare.empty, ask, self.clients, 1.0)
            }
            Yardstick::EmptyRoute => {
                pid = seawall.pid;
                let ask = seawall.ask(Method::GET, "/health/live")?;
                (&seawall.host, ask, self.clients, 1.0)
            }
            Yardstick::BareSend => {
                let ask = Ask::new(Method::GET, &bare.sender, "/")?;
                (&bare.sender, ask, 2, 64.0)
            }
            Yardstick::BareReceive => {
                let ask = Ask::new(Method::PUT, &bare.receiver, "/")?;
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
        let wanted = vec![Wanted::ok(ask).status(status)];
        let steps = Fetch::clients(clients, &Door::plain(host), wanted).await?;
        let meter = Meter::start(pid);
        let outcome = closed(steps, self.window, true).await?;
        Ok(sample(&outcome, factor, &meter))
    }
}

/// The pieces in which a large body is sent.
const PIECE: usize = 256 << 10;

/// Where a row reads, and what; `None` if the registry has nothing of the kind.
async fn read(work: Work, target: &Target, fixture: &Fixture) -> Result<Option<(Door, Wanted)>> {
    let pull = &fixture.pull;
    if work == Work::Token {
        let request = target.token_request(&[scope(pull, "pull")])?;
        return Ok(request.map(|(host, ask)| (Door::plain(&host), Wanted::ok(ask))));
    }
    let way = match work {
        Work::ManifestByTag(way) => way,
        _ => Way::Plain,
    };
    let Some(door) = target.door(way)? else {
        return Ok(None);
    };
    let (method, path, length) = match work {
        Work::ManifestByTag(_) | Work::ManifestPaced => (
            Method::GET,
            fixture.manifest("v1"),
            Some(fixture.manifest_length),
        ),
        Work::ManifestByDigest => {
            let path = fixture.manifest(&fixture.manifest);
            (Method::GET, path, Some(fixture.manifest_length))
        }
        Work::ManifestHead => (Method::HEAD, fixture.manifest("v1"), Some(0)),
        Work::BlobHead => (Method::HEAD, fixture.blob(&fixture.small), Some(0)),
        Work::BlobSmall => (
            Method::GET,
            fixture.blob(&fixture.small),
            Some(SMALL as u64),
        ),
        Work::BlobLarge => (
            Method::GET,
            fixture.blob(&fixture.large),
            Some(LARGE as u64),
        ),
        Work::TagsPage => (Method::GET, fixture.tags.clone(), None),
        Work::CatalogPage => (Method::GET, fixture.catalog.clone(), None),
        _ => bail!("not a request that can be sent over and over"),
    };
    let needed = match work {
        Work::CatalogPage => CATALOG.to_owned(),
        Work::TagsPage => scope(&target.repository("tags"), "pull"),
        _ => scope(pull, "pull"),
    };
    let ticket = target.ticket(&[needed]).await?;
    let ask = target.ask(method, path)?.authorized(ticket.as_ref());
    let wanted = Wanted::ok(ask.header(ACCEPT, ACCEPTED)?);
    let wanted = match length {
        Some(length) => wanted.length(length),
        None => wanted,
    };
    Ok(Some((door, wanted)))
}
