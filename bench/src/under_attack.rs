//! Pulls beside attackers: whether those who behave keep their rate and their latency.
//!
//! Pulls (a manifest by its tag, a blob's HEAD, a blob of 1 KiB) are due at half the rate that the
//! same clients reach in a closed loop. In each round they are measured alone and beside each
//! attack, one right after the other. Two Seawalls take part: in one lie the forgotten uploads, in
//! the other none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http::header::ACCEPT;
use http::{Method, StatusCode};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::attack::{Attack, AttackContext, RunningAttack, open_upload};
use crate::connection::{Connection, Dialer};
use crate::content::{ACCEPTED, ContentMaker, SMALL};
use crate::fixture::{Fixture, FixtureNeeds, prepare};
use crate::launch::{Program, RunningRegistry};
use crate::load::count;
use crate::measure::{Bench, Sample, as_fast_as_possible, paced};
use crate::output::note;
use crate::process::{cpu_time, resident};
use crate::results::Cell;
use crate::statistics::median;
use crate::steps::{ExpectedAnswer, Fetch};
use crate::target::{BenchTarget, Login};

/// How many users open uploads: one alone may not open many.
const USERS: usize = 20;

/// How many clients open the uploads that lie there.
const OPENERS: usize = 8;

/// How long an attack goes on before pulls are measured beside it.
const SETTLE: Duration = Duration::from_millis(700);

/// How long a server is given to come to rest after an attack, and how often it is looked at.
const CALM: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(250);

/// The share of a core below which a server is at rest.
const REST: f64 = 0.05;

/// Pulls alone and beside an attack, in one round.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AttackPair {
    /// Without an attack.
    pub(crate) alone: Sample,
    /// Beside the attack.
    pub(crate) beside: Sample,
    /// Seawall's resident memory during the attack, in bytes.
    pub(crate) memory: u64,
    /// How often a second attackers did what they do.
    pub(crate) done: f64,
    /// Which share of that was put off with 429 or 503.
    pub(crate) put_off: f64,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttackFindings {
    /// The same pulls in a closed loop.
    pub(crate) pulls: Cell,
    /// The rates of the rounds.
    pub(crate) rates: Vec<f64>,
    /// One pair for each round.
    pub(crate) pairs: BTreeMap<Attack, Vec<AttackPair>>,
    /// How many forgotten uploads were opened, and how many were refused.
    pub(crate) uploads: [usize; 2],
}

/// A Seawall that is attacked.
struct AttackedServer {
    running: RunningRegistry,
    target: Arc<BenchTarget>,
    fixture: Fixture,
}

/// Both.
pub(crate) struct AttackTables {
    /// Without forgotten uploads.
    calm: AttackedServer,
    /// With them.
    laden: AttackedServer,
    users: Vec<Login>,
    /// How many uploads were opened and refused.
    uploads: [usize; 2],
}

impl AttackTables {
    /// Starts both, with `uploads` forgotten uploads in one.
    pub(crate) async fn prepare(
        program: &Program,
        folder: &Path,
        content: &Arc<ContentMaker>,
        uploads: usize,
    ) -> Result<Self> {
        note("preparing what is attacked");
        let users = (0..USERS).map(|number| Login {
            user: format!("u{number}"),
            password: content.mark(),
        });
        let users: Vec<_> = users.collect();
        let fort = async |name: &str| {
            let folder = folder.join(name);
            let running = program.start(&folder).await?;
            let target = Arc::new(running.target.clone());
            let needs = FixtureNeeds {
                large: true,
                ..FixtureNeeds::default()
            };
            let fixture = prepare(&target, content, needs, 0).await?;
            for user in &users {
                program.add_user(&folder, user, true)?;
            }
            anyhow::Ok(AttackedServer {
                running,
                target,
                fixture,
            })
        };
        let (calm, laden) = (fort("calm").await?, fort("laden").await?);
        let mut siege = Self {
            calm,
            laden,
            users,
            uploads: [0, 0],
        };
        siege.uploads = siege.forget(uploads).await?;
        Ok(siege)
    }

