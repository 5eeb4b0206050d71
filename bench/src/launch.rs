//! Starting registries: Seawall as it is shipped, the others as they are packaged but without
//! authorization and logs. Each gets a directory of its own and a port on 127.0.0.1.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http::Method;
use tokio::time::sleep;

use crate::connection::Connection;
use crate::process::{Process, feed, output_of};
use crate::target::{BenchTarget, Login, RegistryProduct};
use crate::tls::{CERTIFICATE, KEY, TlsEndpoint};

/// How often a starting registry is asked whether it is there, and how many times.
const POLL: Duration = Duration::from_millis(50);
const POLLS: u32 = 600;

/// The packaged configuration of the peers (storage with a cache of descriptors in memory, deletion
/// allowed, health check) without what logs and authorizes.
const PEER: &str = "\
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: ROOT}
  delete: {enabled: true}
http: {addr: '127.0.0.1:PORT', headers: {X-Content-Type-Options: [nosniff]}}
health: {storagedriver: {enabled: true, interval: 10s, threshold: 3}}
";

/// Everything as shipped, but for the limits of connections: the load comes from one address.
const SEAWALL: &str = "\
limits: {connections: 20000, connections_per_address: 20000}
listeners:
- {address: '127.0.0.1:PORT'}
";

/// A second listener of Seawall's.
const SECURE_TOO: &str = "\
- {address: '127.0.0.1:SECURE', tls: {certificate_file: 'CERTIFICATE', key_file: 'KEY'}}
";

/// A program that can be started any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Which registry it is.
    pub(crate) kind: RegistryProduct,
    /// What it is called in the table.
    pub(crate) name: &'static str,
    /// Where it is.
    pub(crate) path: PathBuf,
}

/// A registry that was started here.
#[derive(Debug)]
pub(crate) struct RunningRegistry {
    /// What answers.
    pub(crate) target: BenchTarget,
    /// What keeps it alive.
    pub(crate) process: Process,
}

impl Program {
    /// The version that the program says it has.
    fn version(&self) -> String {
        let said = output_of(&self.path, &["--version"]).unwrap_or_default();
        let word = said.split_whitespace().last().unwrap_or("?");
        word.trim_end_matches("+unknown").to_owned()
    }

    /// Starts it with an empty store in `folder`, which is made, and waits until it answers.
    /// Seawall speaks TLS, too.
    pub(crate) async fn start(&self, folder: &Path) -> Result<RunningRegistry> {
        self.start_with(folder, self.kind == RegistryProduct::Seawall)
            .await
    }

    /// Starts it with TLS only where it is asked for.
    pub(crate) async fn start_with(&self, folder: &Path, tls: bool) -> Result<RunningRegistry> {
        fs::create_dir_all(folder)?;
        let port = free_port()?;
        let (config, log) = (folder.join("config.yaml"), folder.join("log"));
        let (data, config_text) = (folder.join("data"), config.display().to_string());
        let root = data.display().to_string();
        let (template, arguments) = match self.kind {
            RegistryProduct::Seawall => (
                SEAWALL,
                vec!["serve", "--data", &root, "--config", &config_text],
            ),
            _ => (PEER, vec!["serve", &config_text]),
        };
        let secure_port = free_port()?;
        let inside = |name: &str| folder.join(name).display().to_string();
        let text = template.to_owned() + if tls { SECURE_TOO } else { "" };
        let text = text
            .replace("PORT", &port.to_string())
            .replace("SECURE", &secure_port.to_string())
            .replace("CERTIFICATE", &inside(CERTIFICATE))
            .replace("KEY", &inside(KEY))
            .replace("ROOT", &root);
        fs::write(&config, text)?;
        let address = format!("127.0.0.1:{secure_port}");
        let secure = tls.then(|| TlsEndpoint::prepare(folder, &address));
        let secure = secure.transpose()?;
        let mut process = Process::start(&self.path, &arguments, &log)?;
        let host = format!("127.0.0.1:{port}");
        if let Err(error) = wait_until_ready(&host, self.kind, &mut process).await {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let last = said.lines().last().unwrap_or_default().to_owned();
            return Err(error.context(last));
        }
        let login = self.login(&data)?;
        let mut target = BenchTarget::new(self.name, self.kind, &host, login);
        target.version = self.version();
        target.pid = Some(process.pid());
        target.secure = secure;
        target.discover().await?;
        Ok(RunningRegistry { target, process })
    }

    /// Adds a user to the installation in `folder`, which may be running.
    pub(crate) fn add_user(&self, folder: &Path, login: &Login, admin: bool) -> Result<()> {
        let inside = |name: &str| folder.join(name).display().to_string();
        let (data, config) = (inside("data"), inside("config.yaml"));
        let mut arguments = vec!["user", "add", &login.user, "--password-stdin"];
        arguments.extend(["--data", &data, "--config", &config]);
        if admin {
            arguments.push("--admin");
        }
        feed(&self.path, &arguments, &login.password)
    }

    fn login(&self, data: &Path) -> Result<Option<Login>> {
        if self.kind != RegistryProduct::Seawall {
            return Ok(None);
        }
        let password = fs::read_to_string(data.join("admin-password"))
            .context("reading the administrator's password")?;
        Ok(Some(Login {
            user: "admin".to_owned(),
            password: password.trim().to_owned(),
        }))
    }
}

async fn wait_until_ready(host: &str, kind: RegistryProduct, process: &mut Process) -> Result<()> {
    let path = match kind {
        RegistryProduct::Seawall => "/health/ready",
        _ => "/v2/",
    };
    for _ in 0..POLLS {
        if process.has_ended() {
            bail!("the registry ended at once");
        }
        if is_ready(host, path).await.unwrap_or(false) {
            return Ok(());
        }
        sleep(POLL).await;
    }
    bail!("the registry does not answer")
}

async fn is_ready(host: &str, path: &str) -> Result<bool> {
    let ask = crate::client::PreparedRequest::new(Method::GET, host, path)?;
    let answer = Connection::open(host).await?.send(&ask, false).await?;
    Ok(answer.status.is_success())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
