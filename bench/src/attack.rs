//! The attackers: what they send, how many of them, and how often.
//!
//! They run on a thread of their own, so that they cannot hold up those who measure more than by
//! taking CPU, and come from another address than those. They are paced: the question is whether
//! the server serves others meanwhile, not how much load two cores can make.

use std::future::pending;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method, StatusCode};
use seawall_kernel::clock::SystemClock;
use seawall_types::time::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::PreparedRequest;
use crate::connection::{Connection, Dialer};
use crate::fixture::Fixture;
use crate::push::location;
use crate::target::BenchTarget;

/// Where attackers come from.
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// How much of an upload is sent before its client hangs up, and how much of a blob is taken.
const TASTE: usize = 64 << 10;

/// Every so many opened uploads get a first chunk, and with it a file.
const WITH_A_CHUNK: u64 = 10;

/// An attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Attack {
    /// Connections that send one byte a second.
    Trickle,
    /// Clients that hang up in the middle of everything.
    HangUps,
    /// Uploads that are opened and forgotten.
    Opening,
    /// Many such uploads, lying there.
    Forgotten,
    /// Wrong logins, many at once.
    Logins,
}

impl Attack {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Trickle,
        Self::HangUps,
        Self::Opening,
        Self::Forgotten,
        Self::Logins,
    ];

    /// What it is; `{N}` stands for the number of forgotten uploads.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Trickle => "1000 connections, each a byte a second",
            Self::HangUps => "200 clients that hang up, each once a second",
            Self::Opening => "uploads opened and forgotten, 200 a second",
            Self::Forgotten => "{N} forgotten uploads lying there",
            Self::Logins => "200 wrong logins at once, every second",
        }
    }

    fn clients(self) -> u64 {
        match self {
            Self::Trickle => 1000,
            Self::HangUps | Self::Logins => 200,
            Self::Opening => 20,
            Self::Forgotten => 0,
        }
    }

    /// How often each of them does it.
    fn pace(self) -> Duration {
        match self {
            Self::Opening => Duration::from_millis(100),
            _ => Duration::from_secs(1),
        }
    }

    /// Whether attackers are users who may push.
    pub(crate) fn is_by_users(self) -> bool {
        matches!(self, Self::HangUps | Self::Opening)
    }

    /// Whether all begin at the same moment; else they are spread over the pace.
    fn is_at_once(self) -> bool {
        self == Self::Logins
    }
}

/// What an attacker knows.
#[derive(Clone, Debug)]
pub(crate) struct AttackContext {
    /// Whom it attacks.
    pub(crate) target: Arc<BenchTarget>,
    /// What there is to pull.
    pub(crate) fixture: Fixture,
    /// Tokens that are valid for it.
    pub(crate) tickets: Vec<HeaderValue>,
    /// A user who exists.
    pub(crate) user: String,
}

/// What attackers got.
#[derive(Debug, Default)]
pub(crate) struct AttackTally {
    /// How often they did it.
    pub(crate) done: AtomicU64,
    /// How often they were put off with 429 or 503.
    pub(crate) put_off: AtomicU64,
}

/// An attack under way; it ends when this is dropped.
pub(crate) struct RunningAttack {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// What they got so far.
    pub(crate) tally: Arc<AttackTally>,
}

impl RunningAttack {
    /// Begins.
    pub(crate) fn begin(attack: Attack, weapons: &AttackContext) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let tally = Arc::new(AttackTally::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let attackers = (0..attack.clients()).map(|number| Attacker {
            attack,
            number,
            weapons: weapons.clone(),
            tally: Arc::clone(&tally),
        });
        let attackers: Vec<_> = attackers.collect();
        let work = move || {
            runtime.block_on(async {
                let mut running = JoinSet::new();
                for attacker in attackers {
                    running.spawn(attacker.attack());
                }
                // A closed channel ends it as a signal does.
                let _ = stopped.await;
            });
        };
        let builder = thread::Builder::new().name("attack".to_owned());
        Ok(Self {
            stop: Some(stop),
            thread: Some(builder.spawn(work)?),
            tally,
        })
    }
}