    /// Opens so many uploads, and says how many were opened and how many refused.
    async fn forget(&self, uploads: usize) -> Result<[usize; 2]> {
        note(format_args!("forgetting {uploads} uploads"));
        let weapons = Arc::new(self.weapons(&self.laden, true).await?);
        let mut running = JoinSet::new();
        for opener in 0..OPENERS {
            let weapons = Arc::clone(&weapons);
            running.spawn(async move {
                let mut connection = Connection::open(&weapons.target.host).await?;
                let mut found = [0, 0];
                for turn in (opener..uploads).step_by(OPENERS) {
                    let tickets = weapons.tickets.get(turn % weapons.tickets.len().max(1));
                    let ticket = tickets.context("no ticket")?;
                    let turn = u64::try_from(turn)?;
                    match open_upload(&mut connection, &weapons, ticket, turn).await? {
                        StatusCode::ACCEPTED => found[0] += 1,
                        StatusCode::TOO_MANY_REQUESTS => found[1] += 1,
                        status => bail!("opening an upload: {status}"),
                    }
                }
                anyhow::Ok(found)
            });
        }
        let mut all = [0, 0];
        while let Some(found) = running.join_next().await {
            let [opened, refused] = found??;
            all = [all[0] + opened, all[1] + refused];
        }
        Ok(all)
    }

    async fn weapons(&self, fort: &AttackedServer, by_users: bool) -> Result<AttackContext> {
        let mut tickets = Vec::new();
        for user in self.users.iter().filter(|_| by_users) {
            let target = fort.target.seen_by(user.clone());
            let ticket = target.ticket_for(&fort.fixture.pull, "pull,push").await?;
            tickets.push(ticket.context("Seawall gives no tokens")?);
        }
        let first = self.users.first().context("no user")?;
        Ok(AttackContext {
            target: Arc::clone(&fort.target),
            fixture: fort.fixture.clone(),
            tickets,
            user: first.user.clone(),
        })
    }

    /// One round: the pulls in a closed loop, then alone and beside each attack.
    pub(crate) async fn round(
        &self,
        bench: &Bench,
        round: usize,
        found: &mut AttackFindings,
    ) -> Result<()> {
        found.uploads = self.uploads;
        let steps = self.calm.pulls(bench.clients).await?;
        let fastest = as_fast_as_possible(steps, bench.window, self.calm.target.pid).await?;
        found.pulls.add(Ok(Some(fastest)));
        // Half of what was found so far, so that one slow round does not make it too easy.
        let rate = found.pulls.median().context("no pulls")? / 2.0;
        found.rates.push(rate);
        note(format_args!("  pulls: {}", found.pulls.last()));
        for attack in Attack::ALL {
            let pair = self.pair(bench, attack, rate, round).await?;
            note(format_args!(
                "  {attack:?}: p99 alone {:.2} ms, beside {:.2} ms, kept {:.3}, {:.0} done a second",
                pair.alone.value,
                pair.beside.value,
                pair.beside.kept.unwrap_or_default(),
                pair.done
            ));
            found.pairs.entry(attack).or_default().push(pair);
        }
        Ok(())
    }

    async fn pair(
        &self,
        bench: &Bench,
        attack: Attack,
        rate: f64,
        round: usize,
    ) -> Result<AttackPair> {
        let [quiet, attacked] = match attack {
            Attack::Forgotten => [&self.calm, &self.laden],
            Attack::Opening => [&self.laden, &self.laden],
            _ => [&self.calm, &self.calm],
        };
        let window = bench.window * 2;
        let mut pair = AttackPair::default();
        for turn in 0..2 {
            if (turn + round).is_multiple_of(2) {
                let steps = quiet.pulls(bench.clients).await?;
                pair.alone = paced(steps, window, rate, quiet.target.pid).await?;
                continue;
            }
            let weapons = self.weapons(attacked, attack.is_by_users()).await?;
            let steps = attacked.pulls(bench.clients).await?;
            let assault = RunningAttack::begin(attack, &weapons)?;
            sleep(SETTLE).await;
            let pid = attacked.target.pid;
            pair.beside = paced(steps, window, rate, pid).await?;
            pair.memory = pid.and_then(resident).unwrap_or(0);
            let tally = &assault.tally;
            let [done, put_off] = [&tally.done, &tally.put_off]
                .map(|number| count(usize::try_from(number.load(Ordering::Relaxed)).unwrap_or(0)));
            pair.done = done / (SETTLE + window).as_secs_f64();
            pair.put_off = put_off / done.max(1.0);
            drop(assault);
            calm_down(pid).await;
        }
        Ok(pair)
    }

