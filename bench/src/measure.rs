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
use crate::content::{Content, INDEX, LARGE, MANIFEST, SMALL, noise};
use crate::fixture::{CATALOG, Fixture};
use crate::load::{Outcome, closed, count, open};
use crate::process::cpu_time;
use crate::rows::{Row, Work, Yardstick};
use crate::statistics::percentile;
use crate::steps::{Fetch, NewRepository, PushImage, PushLayer, PushTag};
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
    }
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
            Work::MemoryAtRest | Work::MemoryPerConnection => bail!("not a matter of load"),
            _ => {
                let Some(read) = read(row.work, target, fixture).await? else {
                    return Ok(None);
                };
                let steps = Fetch::clients(clients, &read.host, &read.ask, read.length).await?;
                meter = Meter::start(target.pid);
                if row.work == Work::ManifestPaced {
                    let outcome = open(steps, window, self.rate).await?;
                    let mut sample = sample(&outcome, 1.0, &meter);
                    sample.value = sample.tail.as_secs_f64() * 1000.0;
                    return Ok(Some(sample));
                }
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
        let wanted = match yardstick {
            Yardstick::BareReceive => StatusCode::CREATED,
            _ => StatusCode::OK,
        };
        let steps = Fetch::wanting(clients, host, &ask, (wanted, None)).await?;
        let meter = Meter::start(pid);
        let outcome = closed(steps, self.window, true).await?;
        Ok(sample(&outcome, factor, &meter))
    }
}

/// The pieces in which a large body is sent.
const PIECE: usize = 256 << 10;

/// A request that is sent over and over.
struct Read {
    host: String,
    ask: Ask,
    length: Option<u64>,
}

async fn read(work: Work, target: &Target, fixture: &Fixture) -> Result<Option<Read>> {
    let pull = &fixture.pull;
    let manifest = |reference: &str| format!("/v2/{pull}/manifests/{reference}");
    let blob = |digest: &str| format!("/v2/{pull}/blobs/{digest}");
    let (method, path, length) = match work {
        Work::ManifestByTag | Work::ManifestPaced => {
            (Method::GET, manifest("v1"), Some(fixture.manifest_length))
        }
        Work::ManifestByDigest => {
            let path = manifest(&fixture.manifest);
            (Method::GET, path, Some(fixture.manifest_length))
        }
        Work::ManifestHead => (Method::HEAD, manifest("v1"), Some(0)),
        Work::BlobHead => (Method::HEAD, blob(&fixture.small), Some(0)),
        Work::BlobSmall => (Method::GET, blob(&fixture.small), Some(SMALL as u64)),
        Work::BlobLarge => (Method::GET, blob(&fixture.large), Some(LARGE as u64)),
        Work::TagsPage => (Method::GET, fixture.tags.clone(), None),
        Work::CatalogPage => (Method::GET, fixture.catalog.clone(), None),
        Work::Token => {
            let request = target.token_request(&[scope(pull, "pull")])?;
            return Ok(request.map(|(host, ask)| Read {
                host,
                ask,
                length: None,
            }));
        }
        _ => bail!("not a request that can be sent over and over"),
    };
    let wanted = match work {
        Work::CatalogPage => CATALOG.to_owned(),
        Work::TagsPage => scope(&target.repository("tags"), "pull"),
        _ => scope(pull, "pull"),
    };
    let ticket = target.ticket(&[wanted]).await?;
    let ask = target.ask(method, path)?.authorized(ticket.as_ref());
    Ok(Some(Read {
        host: target.host.clone(),
        ask: ask.header(ACCEPT, &format!("{MANIFEST}, {INDEX}"))?,
        length,
    }))
}