impl Drop for RunningAttack {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Those who measure next want the CPU that it takes.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Attacker {
    attack: Attack,
    number: u64,
    weapons: AttackContext,
    tally: Arc<AttackTally>,
}

impl Attacker {
    async fn attack(self) {
        let pace = self.attack.pace();
        let mut due = SystemClock.elapsed();
        if !self.attack.is_at_once() {
            let clients = u32::try_from(self.attack.clients()).unwrap_or(1).max(1);
            due += pace * u32::try_from(self.number).unwrap_or(0) / clients;
        }
        let mut connection = None;
        for turn in self.number.. {
            sleep(due.saturating_sub(SystemClock.elapsed())).await;
            // That a server closes a connection is no failure here.
            let _ = match self.attack {
                Attack::Trickle => self.trickle().await,
                Attack::HangUps => self.hang_up(turn).await,
                Attack::Opening => self.open(turn, &mut connection).await,
                Attack::Logins => self.log_in(turn, &mut connection).await,
                Attack::Forgotten => pending().await,
            };
            due = (due + pace).max(SystemClock.elapsed());
        }
    }

    fn door(&self) -> Dialer {
        Dialer {
            source: Some(SOURCE),
            ..Dialer::plain(&self.weapons.target.host)
        }
    }

    fn ticket(&self, turn: u64) -> Result<&HeaderValue> {
        let tickets = &self.weapons.tickets;
        let at = usize::try_from(turn)? % tickets.len().max(1);
        tickets.get(at).context("no ticket")
    }

