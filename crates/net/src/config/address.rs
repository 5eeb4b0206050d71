//! Addresses of sockets as they are written in a configuration. Nothing is resolved by name: a
//! configuration means the same on every machine.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An address to listen on. `:5000` means all addresses, `localhost:5000` means 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ListenAddress(SocketAddr);

impl ListenAddress {
    /// The address of the socket.
    pub fn socket(self) -> SocketAddr {
        self.0
    }

    /// The port; 0 lets the system choose one.
    pub fn port(self) -> u16 {
        self.0.port()
    }
}

impl Default for ListenAddress {
    fn default() -> Self {
        Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5000))
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self(address)
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = |rest: &str, address: IpAddr| {
            let port = rest.parse().ok()?;
            Some(SocketAddr::new(address, port))
        };
        let address = if let Some(port) = text.strip_prefix("localhost:") {
            named(port, Ipv4Addr::LOCALHOST.into())
        } else if let Some(port) = text.strip_prefix(':') {
            named(port, Ipv6Addr::UNSPECIFIED.into())
        } else {
            text.parse().ok()
        };
        address.map(Self).ok_or_else(|| {
            format!(
                "expected an IP address and a port, such as 0.0.0.0:5000 or [::]:5000, not {text:?}"
            )
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ListenAddress> for String {
    fn from(address: ListenAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, meant) in [
            ("0.0.0.0:5000", "0.0.0.0:5000"),
            ("[::1]:5000", "[::1]:5000"),
            (":5000", "[::]:5000"),
            ("localhost:80", "127.0.0.1:80"),
        ] {
            assert_eq!(
                text.parse::<ListenAddress>().map(|a| a.to_string()),
                Ok(meant.to_owned())
            );
        }
        for text in [
            "",
            "5000",
            "0.0.0.0",
            "registry:5000",
            "::1:5000",
            "127.0.0.1:99999",
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }
}
