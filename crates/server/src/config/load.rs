//! Loading: the file and the environment, and over them what the command line says.

use std::path::PathBuf;

use seawall_config::{ConfigError, Layout, Problem};

use super::{Config, ListenAddress, Listener};

/// What the example begins with.
pub const HEAD: &str = "\
## The configuration of Seawall. All keys are shown with their defaults; take away the first # of a line, and of its
## section's name, to set it.
## Every key can also be given by an environment variable: the key log.level by SEAWALL__LOG__LEVEL, the list
## trusted_proxies by SEAWALL__TRUSTED_PROXIES='[10.0.0.0/8]'. The environment comes before this file.
";

/// Where a configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct ServerSources {
    /// The YAML file.
    pub file: Option<PathBuf>,
    /// All environment variables, or those that matter.
    pub environment: Vec<(String, String)>,
    /// `--data` or SEAWALL_DATA.
    pub data: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<ListenAddress>,
}

/// Loads and checks a configuration whose sections are those of `layout`.
pub fn load(layout: &Layout<Config>, sources: ServerSources) -> Result<Config, ConfigError> {
    let ServerSources {
        file,
        environment,
        data,
        listen,
    } = sources;
    layout.load(
        &seawall_config::ConfigSources { file, environment },
        |config: &mut Config| {
            if let Some(data) = data {
                config.data = data;
            }
            let listened = listen.and_then(|address| listen_on(config, address));
            listened.into_iter().collect()
        },
    )
}

/// `--listen` moves the one configured listener; among several it would be unclear which, and TLS
/// could get lost.
fn listen_on(config: &mut Config, address: ListenAddress) -> Option<Problem> {
    match config.listeners.as_mut_slice() {
        [] => config.listeners.push(Listener { address, tls: None }),
        [one] => one.address = address,
        _ => {
            return Some(Problem {
                place: "--listen".to_owned(),
                path: String::new(),
                message: "cannot be used where several listeners are configured".to_owned(),
            });
        }
    }
    None
}
