//! What `seawall serve` says when it is up: where it listens, and the lines to paste for a first push.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use crate::config::Config;
use crate::landing::Door;

/// What the banner tells.
#[derive(Debug)]
pub struct Banner<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The addresses that were bound, in the order of the configured listeners.
    pub addresses: &'a [SocketAddr],
    /// The configuration's file, for the commands that are shown.
    pub file: Option<&'a Path>,
    /// Whether there is no user yet, so that one has to be made first.
    pub first: bool,
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
        let _ = writeln!(text, "  data in {}", self.config.data.display());

        let user = if self.first { "admin" } else { "USER" };
        if self.first {
            let _ = writeln!(
                text,
                "\nThere is no user yet. In another terminal:\n  {}",
                self.add_user(user)
            );
        }
        let Some(door) = self.door() else {
            return text;
        };
        text.push_str("\nLog in, push and pull:\n");
        for (index, (_, lines)) in door.lines(user).into_iter().enumerate() {
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

    /// The command that makes the first user, for the same installation.
    fn add_user(&self, user: &str) -> String {
        let mut command = "seawall user add --admin".to_owned();
        if let Some(file) = self.file {
            let _ = write!(command, " --config {}", quoted(file));
        }
        let _ = write!(command, " --data {} {user}", quoted(&self.config.data));
        command
    }

    /// What clients write: the configured address, else that of the first listener as seen from this machine.
    fn door(&self) -> Option<Door> {
        if let Some(url) = &self.config.public_url {
            return Some(Door {
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
        Some(Door {
            host,
            tls: listener.tls.is_some(),
        })
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner(config: &Config, address: &str, first: bool) -> String {
        Banner {
            config,
            addresses: &[address.parse().unwrap()],
            file: None,
            first,
        }
        .text()
    }

    #[test]
    fn the_first_start_can_be_pasted() {
        let text = banner(&Config::default(), "127.0.0.1:5000", true);
        for line in [
            "  listening on http://127.0.0.1:5000\n",
            "  seawall user add --admin --data ./data admin\n",
            "  docker login localhost:5000\n",
            "  docker push localhost:5000/admin/hello:latest\n",
            "  skopeo copy --dest-tls-verify=false docker://docker.io/library/hello-world:latest docker://localhost:5000/admin/hello:latest\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("insecure-registries"));
    }

    #[test]
    fn a_public_address_comes_first() {
        let config = Config {
            public_url: Some("https://registry.example".parse().unwrap()),
            data: "/srv/it's data".into(),
            ..Config::default()
        };
        let text = banner(&config, "0.0.0.0:5000", true);
        assert!(text.contains("docker login registry.example\n"), "{text}");
        assert!(text.contains("--data '/srv/it'\\''s data' admin"), "{text}");
        assert!(!text.contains("tls-verify"), "{text}");
        let later = banner(&config, "0.0.0.0:5000", false);
        assert!(
            !later.contains("user add") && later.contains("registry.example/USER/hello"),
            "{later}"
        );
    }

    #[test]
    fn other_addresses_are_told_as_they_are() {
        let text = banner(&Config::default(), "10.0.0.5:5000", false);
        assert!(
            text.contains("insecure-registries\": [\"10.0.0.5:5000\"]"),
            "{text}"
        );
    }
}
