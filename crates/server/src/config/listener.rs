//! The sections `listeners` and `management`.

use std::path::PathBuf;

use schemars::JsonSchema;
use seawall_types::Secret;
use seawall_types::basic::Credentials;
use serde::{Deserialize, Serialize};

use super::address::Address;
use super::error::Invalid;
use super::hidden;

/// One address on which the registry listens.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Listener {
    /// An IP address and a port, `localhost:PORT`, or `:PORT` for all addresses. `[::]:PORT` takes IPv4, too, unless another
    /// listener has an IPv4 address with the same port; every other IPv6 address takes IPv6 only.
    pub address: Address,

    /// With TLS: the certificate and its key. Without: plain HTTP, for this machine or behind a proxy.
    pub tls: Option<Tls>,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// A PEM file with the certificate, followed by those that lead to its issuer. It is read again when it changes and on
    /// SIGHUP.
    pub certificate_file: PathBuf,

    /// A PEM file with the private key.
    pub key_file: PathBuf,
}

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
