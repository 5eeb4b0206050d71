//! The section `management`.

use std::path::PathBuf;

use schemars::JsonSchema;
use seawall_config::{RuleViolation, SecretKey, Section};
use seawall_net::config::ListenAddress;
use seawall_types::Secret;
use seawall_types::basic::Credentials;
use serde::{Deserialize, Serialize};

/// Who may read `/metrics`, and more than the status from `/health/ready`. Without any of these
/// keys it is this machine: who asks for localhost or 127.0.0.1, and not through a proxy.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManagementConfig {
    /// The address of a listener of its own, plain HTTP, open to all who reach it. With it,
    /// `/health/live`, `/health/ready` and `/metrics` are served there and nowhere else.
    #[schemars(extend("examples" = ["127.0.0.1:5001"]))]
    pub address: Option<ListenAddress>,

    /// A token of at least 16 letters; who sends it as `Authorization: Bearer` sees everything
    /// on the registry's own listeners, too.
    #[serde(serialize_with = "seawall_config::hidden")]
    #[schemars(with = "Option<String>")]
    pub token: Option<Secret>,

    /// A file that holds the `token`, so that it need not stand here.
    pub token_file: Option<PathBuf>,
}

const LEAST_TOKEN: usize = 16;

impl Section for ManagementConfig {
    fn validate(&self) -> Vec<RuleViolation> {
        let Some(token) = self.token.as_ref().map(Secret::expose) else {
            return Vec::new();
        };
        if token.len() >= LEAST_TOKEN && Credentials::parse(&format!("Bearer {token}")).is_ok() {
            return Vec::new();
        }
        let expected = "expected at least 16 letters, digits and any of -._~+/";
        vec![RuleViolation::new("token", expected)]
    }

    fn secrets(&mut self) -> Vec<SecretKey<'_>> {
        let file = self.token_file.as_ref();
        vec![SecretKey::new("token", &mut self.token, file)]
    }
}
