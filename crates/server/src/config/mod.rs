//! The configuration of the program: its own keys, and the sections of the crates that it is made
//! of.
//!
//! A section is the `Config` of the crate that acts on it, with its documentation, defaults and
//! rules ([`seawall_config::Section`]); only what the process itself does is kept here: listeners,
//! proxies, the end, the log. The sections of features are not named here: each comes with its
//! feature, and its value is found in [`Config::features`].

pub mod address;
mod load;
mod log;
mod management;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use schemars::JsonSchema;
use seawall_config::{RootSection, RuleViolation, SecretKey, Section, SectionValues};
use serde::{Deserialize, Serialize};

pub use load::{HEAD, ServerSources, load};
pub use log::{LogConfig, LogFormat};
pub use management::ManagementConfig;
pub use seawall_net::config::{Limits, ListenAddress, Listener, Shutdown, TlsFiles};

use address::{Network, PublicUrl};

/// All that can be configured.
///
/// Relative paths are taken from the directory in which the process was started, where a key does
/// not say otherwise.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The directory of everything that Seawall keeps by itself: the embedded database, local
    /// blobs, the installation's secret. `--data` and SEAWALL_DATA come before this key.
    pub data: PathBuf,

    /// Where the registry listens. Several addresses may be given, each with or without TLS.
    pub listeners: Vec<Listener>,

    /// Who may read `/metrics`, and more than the status from `/health/ready`.
    pub management: ManagementConfig,

    /// The address under which clients reach the registry, such as `https://registry.example.com`.
    /// Without it the Host of each request is used.
    pub public_url: Option<PublicUrl>,

    /// Networks whose `X-Forwarded-*` and `Forwarded` headers are believed, such as `10.0.0.0/8`.
    /// Where a proxy sends both, `X-Forwarded-For` counts; a proxy that speaks only `Forwarded`
    /// must remove `X-Forwarded-For` from what it passes on.
    #[schemars(extend("examples" = [["10.0.0.0/8", "fd00::/8"]]))]
    pub trusted_proxies: Vec<Network>,

    /// Where metadata is kept.
    pub database: seawall_meta::Config,

    /// Where the bytes of blobs are kept.
    pub storage: seawall_blob::Config,

    /// What was read before, kept in memory.
    pub cache: seawall_kernel::CacheConfig,

    /// What may be done without having been granted it first.
    pub access: seawall_kernel::AccessSettings,

    /// The tokens that clients get from `/v2/auth`.
    pub tokens: seawall_accounts::Config,

    /// Uploads of blobs.
    pub uploads: seawall_registry::UploadsConfig,

    /// Manifests: which are taken that say what is not so here, and how long deleted ones are kept.
    pub manifests: seawall_registry::ManifestsConfig,

    /// Lists of tags and repositories.
    pub listings: seawall_registry::ListingsConfig,

    /// Limits of connections and requests.
    pub limits: Limits,

    /// How the server stops on SIGTERM or SIGINT. A second signal stops it at once.
    pub shutdown: Shutdown,

    /// The log, which goes to standard error.
    pub log: LogConfig,

    /// The sections of features, by their names.
    #[serde(skip)]
    pub features: SectionValues,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("./data"),
            listeners: vec![Listener::default()],
            management: ManagementConfig::default(),
            public_url: None,
            trusted_proxies: Vec::new(),
            database: seawall_meta::Config::default(),
            storage: seawall_blob::Config::default(),
            cache: seawall_kernel::CacheConfig::default(),
            access: seawall_kernel::AccessSettings::default(),
            tokens: seawall_accounts::Config::default(),
            uploads: seawall_registry::UploadsConfig::default(),
            manifests: seawall_registry::ManifestsConfig::default(),
            listings: seawall_registry::ListingsConfig::default(),
            limits: Limits::default(),
            shutdown: Shutdown::default(),
            log: LogConfig::default(),
            features: SectionValues::default(),
        }
    }
}

impl Section for Config {
    fn validate(&self) -> Vec<RuleViolation> {
        let mut found = Vec::new();
        if self.data.as_os_str().is_empty() {
            found.push(RuleViolation::new(
                "data",
                "expected the path of a directory",
            ));
        }
        found.extend(self.listeners_twice());
        for (name, rules) in [
            ("management", self.management.validate()),
            ("database", self.database.validate()),
            ("storage", self.storage.validate()),
            ("cache", self.cache.validate()),
            ("access", self.access.validate()),
            ("tokens", self.tokens.validate()),
            ("uploads", self.uploads.validate()),
            ("manifests", self.manifests.validate()),
            ("listings", self.listings.validate()),
            ("limits", self.limits.validate()),
            ("log", self.log.validate()),
        ] {
            found.extend(RuleViolation::under(name, rules));
        }
        found
    }

    fn secrets(&mut self) -> Vec<SecretKey<'_>> {
        let mut secrets = SecretKey::under("database", self.database.secrets());
        secrets.extend(SecretKey::under("management", self.management.secrets()));
        secrets
    }
}

impl RootSection for Config {
    fn values(&mut self) -> &mut SectionValues {
        &mut self.features
    }
}

impl Config {
    /// There is a listener, and no two with one address.
    fn listeners_twice(&self) -> Vec<RuleViolation> {
        if self.listeners.is_empty() {
            return vec![RuleViolation::new(
                "listeners",
                "expected at least one listener",
            )];
        }
        let repeated = |index: usize, listener: &Listener| {
            let earlier = self.listeners.iter().take(index);
            let mut same = earlier.filter(|earlier| earlier.address == listener.address);
            same.next().is_some() && listener.address.port() != 0
        };
        let listeners = self.listeners.iter().enumerate();
        listeners
            .filter(|(index, listener)| repeated(*index, listener))
            .map(|(index, _)| {
                RuleViolation::new(format!("listeners[{index}].address"), "is given twice")
            })
            .collect()
    }
}