    fn count(&self, status: StatusCode) {
        self.tally.done.fetch_add(1, Ordering::Relaxed);
        let busy = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if busy.contains(&status) {
            self.tally.put_off.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends a byte a second, of headers or of a body, until the server has enough.
    async fn trickle(&self) -> Result<()> {
        let host = &self.weapons.target.host;
        let mut stream = self.door().connect().await?;
        let begin = if self.number.is_multiple_of(2) {
            format!("GET /v2/ HTTP/1.1\r\nhost: {host}\r\nx-slow: ")
        } else {
            format!(
                "POST /v2/auth HTTP/1.1\r\nhost: {host}\r\ncontent-length: 60000\r\n\
                 content-type: application/x-www-form-urlencoded\r\n\r\n"
            )
        };
        stream.write_all(begin.as_bytes()).await?;
        self.tally.done.fetch_add(1, Ordering::Relaxed);
        let mut answer = [0; 512];
        loop {
            tokio::select! {
                read = stream.read(&mut answer) => {
                    read?;
                    return Ok(());
                }
                () = sleep(Duration::from_secs(1)) => stream.write_all(b"a").await?,
            }
        }
    }

    /// Hangs up: within the headers, before the answer, within a download, within an upload, and
    /// behind the request that opens one.
    async fn hang_up(&self, turn: u64) -> Result<()> {
        let (host, ticket) = (&self.weapons.target.host, self.ticket(turn)?.to_str()?);
        let fixture = &self.weapons.fixture;
        let uploads = format!("/v2/{}/blobs/uploads/", fixture.pull);
        let head = |method: &str, path: &str| {
            format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {ticket}\r\n")
        };
        let mut sent = match turn % 5 {
            0 => head("GET", &fixture.manifest("v1")).into_bytes(),
            1 => format!("{}\r\n", head("GET", &fixture.manifest("v1"))).into_bytes(),
            2 => format!("{}\r\n", head("GET", &fixture.blob(&fixture.large))).into_bytes(),
            3 => {
                let path = format!("{uploads}?digest={}", fixture.missing);
                let length = 16 * TASTE;
                format!("{}content-length: {length}\r\n\r\n", head("POST", &path)).into_bytes()
            }
            _ => format!("{}content-length: 0\r\n\r\n", head("POST", &uploads)).into_bytes(),
        };
        if turn % 5 == 3 {
            sent.resize(sent.len() + TASTE, 7);
        }
        let mut stream = self.door().connect().await?;
        stream.write_all(&sent).await?;
        if turn % 5 == 2 {
            stream.read_exact(&mut vec![0; TASTE]).await?;
        }
        self.tally.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn open(&self, turn: u64, connection: &mut Option<Connection>) -> Result<()> {
        let ticket = self.ticket(turn)?;
        let connection = self.connected(connection).await?;
        let status = open_upload(connection, &self.weapons, ticket, turn).await?;
        self.count(status);
        Ok(())
    }

    /// Tries a wrong password, of a user who exists or of one who does not.
    async fn log_in(&self, turn: u64, connection: &mut Option<Connection>) -> Result<()> {
        let user = match self.number % 2 {
            0 => self.weapons.user.clone(),
            _ => format!("nobody{}", self.number),
        };
        let pair = STANDARD.encode(format!("{user}:wrong-{}-{turn}", self.number));
        let ask = PreparedRequest::new(Method::GET, &self.weapons.target.host, "/v2/auth")?;
        let ask = ask.header(AUTHORIZATION, &format!("Basic {pair}"))?;
        let answer = self.connected(connection).await?.send(&ask, false).await;
        if answer.is_err() {
            *connection = None;
        }
        self.count(answer?.status);
        Ok(())
    }

    async fn connected<'a>(
        &self,
        connection: &'a mut Option<Connection>,
    ) -> Result<&'a mut Connection> {
        if connection.is_none() {
            *connection = Some(Connection::through(&self.door()).await?);
        }
        connection.as_mut().context("no connection")
    }
}

/// Opens an upload and leaves it; every tenth gets a first chunk before. Returns how it was
/// answered.
pub(crate) async fn open_upload(
    connection: &mut Connection,
    weapons: &AttackContext,
    ticket: &HeaderValue,
    turn: u64,
) -> Result<StatusCode> {
    let path = format!("/v2/{}/blobs/uploads/", weapons.fixture.pull);
    let ask = weapons.target.ask(Method::POST, path)?;
    let ask = ask.authorized(Some(ticket));
    let answer = connection.send(&ask, false).await?;
    if answer.status == StatusCode::ACCEPTED && turn.is_multiple_of(WITH_A_CHUNK) {
        let ask = weapons.target.ask(Method::PATCH, location(&answer)?)?;
        let ask = ask.authorized(Some(ticket));
        let chunk = bytes::Bytes::from_static(b"the first of many");
        let status = connection.send(&ask.body(chunk), false).await?.status;
        anyhow::ensure!(status == StatusCode::ACCEPTED, "a chunk: {status}");
    }
    Ok(answer.status)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::target::RegistryProduct;

    #[tokio::test]
    async fn attackers_come_from_elsewhere_send_something_and_leave_with_their_attack() {
        for attack in Attack::ALL {
            if attack.clients() == 0 {
                continue;
            }
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let host = listener.local_addr().unwrap().to_string();
            let weapons = AttackContext {
                target: BenchTarget::new("one", RegistryProduct::Other, &host, None).into(),
                fixture: Fixture::default(),
                tickets: vec![HeaderValue::from_static("Bearer x")],
                user: "ann".to_owned(),
            };
            let assault = RunningAttack::begin(attack, &weapons).unwrap();
            let mut streams = Vec::new();
            for _ in 0..20 {
                let (mut stream, peer) = listener.accept().await.unwrap();
                assert_eq!(peer.ip(), SOURCE, "{attack:?}");
                let mut begin = [0; 4];
                stream.read_exact(&mut begin).await.unwrap();
                assert!([b"GET ", b"POST"].contains(&&begin), "{attack:?}");
                streams.push(stream);
            }
            drop(assault);
            for mut stream in streams {
                // Closed or cut off: but for what is still on its way, nothing comes any more.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    }
}
