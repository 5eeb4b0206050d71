//! The section `management`.

use std::path::PathBuf;

use schemars::JsonSchema;
use seawall_net::config::Address;
use seawall_types::Secret;
use seawall_types::basic::Credentials;
use serde::{Deserialize, Serialize};

use super::error::Invalid;
use super::hidden;

/// Who is told of `/metrics`, and more than the status by `/health/ready`. Without any of these keys it is this machine: who asks
/// for localhost or 127.0.0.1, and not through a proxy.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Management {
    /// The address of a listener of its own, plain HTTP, for whoever reaches it. With it, `/health/live`, `/health/ready` and
    /// `/metrics` are served there and nowhere else.
    #[schemars(extend("examples" = ["127.0.0.1:5001"]))]
    pub address: Option<Address>,

    /// A token of at least 16 letters; who sends it as `Authorization: Bearer` is told everything on the registry's own listeners,
    /// too.
    #[serde(serialize_with = "hidden")]
    #[schemars(with = "Option<String>")]
    pub token: Option<Secret>,

    /// A file that holds the `token`, so that it need not stand here.
    pub token_file: Option<PathBuf>,
}

const LEAST_TOKEN: usize = 16;

impl Management {
    pub(super) fn validate(&self) -> Option<Invalid> {
        let token = self.token.as_ref()?.expose();
        let sound =
            token.len() >= LEAST_TOKEN && Credentials::parse(&format!("Bearer {token}")).is_ok();
        (!sound).then(|| {
            let expected = "expected at least 16 letters, digits and any of -._~+/";
            Invalid::new("management.token", expected)
        })
    }
}
