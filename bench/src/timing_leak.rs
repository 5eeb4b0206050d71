//! Whether time tells a hidden repository from a missing one.
//!
//! A user without a right asks for a manifest in a private repository and in one that does not
//! exist, one request after the other, in an order drawn by lot, over one connection. Answers must
//! be the same, and their times must overlap. What is measured here is all that a client sees on
//! loopback; a real network only adds noise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::header::ACCEPT;
use http::{HeaderValue, Method, StatusCode};
use seawall_kernel::clock::{SystemClock, SystemRandom};
use seawall_types::time::{Clock, Random};

use crate::client::PreparedRequest;
use crate::connection::Connection;
use crate::content::ACCEPTED;
use crate::lists::{OpenLists, repository};
use crate::output::note;
use crate::statistics::{Overlap, overlap};
use crate::target::{BenchTarget, Login};

/// How many of each kind are asked for before the clock counts.
const WARM: usize = 50;

/// Who asks for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProbeCase {
    /// A user without a right, with a valid token, the same two names over and over.
    StrangerSame,
    /// The same user, names that were not asked for since the start.
    StrangerFresh,
    /// Anonymous, the same two names.
    AnonymousSame,
    /// Anonymous, fresh names.
    AnonymousFresh,
}

impl ProbeCase {
    const ALL: [Self; 4] = [
        Self::StrangerSame,
        Self::StrangerFresh,
        Self::AnonymousSame,
        Self::AnonymousFresh,
    ];

    /// What it is, in a few words.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::StrangerSame => "another user's token, one name each",
            Self::StrangerFresh => "another user's token, a new name each time",
            Self::AnonymousSame => "anonymous, one name each",
            Self::AnonymousFresh => "anonymous, a new name each time",
        }
    }

    fn is_fresh(self) -> bool {
        matches!(self, Self::StrangerFresh | Self::AnonymousFresh)
    }

    fn is_anonymous(self) -> bool {
        matches!(self, Self::AnonymousSame | Self::AnonymousFresh)
    }
}

/// The times of all rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timing {
    /// Of repositories that exist, then of such that do not.
    pub(crate) times: [Vec<Duration>; 2],
    /// What was answered.
    pub(crate) status: StatusCode,
}

impl Timing {
    /// How far the two can be told apart.
    pub(crate) fn overlap(&self) -> Option<Overlap> {
        let [hidden, missing] = &self.times;
        overlap(hidden, missing)
    }
}

/// What was found.
pub(crate) type Timings = BTreeMap<ProbeCase, Timing>;

/// One round: `number` requests of each kind in each case.
pub(crate) async fn round(
    open: &OpenLists,
    stranger: &Login,
    number: usize,
    timings: &mut Timings,
) -> Result<()> {
    let mut fresh = 0;
    for case in ProbeCase::ALL {
        let target = open.target.seen_by(stranger.clone());
        // No scope is needed: that one has no right is found out before what a token covers.
        let ticket = if case.is_anonymous() {
            None
        } else {
            target.ticket(&[]).await?
        };
        let names = |number: usize| {
            if case.is_fresh() {
                let even = number % open.number * 2;
                [even, even + 1].map(|number| repository(&target, number))
            } else {
                let missing = open.target.repository("miss");
                [open.fixture.pull.clone(), missing]
            }
        };
        let mut asker = Asker::open(&target, ticket, number).await?;
        for turn in 0..number + WARM {
            let timing = timings.entry(case).or_default();
            asker.pair(&names(fresh), turn >= WARM, timing).await?;
            fresh += usize::from(case.is_fresh());
        }
        let found = timings.get(&case).and_then(Timing::overlap);
        let found = found.context("nothing was timed")?;
        let (distance, shorter) = (found.distance, found.shorter);
        note(format_args!(
            "  oracle, {}: distance {distance:.3}, hidden is shorter {shorter:.3}",
            case.title()
        ));
    }
    Ok(())
}

/// One client, and the lots that it draws.
struct Asker {
    target: Arc<BenchTarget>,
    connection: Connection,
    ticket: Option<HeaderValue>,
    lots: Vec<u8>,
}

impl Asker {
    async fn open(
        target: &BenchTarget,
        ticket: Option<HeaderValue>,
        number: usize,
    ) -> Result<Self> {
        let mut lots = vec![0; number + WARM];
        SystemRandom.fill(&mut lots);
        Ok(Self {
            target: Arc::new(target.clone()),
            connection: Connection::open(&target.host).await?,
            ticket,
            lots,
        })
    }

    fn ask(&self, name: &str) -> Result<PreparedRequest> {
        let path = format!("/v2/{name}/manifests/v1");
        let ask = self.target.ask(Method::GET, path)?;
        let ask = ask.authorized(self.ticket.as_ref());
        ask.header(ACCEPT, ACCEPTED)
    }

    /// Asks for both, in an order drawn by lot.
    async fn pair(&mut self, names: &[String; 2], counts: bool, timing: &mut Timing) -> Result<()> {
        let [hidden, missing] = names;
        let mut asks = [(0, self.ask(hidden)?), (1, self.ask(missing)?)];
        if self.lots.pop().is_some_and(|lot| lot % 2 == 1) {
            asks.reverse();
        }
        let mut answered = Vec::new();
        for (kind, ask) in asks {
            let begun = SystemClock.elapsed();
            let answer = self.connection.send(&ask, false).await?;
            let took = SystemClock.elapsed().saturating_sub(begun);
            if let Some(times) = timing.times.get_mut(kind).filter(|_| counts) {
                times.push(took);
            }
            ensure!(!answer.status.is_success(), "nobody is kept out");
            timing.status = answer.status;
            answered.push((answer.status, answer.length));
        }
        // The name is in the answers, and both are of one length.
        ensure!(
            answered.first() == answered.last(),
            "{hidden} and {missing} are answered with {answered:?}"
        );
        Ok(())
    }
}
