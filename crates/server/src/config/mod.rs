//! The configuration: one YAML file, every key also by environment, secrets by file.
//!
//! Each section is one struct with its documentation, its defaults and its `validate`; `seawall config example` is
//! generated from them (see [`example`]) so that it cannot go stale. They are kept here and
//! not in the crates that they set, which therefore know no file format; `compose` hands the values on.
//!
//! Loading is our own small layer over `yaml_serde` and `serde_path_to_error` and not the crate `config`, because that one
//! knows neither the line and column of a value nor the environment variable it came from once the sources are merged, and
//! both are what an operator needs to read when the server refuses to start.
//!
//! Nothing here opens a database, a socket or a data directory; a configuration can be checked anywhere.

mod access;
pub mod address;
mod cache;
mod database;
mod environment;
pub mod error;
pub mod example;
pub mod load;
mod locate;
mod log;
mod management;
mod manifests;
mod schema;
mod storage;
mod tokens;
mod uploads;
mod usage;

use std::path::PathBuf;

use schemars::JsonSchema;
use seawall_types::Secret;
use serde::{Deserialize, Serialize, Serializer};

pub use access::Access;
pub use cache::Cache;
pub use database::Database;
pub use error::{ConfigError, Problem};
pub use load::{Sources, load, parse};
pub use log::{Log, LogFormat};
pub use management::Management;
pub use manifests::{Manifests, Policy};
pub use seawall_net::config::{Address, Limits, Listener, Shutdown, Tls};
pub use storage::{Location, Storage};
pub use tokens::Tokens;
pub use uploads::Uploads;
pub use usage::Usage;

use address::{Network, PublicUrl};
use error::Invalid;

/// All that can be configured.
///
/// Relative paths are taken from the directory in which the process was started, where a key does not say otherwise.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The directory of everything that Seawall keeps by itself: the embedded database, local blobs, the installation's
    /// secret. `--data` and SEAWALL_DATA come before this key.
    pub data: PathBuf,

    /// Where the registry listens. Several addresses may be given, each with or without TLS.
    pub listeners: Vec<Listener>,

    /// Who is told of `/metrics`, and more than the status by `/health/ready`.
    pub management: Management,

    /// The address under which clients reach the registry, such as `https://registry.example.com`. Without it the Host of each
    /// request is used.
    pub public_url: Option<PublicUrl>,

    /// Networks whose `X-Forwarded-*` and `Forwarded` headers are believed, such as `10.0.0.0/8`. Where a proxy sends both,
    /// `X-Forwarded-For` counts; a proxy that speaks only `Forwarded` must remove `X-Forwarded-For` from what it passes on.
    #[schemars(extend("examples" = [["10.0.0.0/8", "fd00::/8"]]))]
    pub trusted_proxies: Vec<Network>,

    /// Where metadata is kept.
    pub database: Database,

    /// Where the bytes of blobs are kept.
    pub storage: Storage,

    /// What was read before, kept in memory.
    pub cache: Cache,

    /// What may be done without having been granted it first.
    pub access: Access,

    /// The tokens that clients get from `/v2/auth`.
    pub tokens: Tokens,

    /// Uploads of blobs.
    pub uploads: Uploads,

    /// Manifests that say what is not so here.
    pub manifests: Manifests,

    /// Limits of connections and requests.
    pub limits: Limits,

    /// How the server stops on SIGTERM or SIGINT. A second signal stops it at once.
    pub shutdown: Shutdown,

    /// The log, which goes to standard error.
    pub log: Log,

    /// The activity log and the counts of pulls.
    pub usage: Usage,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("./data"),
            listeners: vec![Listener::default()],
            management: Management::default(),
            public_url: None,
            trusted_proxies: Vec::new(),
            database: Database::default(),
            storage: Storage::default(),
            cache: Cache::default(),
            access: Access::default(),
            tokens: Tokens::default(),
            uploads: Uploads::default(),
            manifests: Manifests::default(),
            limits: Limits::default(),
            shutdown: Shutdown::default(),
            log: Log::default(),
            usage: Usage::default(),
        }
    }
}

impl Config {
    /// What the types alone cannot say: ranges, and what must not or must be given together.
    fn validate(&self) -> Vec<Invalid> {
        let mut found = Vec::new();
        if self.data.as_os_str().is_empty() {
            found.push(Invalid::new("data", "expected the path of a directory"));
        }
        if self.listeners.is_empty() {
            found.push(Invalid::new("listeners", "expected at least one listener"));
        }
        for (index, listener) in self.listeners.iter().enumerate() {
            let repeated = self.listeners[..index]
                .iter()
                .any(|earlier| earlier.address == listener.address && listener.address.port() != 0);
            if repeated {
                found.push(Invalid::new(
                    format!("listeners[{index}].address"),
                    "is given twice",
                ));
            }
        }
        found.extend(self.management.validate());
        found.extend(self.database.validate());
        found.extend(self.storage.validate());
        found.extend(self.cache.validate());
        found.extend(self.tokens.validate());
        found.extend(self.uploads.validate());
        found.extend(Invalid::ranges("limits", &self.limits.ranges()));
        found.extend(self.log.validate());
        found
    }
}

/// A secret is not written, only that there is one.
#[expect(
    clippy::ref_option,
    reason = "serde gives a reference to the field as it is"
)]
fn hidden<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|_| "[secret]").serialize(serializer)
}
