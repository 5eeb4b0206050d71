//! The value of a `Host` header, checked before anything is built from it (decision 21: the token
//! realm is the configured public address, else the validated Host).
//!
//! A valid host is not a trusted one: it says where the client believes to be, and goes back to
//! that client only.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::text::text_form;

/// The longest host name in bytes, without its port.
pub const MAX_HOST_BYTES: usize = 253;

/// The longest label of a host name in bytes.
const MAX_LABEL_BYTES: usize = 63;

/// A text that is not a host with an optional port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host name or address with an optional port")]
pub struct HostError;

/// A host name or address, and a port if one was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    written: String,
    port: Option<u16>,
}

impl Host {
    /// Parses `name`, `192.0.2.1` or `[2001:db8::1]`, each with an optional `:port` from 1 to
    /// 65535.
    ///
    /// Underscores are accepted in names, because container networks use them; a zone in an address
    /// is not.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.len() > MAX_HOST_BYTES + ":65535".len() {
            return Err(HostError);
        }
        let (host, port) = split_port(text)?;
        let valid = match host.strip_prefix('[') {
            Some(rest) => rest
                .strip_suffix(']')
                .is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()),
            None => is_name(host),
        };
        if valid {
            Ok(Self {
                written: text.to_owned(),
                port,
            })
        } else {
            Err(HostError)
        }
    }

    /// Host and port as they were written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The host alone, an IPv6 address with its brackets.
    pub fn host(&self) -> &str {
        split_port(&self.written).map_or(self.written.as_str(), |(host, _)| host)
    }

    /// The port, if one was given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The address, if the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse()
            .ok()
    }
}

/// Separates the port, whose digits are checked; the colons of an IPv6 address lie within brackets.
fn split_port(text: &str) -> Result<(&str, Option<u16>), HostError> {
    let colon = match text.rfind(']') {
        Some(bracket) => text
            .get(bracket..)
            .and_then(|rest| rest.find(':'))
            .map(|at| bracket + at),
        None => text.find(':'),
    };
    let Some((host, rest)) = colon.and_then(|colon| text.split_at_checked(colon)) else {
        return Ok((text, None));
    };
    let digits = rest.strip_prefix(':').ok_or(HostError)?;
    if digits.len() > 5 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HostError);
    }
    match digits.parse::<u16>() {
        Ok(0) | Err(_) => Err(HostError),
        Ok(port) => Ok((host, Some(port))),
    }
}

/// A DNS name, possibly with its final dot, or an IPv4 address.
fn is_name(host: &str) -> bool {
    let labels = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name whose last label is a number would be read as an address by others, so it has to be
    // one.
    let numeric = labels
        .rsplit('.')
        .next()
        .is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    host.len() <= MAX_HOST_BYTES
        && labels.split('.').all(is_label)
        && (!numeric || labels.parse::<Ipv4Addr>().is_ok())
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

text_form!(Host, HostError);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hosts_with_and_without_port() {
        for (text, host, port) in [
            ("registry.example", "registry.example", None),
            ("registry.example:5000", "registry.example", Some(5000)),
            ("localhost:65535", "localhost", Some(65535)),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[::1]", "[::1]", None),
            ("[2001:db8::1]:443", "[2001:db8::1]", Some(443)),
            ("my_registry:5000", "my_registry", Some(5000)),
            ("EXAMPLE.com.", "EXAMPLE.com.", None),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
        ] {
            let parsed = Host::parse(text).unwrap();
            assert_eq!((parsed.host(), parsed.port()), (host, port));
            assert_eq!(parsed.to_string(), text);
        }
        assert!(
            Host::parse("[::1]:5000")
                .unwrap()
                .ip()
                .unwrap()
                .is_loopback()
        );
        assert_eq!(Host::parse("localhost").unwrap().ip(), None);
    }

    #[test]
    fn what_is_no_host() {
        let long = format!("{}.example", "a".repeat(64));
        let longer = vec!["a".repeat(60); 5].join(".");
        for text in [
            "",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a:+80",
            "a:000080",
            "a b",
            "a/b",
            "a@b",
            "user@a:80",
            "a,b",
            "a\"b",
            "a\r\nx",
            "ä.example",
            "a..b",
            ".a",
            "-a",
            "a-",
            "::1",
            "[::1",
            "::1]",
            "[::1]x",
            "[::1]:",
            "[fe80::1%eth0]",
            "[a]",
            "[127.0.0.1]",
            "256.1.1.1",
            "1.2.3",
            "0x7f.1",
            "a?b",
            "a#b",
            "%61",
            "a:80:80",
            &long,
            &longer,
        ] {
            assert_eq!(Host::parse(text), Err(HostError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn hosts_lead_back(
            name in "[a-z_]([a-z0-9_-]{0,9}[a-z0-9])?(\\.[a-z]{1,9}){0,3}\\.?",
            address: [u8; 16],
            port in proptest::option::of(1u16..),
        ) {
            let address = std::net::Ipv6Addr::from(address);
            let four = std::net::Ipv4Addr::from(u32::from(port.unwrap_or(7)));
            for host in [name, format!("[{address}]"), four.to_string()] {
                let text = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
                let parsed = Host::parse(&text).unwrap();
                prop_assert_eq!((parsed.as_str(), parsed.host(), parsed.port()), (&*text, &*host, port));
                let json = serde_json::to_string(&parsed).unwrap();
                prop_assert_eq!(serde_json::from_str::<Host>(&json).unwrap(), parsed);
            }
        }

        #[test]
        fn what_passes_is_harmless_in_a_header_and_a_url(text in "[a1.:\\[\\]\"/@ -]{0,20}") {
            if let Ok(host) = Host::parse(&text) {
                let harmless = |b: u8| b.is_ascii_alphanumeric() || b"-_.:[]".contains(&b);
                prop_assert!(host.as_str().bytes().all(harmless));
            }
        }
    }
}
