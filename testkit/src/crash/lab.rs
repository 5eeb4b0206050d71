//! The run: load, kill, restart, compare, and again.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::{join_all, try_join_all};

use super::client::{ClientTally, LabClient, ServerLogin};
use super::load::SeededRng;
use super::process::{KilledServer, LabInstallation};

/// How long the load may run before a kill, in milliseconds.
const SHORTEST: usize = 30;
const LONGEST: usize = 700;

/// One in so many kills is followed by one that hits the start.
const AT_START: usize = 5;
const START_LASTS: usize = 400;

/// What a run is to do.
#[derive(Debug, Clone, Copy)]
pub struct LabPlan {
    /// What everything is drawn from.
    pub seed: u64,
    /// How many times the server is killed under load.
    pub kills: u64,
    /// How many clients there are.
    pub clients: usize,
}

/// What a run has seen.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    kills: u64,
    kills_at_start: u64,
    slowest_start: Duration,
    tally: ClientTally,
}

/// A promise that was not kept.
#[derive(Debug)]
pub struct BrokenPromise {
    seed: u64,
    kill: u64,
    text: String,
    log: String,
}

/// An installation with its clients.
pub struct Lab<'a> {
    installation: &'a LabInstallation,
    plan: LabPlan,
    dice: SeededRng,
    clients: Vec<LabClient>,
    password: String,
    figures: Figures,
}

impl<'a> Lab<'a> {
    /// A lab over an installation that was never started.
    pub fn new(installation: &'a LabInstallation, plan: LabPlan) -> Self {
        let client = |number| LabClient::new(plan.seed, number, plan.clients);
        Self {
            installation,
            plan,
            dice: SeededRng::new(plan.seed),
            clients: (0..plan.clients).map(client).collect(),
            password: String::new(),
            figures: Figures::default(),
        }
    }

    /// Kills as often as planned.
    pub async fn run(mut self) -> Result<Figures, BrokenPromise> {
        let ran = self.rounds().await;
        ran.map_err(|text| BrokenPromise {
            seed: self.plan.seed,
            kill: self.figures.kills,
            text,
            log: last_lines(&self.installation.log(), 20),
        })?;
        for client in &self.clients {
            self.figures.tally.add(&client.tally);
        }
        Ok(self.figures)
    }

    async fn rounds(&mut self) -> Result<(), String> {
        if self.dice.below(2) == 0 {
            // The very first start, too, may be cut short.
            self.kill_a_start().await?;
        }
        let (mut server, mut address) = self.start().await?;
        self.password = self.installation.password()?;
        while self.figures.kills < self.plan.kills {
            self.load_and_kill(server, address).await?;
            while self.dice.below(AT_START) == 0 {
                self.kill_a_start().await?;
            }
            (server, address) = self.start().await?;
            self.compare(address, false).await?;
            self.verify(&["verify", "--quick"])?;
            let door = door(address, &self.password);
            try_join_all(self.clients.iter_mut().map(|it| it.resume(door))).await?;
        }
        self.compare(address, true).await?;
        self.verify(&["verify"])?;
        server.kill()
    }

    /// Lets all clients work and kills the server at a random moment.
    async fn load_and_kill(
        &mut self,
        server: KilledServer,
        address: SocketAddr,
    ) -> Result<(), String> {
        let after = Duration::from_millis((SHORTEST + self.dice.below(LONGEST)) as u64);
        let door = door(address, &self.password);
        let work = join_all(self.clients.iter_mut().map(|it| it.work(door)));
        let kill = async {
            tokio::time::sleep(after).await;
            server.kill()
        };
        let (worked, killed) = tokio::join!(work, kill);
        self.figures.kills += 1;
        killed?;
        worked.into_iter().collect()
    }

    async fn kill_a_start(&mut self) -> Result<(), String> {
        let server = self.installation.spawn().map_err(|it| it.to_string())?;
        let after = self.dice.below(START_LASTS) as u64;
        tokio::time::sleep(Duration::from_millis(after)).await;
        self.figures.kills_at_start += 1;
        server.kill()
    }

    async fn start(&mut self) -> Result<(KilledServer, SocketAddr), String> {
        let (server, address, took) = self.installation.start().await?;
        self.figures.slowest_start = self.figures.slowest_start.max(took);
        Ok((server, address))
    }

    async fn compare(&mut self, address: SocketAddr, whole: bool) -> Result<(), String> {
        let door = door(address, &self.password);
        try_join_all(self.clients.iter_mut().map(|it| it.compare(door, whole))).await?;
        Ok(())
    }

    /// Asks the operator's own verification.
    fn verify(&self, arguments: &[&str]) -> Result<(), String> {
        let output = self.installation.run(arguments);
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        Err(format!("seawall {arguments:?} failed: {said}{complained}"))
    }
}

fn door(address: SocketAddr, password: &str) -> ServerLogin<'_> {
    let who = ("admin", password);
    ServerLogin { address, who }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

impl ClientTally {
    fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.compared += other.compared;
        self.resumed += other.resumed;
        self.lost += other.lost;
        for (kind, (count, happened)) in &other.unanswered {
            let sum = self.unanswered.entry(kind).or_default();
            sum.0 += count;
            sum.1 += happened;
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kills,
            kills_at_start,
            slowest_start,
            tally,
        } = self;
        writeln!(
            f,
            "{kills} kills under load and {kills_at_start} at the start; \
             {} requests acknowledged, {} answers compared, {} uploads resumed, {} found lost; \
             the slowest start took {slowest_start:.1?}",
            tally.acknowledged, tally.compared, tally.resumed, tally.lost,
        )?;
        write!(f, "unanswered (and done all the same):")?;
        for (kind, (count, happened)) in &tally.unanswered {
            write!(f, " {kind} {count} ({happened})")?;
        }
        Ok(())
    }
}

impl fmt::Display for BrokenPromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            kill,
            text,
            log,
        } = self;
        write!(
            f,
            "a promise was broken after kill {kill} of seed {seed}:\n{text}\nThe server's log ends with:\n{log}"
        )
    }
}