    /// Ends both.
    pub(crate) async fn end(self) {
        self.calm.running.process.stop().await;
        self.laden.running.process.stop().await;
    }
}

impl AttackedServer {
    async fn pulls(&self, clients: usize) -> Result<Vec<Fetch>> {
        let (target, fixture) = (&self.target, &self.fixture);
        let ticket = target.ticket_for(&fixture.pull, "pull").await?;
        let wanted = |method, path, length| {
            let ask = target.ask(method, path)?.authorized(ticket.as_ref());
            anyhow::Ok(ExpectedAnswer::ok(ask.header(ACCEPT, ACCEPTED)?).length(length))
        };
        let small = fixture.blob(&fixture.small);
        let wanted = vec![
            wanted(Method::GET, fixture.manifest("v1"), fixture.manifest_length)?,
            wanted(Method::HEAD, small.clone(), 0)?,
            wanted(Method::GET, small, SMALL as u64)?,
        ];
        Fetch::clients(clients, &Dialer::plain(&target.host), wanted).await
    }
}

/// Waits until a server does nothing any more.
async fn calm_down(pid: Option<u32>) {
    let mut before = pid.and_then(cpu_time);
    for _ in 0..CALM.as_millis() / LOOK.as_millis() {
        sleep(LOOK).await;
        let now = pid.and_then(cpu_time);
        let used = now
            .unwrap_or_default()
            .saturating_sub(before.unwrap_or_default());
        if used.as_secs_f64() < REST * LOOK.as_secs_f64() {
            return;
        }
        before = now;
    }
}

/// The medians of what was found beside an attack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AttackMedians {
    /// The 99th percentiles in milliseconds, alone and beside.
    pub(crate) tails: [f64; 2],
    /// The shares that were kept, alone and beside.
    pub(crate) kept: [f64; 2],
    /// How many times as long the 99th percentile is beside.
    pub(crate) worse: f64,
}

/// What the rounds come to; `None` without any.
pub(crate) fn verdict(pairs: &[AttackPair]) -> Option<AttackMedians> {
    let middle =
        |of: &dyn Fn(&AttackPair) -> f64| median(&pairs.iter().map(of).collect::<Vec<_>>());
    let kept = |sample: &Sample| sample.kept.unwrap_or_default();
    let tails = [
        middle(&|pair| pair.alone.value)?,
        middle(&|pair| pair.beside.value)?,
    ];
    Some(AttackMedians {
        tails,
        kept: [
            middle(&|pair| kept(&pair.alone))?,
            middle(&|pair| kept(&pair.beside))?,
        ],
        worse: tails[1] / tails[0].max(1e-9),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_of_medians() {
        let pair = |alone, beside, kept| AttackPair {
            alone: Sample {
                kept: Some(1.0),
                ..Sample::plain(alone)
            },
            beside: Sample {
                kept: Some(kept),
                ..Sample::plain(beside)
            },
            ..AttackPair::default()
        };
        let found = verdict(&[
            pair(2.0, 3.0, 0.9),
            pair(9.0, 2.0, 1.0),
            pair(1.0, 8.0, 0.5),
        ]);
        let wanted = AttackMedians {
            tails: [2.0, 3.0],
            kept: [1.0, 0.9],
            worse: 1.5,
        };
        assert_eq!(found, Some(wanted));
        assert_eq!(verdict(&[]), None);
    }
}
