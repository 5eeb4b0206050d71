//! The banner of `seawall serve` when it is up: where it listens, and the lines to paste for a
//! first push.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use seawall_types::Secret;

use crate::config::Config;
use crate::first_password::ADMIN;
use crate::landing::PublicEndpoint;

/// The content of the banner.
#[derive(Debug)]
pub struct Banner<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The addresses that were bound, in the order of the configured listeners; behind them that of
    /// the management listener, if there is one.
    pub addresses: &'a [SocketAddr],
    /// The file that keeps the first administrator's password, at the very first start.
    pub made: Option<&'a Path>,
    /// That password, where it may be shown.
    pub password: Option<&'a Secret>,
}

impl Banner<'_> {
    /// The whole text.
    pub fn text(&self) -> String {
        let mut text = format!("Seawall {} is up.\n", env!("CARGO_PKG_VERSION"));
        for (listener, address) in self.config.listeners.iter().zip(self.addresses) {
            let scheme = if listener.tls.is_some() {
                "https"
            } else {
                "http"
            };
            let _ = writeln!(text, "  listening on {scheme}://{address}");
        }
        if let Some(address) = self.addresses.get(self.config.listeners.len()) {
            let _ = writeln!(text, "  health and metrics on http://{address}");
        } else if self.config.management.token.is_some() {
            let _ = writeln!(text, "  /metrics for this machine and with the token");
        } else {
            let _ = writeln!(
                text,
                "  /metrics for this machine only; management.address or management.token_file opens it to others"
            );
        }
        let _ = writeln!(text, "  data in {}", self.config.data.display());

        if let Some(file) = self.made {
            let file = file.display();
            let _ = writeln!(text, "\nUser {ADMIN} was made. The password is in {file}");
            if let Some(password) = self.password {
                let _ = writeln!(text, "  {}", password.expose());
                text.push_str("and not shown again. ");
            }
            let _ = writeln!(
                text,
                "`seawall user passwd {ADMIN}` sets another and removes the file."
            );
        }
        let Some(door) = self.door() else {
            return text;
        };
        text.push_str("\nLog in, push and pull:\n");
        for (index, (_, lines)) in door.lines(ADMIN).into_iter().enumerate() {
            if index > 0 {
                text.push_str("or\n");
            }
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        if let Some(hint) = door.hint() {
            let _ = writeln!(text, "{hint}");
        }
        text
    }

    /// What clients write: the configured address, else that of the first listener as seen from
    /// this machine.
    fn door(&self) -> Option<PublicEndpoint> {
        if let Some(url) = &self.config.public_url {
            return Some(PublicEndpoint {
                host: url.host(),
                tls: url.tls(),
            });
        }
        let (listener, address) = self.config.listeners.iter().zip(self.addresses).next()?;
        let host = if address.ip().is_unspecified() || address.ip().is_loopback() {
            format!("localhost:{}", address.port())
        } else {
            address.to_string()
        };
        Some(PublicEndpoint {
            host,
            tls: listener.tls.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner(config: &Config, address: &str, password: Option<&Secret>) -> String {
        Banner {
            config,
            addresses: &[address.parse().unwrap()],
            made: password.map(|_| Path::new("data/admin-password")),
            password,
        }
        .text()
    }

    #[test]
    fn the_first_start_can_be_pasted() {
        let password = Secret::new("s3cret".to_owned());
        let text = banner(&Config::default(), "127.0.0.1:5000", Some(&password));
        for line in [
            "  listening on http://127.0.0.1:5000\n",
            "The password is in data/admin-password\n  s3cret\nand not shown again.",
            "  docker login localhost:5000\n",
            "  docker push localhost:5000/admin/hello:latest\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("insecure-registries"));
    }

    #[test]
    fn a_public_address_comes_first_and_a_later_start_tells_no_password() {
        let config = Config {
            public_url: Some("https://registry.example".parse().unwrap()),
            ..Config::default()
        };
        let text = banner(&config, "0.0.0.0:5000", None);
        assert!(text.contains("docker login registry.example\n"), "{text}");
        assert!(
            !text.contains("tls-verify") && !text.contains("password"),
            "{text}"
        );
    }

    #[test]
    fn other_addresses_are_told_as_they_are() {
        let text = banner(&Config::default(), "10.0.0.5:5000", None);
        assert!(
            text.contains("insecure-registries\": [\"10.0.0.5:5000\"]"),
            "{text}"
        );
    }
}
