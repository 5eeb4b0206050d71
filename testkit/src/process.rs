//! `Site` and `ServerProcess`: the real binary as a process, on a directory and a database of its
//! own.
//!
//! Processes get no environment but what the test gives them, write to files, and die with the
//! value that stands for them, however the test ends.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use seawall::compose;
use seawall_meta::fixture::{DatabaseBackend, TestDatabase};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::disk::SmallDisk;
use crate::wire::Wire;

/// How long a process may take to start or to end; more than it ever needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where servers and commands run: a directory, a configuration, a database.
pub struct Site {
    binary: PathBuf,
    environment: Vec<(String, String)>,
    starts: std::sync::atomic::AtomicU32,
    disk: Option<SmallDisk>,
    // Fields are dropped in order: the database is in no use when it goes.
    database: Option<TestDatabase>,
    directory: tempfile::TempDir,
}

impl Site {
    /// A site for this binary, on the database that `SEAWALL_TEST_DB` says; its schema is up to
    /// date unless it is SQLite's, which `serve` sees to.
    pub async fn new(binary: &str) -> Self {
        let backend = DatabaseBackend::chosen().expect("SEAWALL_TEST_DB");
        let database = match backend {
            DatabaseBackend::Sqlite => None,
            // What `seawall migrate apply` does, but cloned from a template where that is cheaper.
            _ => Some(TestDatabase::migrated(backend, &compose::migrations()).await),
        };
        Self::over(binary, database.map(|made| made.expect("a database")))
    }

    /// The same, with an empty database.
    pub async fn bare(binary: &str) -> Self {
        let backend = DatabaseBackend::chosen().expect("SEAWALL_TEST_DB");
        let database = match backend {
            // Defaults are part of what is tested.
            DatabaseBackend::Sqlite => None,
            _ => Some(TestDatabase::create(backend).await.expect("a database")),
        };
        Self::over(binary, database)
    }

    fn over(binary: &str, database: Option<TestDatabase>) -> Self {
        let mut environment = Vec::new();
        if let Some(database) = &database {
            environment.push(("SEAWALL__DATABASE__URL".to_owned(), database.url.clone()));
        }
        Self {
            binary: binary.into(),
            environment,
            starts: 0.into(),
            disk: None,
            database,
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    /// Whether the database is the embedded one.
    pub fn is_embedded(&self) -> bool {
        self.database.is_none()
    }

    /// The directory in which everything is started.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.directory().join("data")
    }

    /// The database's address.
    pub fn database_url(&self) -> String {
        match &self.database {
            Some(database) => database.url.clone(),
            None => format!("sqlite:{}", self.data().join("seawall.db").display()),
        }
    }

    /// Gives all processes that start from now on a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Gives all processes that start from now on a configuration.
    pub fn configure(&mut self, yaml: &str) {
        self.write("seawall.yaml", yaml);
        self.set("SEAWALL_CONFIG", "seawall.yaml");
    }

    /// Mounts a small file system on this directory for every server that starts from now on;
    /// `false` where it is closed. Commands do not see it.
    pub async fn mount(&mut self, place: &Path, mebibytes: u32) -> bool {
        self.disk = SmallDisk::at(place, mebibytes).await;
        self.disk.is_some()
    }

    /// The file system that was mounted.
    pub fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("a mounted file system")
    }

