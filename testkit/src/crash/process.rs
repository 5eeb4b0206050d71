//! The server as a process: an installation on a disk, started, killed and started again.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use http::Method;
use seawall_kernel::clock::SystemClock;
use seawall_types::Clock;

use super::wire::{Wire, WireRequest};

/// How long a start may take. It is far more than it takes, since the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// A data directory, a configuration and the binary that runs on them.
#[derive(Debug)]
pub struct LabInstallation {
    binary: PathBuf,
    directory: PathBuf,
}

impl LabInstallation {
    /// An installation in an empty directory; without a `database`, it is the embedded one. The
    /// binary is copied: one that is built meanwhile must not take its place in the middle of a
    /// run.
    pub fn new(binary: &Path, directory: &Path, database: Option<&str>) -> std::io::Result<Self> {
        let copy = directory.join("seawall");
        fs::copy(binary, &copy)?;
        let made = Self {
            binary: copy,
            directory: directory.to_owned(),
        };
        let mut config = File::create(made.config())?;
        writeln!(config, "listeners: [{{address: \"127.0.0.1:0\"}}]")?;
        writeln!(config, "log: {{format: json, level: warn}}")?;
        if let Some(url) = database {
            writeln!(config, "database: {{url: \"{url}\", max_connections: 8}}")?;
        }
        Ok(made)
    }

    fn config(&self) -> PathBuf {
        self.directory.join("seawall.yaml")
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// What the servers logged.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// The administrator's password, which the first start has written down.
    pub(super) fn password(&self) -> Result<String, String> {
        let path = self.data().join("admin-password");
        let text = fs::read_to_string(&path);
        let name = path.display();
        let text = text.map_err(|error| format!("{name}: {error}"))?;
        match text.trim_end() {
            "" => Err(format!("{name} is empty")),
            password => Ok(password.to_owned()),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .arg("--data")
            .arg(self.data())
            .arg("--config")
            .arg(self.config())
            .stdin(Stdio::null());
        command
    }

    /// Runs one of the other commands to its end.
    pub fn run(&self, arguments: &[&str]) -> std::io::Result<Output> {
        self.command(arguments).output()
    }

    /// Starts a server, without waiting for it to be up.
    pub(super) fn spawn(&self) -> std::io::Result<KilledServer> {
        let said = self.directory.join("said");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.join("log"))?;
        let child = self
            .command(&["serve"])
            .stdout(File::create(&said)?)
            .stderr(log)
            .spawn()?;
        Ok(KilledServer { child, said })
    }

    /// Starts a server and waits until it is ready by itself; says how long that took.
    pub(super) async fn start(&self) -> Result<(KilledServer, SocketAddr, Duration), String> {
        let begun = SystemClock.elapsed();
        let mut server = self.spawn().map_err(|error| error.to_string())?;
        loop {
            let took = SystemClock.elapsed().saturating_sub(begun);
            if let Some(address) = server.address()
                && is_ready(address).await
            {
                return Ok((server, address, took));
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("the server did not start again: {status}"));
            }
            if took > PATIENCE {
                return Err("the server did not become ready".to_owned());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut wire) = Wire::open(address, ("", "")).await else {
        return false;
    };
    let ask = WireRequest::new(Method::GET, "/health/ready".to_owned());
    wire.ask(ask).await.is_ok_and(|reply| reply.status == 200)
}

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct KilledServer {
    child: Child,
    said: PathBuf,
}

impl KilledServer {
    /// Where it listens, once it has said so.
    fn address(&self) -> Option<SocketAddr> {
        let said = fs::read_to_string(&self.said).ok()?;
        let (_, rest) = said.split_once("listening on http://")?;
        // Without its end, the line may not be whole.
        let (address, _) = rest.split_once('\n')?;
        address.trim().parse().ok()
    }

    /// SIGKILL, as the kernel, an operator or a supervisor would send it; waits until it is gone.
    /// An error if the server had ended before by itself.
    pub(super) fn kill(mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("the server ended by itself: {status}"));
        }
        self.child.kill().map_err(|error| error.to_string())?;
        self.child.wait().map_err(|error| error.to_string())?;
        Ok(())
    }
}

impl Drop for KilledServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
