//! Addresses as they are written in a configuration: of networks, and of the registry itself.
//!
//! Each type takes what people write and says what it expected otherwise. Nothing is resolved by
//! name: a configuration means the same on every machine.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// A network, `10.0.0.0/8`; a lone address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Network(IpNet);

impl Network {
    /// The network.
    pub fn net(self) -> IpNet {
        self.0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lone = || text.parse::<IpAddr>().map(IpNet::from).ok();
        let network = text.parse::<IpNet>().ok().or_else(lone);
        network.map(|network| Self(network.trunc())).ok_or_else(|| {
            format!("expected a network such as 10.0.0.0/8 or an IP address, not {text:?}")
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The address under which clients reach the registry: a scheme, a host and perhaps a port, nothing
/// behind them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// The URL, whose path is `/`.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The scheme and the host, with the port if it is not the scheme's own:
    /// `https://registry.example.com`.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.0.scheme(), self.host())
    }

    /// The host, with the port if it is not the scheme's own: what clients write before a
    /// repository's name.
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// Whether clients speak TLS to it.
    pub fn tls(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = |url: &Url| {
            let web = matches!(url.scheme(), "http" | "https") && url.has_host();
            let rest = url.query().is_none() && url.fragment().is_none() && url.path() == "/";
            web && rest && url.username().is_empty() && url.password().is_none()
        };
        // The text itself stays out of the message: an address with a password in it would end in
        // the log.
        let expected = "expected http:// or https:// and a host, with nothing behind them (https://registry.example.com)";
        Url::parse(text)
            .ok()
            .filter(bare)
            .map(Self)
            .ok_or_else(|| expected.to_owned())
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.origin())
    }
}

/// Text in and out, by `FromStr` and `Display`.
macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text!(Network, PublicUrl);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_lose_their_host_bits() {
        let network: Network = "10.1.2.3/8".parse().unwrap();
        assert_eq!(network.to_string(), "10.0.0.0/8");
        assert_eq!("::1".parse::<Network>().unwrap().to_string(), "::1/128");
        assert!("10.0.0.0/33".parse::<Network>().is_err());
    }

    #[test]
    fn public_url_is_an_origin() {
        let url: PublicUrl = "https://registry.example.com:8443/".parse().unwrap();
        assert_eq!(url.origin(), "https://registry.example.com:8443");
        assert_eq!(url.host(), "registry.example.com:8443");
        let plain: PublicUrl = "http://[::1]:80".parse().unwrap();
        assert_eq!(plain.host(), "[::1]");
        for text in [
            "registry.example.com",
            "https://h/path",
            "https://u:p@h",
            "ftp://h",
            "https://h/?q",
        ] {
            let refused = text.parse::<PublicUrl>().unwrap_err();
            assert!(!refused.contains("u:p"), "{refused}");
        }
    }
}