    /// Writes a file beside the data directory; says its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory().join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear();
        self.prepare(command, arguments)
    }

    fn prepare(&self, mut command: Command, arguments: &[&str]) -> Command {
        command
            .args(arguments)
            .current_dir(self.directory())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end, without a terminal.
    pub async fn run(&self, arguments: &[&str]) -> CommandResult {
        self.run_with(arguments, "").await
    }

    /// Runs a command to its end with this on its standard input.
    pub async fn run_with(&self, arguments: &[&str], input: &str) -> CommandResult {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A command that does not read may have ended already.
        drop(stdin.write_all(input.as_bytes()).await);
        drop(stdin);
        let output = timeout(PATIENCE, child.wait_with_output()).await;
        let output = output.expect("an end in time").expect("an end");
        CommandResult {
            asked: arguments.join(" "),
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Starts a server on a free port of 127.0.0.1 and waits until it is ready.
    pub async fn serve(&self) -> ServerProcess {
        self.serve_with(&["--listen", "127.0.0.1:0"]).await
    }

    /// Starts a server with these arguments and waits until it is ready.
    pub async fn serve_with(&self, arguments: &[&str]) -> ServerProcess {
        let mut server = self.start(arguments);
        let ready = timeout(PATIENCE, server.be_ready()).await;
        let output = server.output();
        assert!(
            ready.is_ok_and(|ready| ready),
            "it does not start:\n{output}"
        );
        server
    }

    fn start(&self, arguments: &[&str]) -> ServerProcess {
        let count = self
            .starts
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = |kind| self.directory().join(format!("{kind}-{count}.txt"));
        let (out, err) = (path("out"), path("err"));
        let file = |path: &Path| fs::File::create(path).expect("a file");
        let arguments = [&["serve"], arguments].concat();
        let mut command = match &self.disk {
            Some(disk) => self.prepare(disk.command(&self.binary), &arguments),
            None => self.command(&arguments),
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(file(&out))
            .stderr(file(&err))
            .spawn()
            .expect("the binary runs");
        let id = child.id().expect("a process that runs");
        ServerProcess {
            child,
            out,
            err,
            admin_password: SmallDisk::seen_by(id, &self.data().join("admin-password")),
            addresses: Vec::new(),
            management: None,
        }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct CommandResult {
    /// The arguments, for messages.
    pub asked: String,
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl CommandResult {
    /// Fails the test unless the exit code is this one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "{}\n{}\n{}",
            self.asked,
            self.out,
            self.err
        );
        self
    }

    /// Fails the test unless it ended with this code, having said this and only on standard error.
    #[track_caller]
    pub fn refused(self, code: i32, word: &str) -> Self {
        let done = self.expect(code);
        assert!(done.err.contains(word), "{}: {}", done.asked, done.err);
        assert_eq!(done.out, "", "{}", done.asked);
        done
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).expect("JSON")
    }
}

/// A server that runs.
pub struct ServerProcess {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    admin_password: PathBuf,
    addresses: Vec<SocketAddr>,
    management: Option<SocketAddr>,
}

impl ServerProcess {
    /// Waits for the banner and then for readiness; false if the process ends before.
    async fn be_ready(&mut self) -> bool {
        // The listeners' lines come before the data directory's.
        while !self.banner().contains("\n  data in ") {
            if self.child.try_wait().expect("a process").is_some() {
                return false;
            }
            sleep(Duration::from_millis(10)).await;
        }
        let banner = self.banner();
        let behind = |word: &str| {
            let lines = banner
                .lines()
                .filter_map(|line| line.trim().strip_prefix(word));
            let address = |line: &str| line.split_once("://")?.1.parse().ok();
            lines.filter_map(address).collect::<Vec<SocketAddr>>()
        };
        self.addresses = behind("listening on ");
        self.management = behind("health and metrics on ").pop();
        if banner.contains("listening on https") && self.management.is_none() {
            return true;
        }
        let asked = self.management.unwrap_or_else(|| self.address());
        while self.at(asked).get("/health/ready").send().await.status != 200 {
            sleep(Duration::from_millis(10)).await;
        }
        true
    }

    /// The address of the first listener.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The addresses of all listeners.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address for health and metrics, where there is one of its own.
    pub fn management(&self) -> SocketAddr {
        self.management.expect("a management listener")
    }

    /// The way to the first listener.
    pub fn wire(&self) -> Wire {
        Wire::to(self.address())
    }

    /// An anonymous client.
    pub fn anonymous(&self) -> Client {
        self.at(self.address())
    }

    /// An anonymous client at this address.
    pub fn at(&self, address: SocketAddr) -> Client {
        Client::over(Wire::to(address))
    }

    /// The first administrator.
    pub fn admin(&self) -> Client {
        let password = fs::read_to_string(&self.admin_password).expect("a password");
        self.anonymous().with_password("admin", password.trim())
    }

    /// What it wrote to standard output.
    pub fn banner(&self) -> String {
        fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// What it wrote to standard error: its log.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// All that it wrote.
    pub fn output(&self) -> String {
        format!("{}{}", self.banner(), self.log())
    }

    /// Waits until the log has this; fails the test if it never does.
    pub async fn logged(&self, word: &str) {
        let waiting = async {
            while !self.log().contains(word) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let log = timeout(PATIENCE, waiting).await.map_err(|_| self.log());
        assert_eq!(log, Ok(()), "never logged: {word}");
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("a process that runs")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process"), signal).expect("a signal");
    }

    /// Waits for its end; the exit code, `None` after a signal that it did not catch.
    pub async fn ended(&mut self) -> Option<i32> {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.expect("an end in time").expect("an end").code()
    }

    /// Stops it as an operator does, and fails the test unless it ends well.
    pub async fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.ended().await, Some(0), "{}", self.output());
    }

    /// Ends it without giving it the time for anything.
    pub async fn kill(mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.ended().await, None);
    }
}
