//! A database server that went silent or stands still: the process goes on by itself as soon as it
//! can, and ends when it is told to.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use seawall_meta::fixture::{DatabaseBackend, TestProxy};
use seawall_testkit::{Client, ServerProcess, Site, TestImage};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::{PASSWORD, add_user, site};

const URL: &str = "SEAWALL__DATABASE__URL";

/// Connections that the process may have.
const MOST: usize = 4;

async fn ready(site: &Site) -> (ServerProcess, Client, TestImage) {
    let server = site.serve().await;
    add_user(site, "ann").await;
    let ann = server.anonymous().with_password("ann", PASSWORD);
    let image = TestImage::new(1, 2);
    ann.push("ann/app", "v1", &image).await;
    ann.pull("ann/app", "v1", &image).await;
    (server, ann, image)
}

/// The SQL statements of the last request that is in the log.
fn last_reads(server: &ServerProcess) -> Option<u64> {
    let log = server.log();
    let line = log.lines().rfind(|line| line.contains("\"reads\":"))?;
    let (_, rest) = line.split_once("\"reads\":")?;
    rest.split([',', '}']).next()?.parse().ok()
}

/// Waits until a warm pull asks the database nothing.
async fn pulls_warm(server: &ServerProcess, ann: &Client) {
    let pulling = async {
        loop {
            let answer = ann.get("/v2/ann/app/manifests/v1").send().await;
            sleep(Duration::from_millis(200)).await;
            if answer.status == 200 && last_reads(server) == Some(0) {
                return;
            }
        }
    };
    let pulled = timeout(Duration::from_secs(30), pulling).await;
    assert!(pulled.is_ok(), "pulls stay cold: {}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_its_connections_went_silent_pulls_are_warm_again_soon_and_it_ends_when_told() {
    let mut site = site().await;
    if site.is_embedded() {
        return;
    }
    let (proxy, url) = TestProxy::before(&site.database_url()).unwrap();
    site.set(URL, &url);
    let (mut server, ann, image) = ready(&site).await;
    proxy.swallow();
    server
        .logged("the change log cannot be read, retrying")
        .await;
    server.logged("the change log can be read again").await;
    pulls_warm(&server, &ann).await;
    ann.push("ann/app", "v2", &image).await;

    proxy.swallow();
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await, Some(0), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_stands_still_it_meets_no_more_than_its_budget_and_all_returns() {
    let mut site = site().await;
    if site.is_embedded() {
        return;
    }
    let servers = Servers::start().await;
    site.set(URL, &servers.url);
    site.set("SEAWALL__DATABASE__MAX_CONNECTIONS", &MOST.to_string());
    site.set("SEAWALL__DATABASE__STATEMENT_TIMEOUT_MS", "2000");
    site.set("SEAWALL__DATABASE__ACQUIRE_TIMEOUT_MS", "1000");
    site.run(&["migrate", "apply"]).await.expect(0);
    let (server, ann, image) = ready(&site).await;

    servers.signal(Signal::STOP);
    let mut most = 0;
    for round in 0..60 {
        // What is not remembered, for ten callers who do not wait for it.
        let paths = (0..10).map(|number| format!("/v2/ann/app/manifests/no-{round}-{number}"));
        let asking = paths.map(|path| {
            let ann = ann.clone();
            async move { ann.get(&path).send().await }
        });
        drop(
            timeout(
                Duration::from_millis(200),
                futures::future::join_all(asking),
            )
            .await,
        );
        most = most.max(servers.sockets());
    }
    servers.signal(Signal::CONT);
    assert!((1..=MOST + 1).contains(&most), "{most} sockets");
    pulls_warm(&server, &ann).await;
    let pushing = async {
        while ann.get("/v2/ann/app/manifests/none").send().await.status != 404 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_mins(1), pushing).await.unwrap();
    ann.push("ann/app", "v2", &image).await;
    let sockets = servers.sockets();
    assert!(sockets <= MOST, "{sockets} sockets");
    server.stop().await;
}

/// Database servers of this test alone, which end with it.
struct Servers {
    url: String,
    port: u16,
    // They end when their standard input does.
    _child: Child,
}

impl Servers {
    async fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/servers.sh");
        let told = "echo \"$SEAWALL_TEST_POSTGRES $SEAWALL_TEST_MYSQL\"; exec cat";
        let mut child = Command::new(script)
            .args(["run", "--", "sh", "-c", told])
            .env("SEAWALL_TEST_FSYNC", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).await.unwrap();
        let (postgres, mariadb) = line.trim().split_once(' ').unwrap();
        let url = match DatabaseBackend::chosen().unwrap() {
            DatabaseBackend::Postgres => postgres,
            _ => mariadb,
        };
        let address = url.rsplit_once('@').unwrap().1;
        let port = address.split([':', '/']).nth(1).unwrap();
        Self {
            url: url.to_owned(),
            port: port.parse().unwrap(),
            _child: child,
        }
    }

    /// Signals the server and its children.
    fn signal(&self, signal: Signal) {
        let server = processes(|id| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            let port = self.port;
            line.contains(&format!("-p\0{port}\0")) || line.contains(&format!("--port={port}\0"))
        });
        let children = processes(|id| {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
            let parent = rest.split(' ').nth(1).and_then(|id| id.parse().ok());
            parent.is_some_and(|parent| server.contains(&parent))
        });
        assert!(!server.is_empty(), "no server on port {}", self.port);
        for id in server.into_iter().chain(children) {
            // A connection's process may have ended meanwhile.
            let _ = kill_process(Pid::from_raw(id).unwrap(), signal);
        }
    }

    /// How many sockets are connected to the server, or about to be.
    fn sockets(&self) -> usize {
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let port = format!(":{:04X}", self.port);
        let open = |line: &&str| {
            let mut columns = line.split_whitespace().skip(2);
            let there = columns.next().is_some_and(|peer| peer.ends_with(&port));
            there && matches!(columns.next(), Some("01" | "02"))
        };
        table.lines().filter(open).count()
    }
}

/// Processes like this.
fn processes(is: impl Fn(i32) -> bool) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| is(*id)).collect()
}
