//! The section `listeners`: addresses, each with or without TLS.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::ListenAddress;

/// One address on which the registry listens.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Listener {
    /// An IP address and a port, `localhost:PORT`, or `:PORT` for all addresses. `[::]:PORT` takes
    /// IPv4, too, unless another listener has an IPv4 address with the same port; every other IPv6
    /// address takes IPv6 only.
    pub address: ListenAddress,

    /// With TLS: the certificate and its key. Without: plain HTTP, for this machine or behind a
    /// proxy.
    pub tls: Option<TlsFiles>,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// A PEM file with the certificate, followed by those that lead to its issuer. It is read again
    /// when it changes and on SIGHUP.
    pub certificate_file: PathBuf,

    /// A PEM file with the private key.
    pub key_file: PathBuf,
}
