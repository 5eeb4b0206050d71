//! Loading: the file, over it the environment, over that the command line; then the rules; then the secrets from their files.
//!
//! The file is checked alone first, against the text, since only so an error has a line; what is wrong after the environment was
//! laid over it is then the environment's.

use std::fs;
use std::path::{Path, PathBuf};

use seawall_types::Secret;
use serde::de::DeserializeOwned;
use yaml_serde::Value;

use super::Address;
use super::environment::{self, Variable};
use super::error::{ConfigError, Invalid, Problem, reword};
use super::locate::{locate, steps};
use super::{Config, Listener};

/// Where a configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The YAML file.
    pub file: Option<PathBuf>,
    /// All environment variables, or those that matter.
    pub environment: Vec<(String, String)>,
    /// `--data` or SEAWALL_DATA.
    pub data: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<Address>,
}

/// The text of the file, under the name by which it was given.
struct Source {
    name: String,
    text: String,
}

/// Loads and checks a configuration.
pub fn load(sources: Sources) -> Result<Config, ConfigError> {
    let source = sources.file.as_deref().map(read).transpose()?;
    let (base, file) = match &source {
        Some(source) => parse_file(source)?,
        None => (Value::Null, Config::default()),
    };
    let variables =
        environment::read(sources.environment).map_err(|problems| ConfigError { problems })?;
    let mut config = if variables.is_empty() {
        file
    } else {
        parse_layered(base, &variables)?
    };

    let mut problems = take_secrets(&mut config, source.as_ref(), &variables);
    if let Some(data) = sources.data {
        config.data = data;
    }
    if let Some(address) = sources.listen {
        problems.extend(listen_on(&mut config, address));
    }
    problems.extend(broken_rules(&config, source.as_ref(), &variables));
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError { problems })
    }
}

/// Checks the text of a file alone: no environment, and nothing else is opened. `name` is what errors call it.
pub fn parse(name: &str, text: &str) -> Result<Config, ConfigError> {
    let source = Source {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let (_, config) = parse_file(&source)?;
    let problems = broken_rules(&config, Some(&source), &[]);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError { problems })
    }
}

/// What the types alone cannot say, each with the place of its key.
fn broken_rules(config: &Config, source: Option<&Source>, variables: &[Variable]) -> Vec<Problem> {
    let problem = |invalid: Invalid| Problem {
        place: place(&invalid.path, source, variables),
        path: invalid.path,
        message: invalid.expected,
    };
    config.validate().into_iter().map(problem).collect()
}

fn read(path: &Path) -> Result<Source, ConfigError> {
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => Ok(Source { name, text }),
        Err(error) => Err(Problem {
            place: name,
            path: String::new(),
            message: format!("cannot be read: {error}"),
        }
        .into()),
    }
}

/// Reads the file as a value, to be merged, and as a configuration, to be checked.
fn parse_file(source: &Source) -> Result<(Value, Config), ConfigError> {
    let value: Value =
        yaml_serde::from_str(&source.text).map_err(|error| syntax(source, &error))?;
    if value.is_null() {
        return Ok((value, Config::default()));
    }
    let config = from_yaml(yaml_serde::Deserializer::from_str(&source.text)).map_err(
        |(path, message)| {
            let (line, column) = locate(&source.text, &steps(&path));
            Problem {
                place: format!("{}:{line}:{column}", source.name),
                path,
                message,
            }
        },
    )?;
    Ok((value, config))
}

fn parse_layered(mut base: Value, variables: &[Variable]) -> Result<Config, ConfigError> {
    environment::lay_over(&mut base, variables);
    from_yaml(base).map_err(|(path, message)| {
        Problem {
            place: place(&path, None, variables),
            path,
            message,
        }
        .into()
    })
}

/// Deserialises; an error is the key's path and a message for people.
fn from_yaml<'de, T: DeserializeOwned>(
    deserializer: impl serde::Deserializer<'de, Error = yaml_serde::Error>,
) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let message = reword(&error.inner().to_string(), &path);
        (if path == "." { String::new() } else { path }, message)
    })
}

fn syntax(source: &Source, error: &yaml_serde::Error) -> ConfigError {
    let (line, column) = error
        .location()
        .map_or((1, 1), |at| (at.line(), at.column()));
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or_default();
    Problem {
        place: format!("{}:{line}:{column}", source.name),
        path: String::new(),
        message: format!("is not valid YAML: {message}"),
    }
    .into()
}

/// The place of a key: the variable that set it, else its place in the file, else the default that nobody changed.
fn place(path: &str, source: Option<&Source>, variables: &[Variable]) -> String {
    let variable = variables
        .iter()
        .rev()
        .find(|variable| variable.covers(path));
    match (variable, source) {
        (Some(variable), _) => variable.name.clone(),
        (None, Some(source)) => {
            let (line, column) = locate(&source.text, &steps(path));
            format!("{}:{line}:{column}", source.name)
        }
        (None, None) if path.is_empty() => "environment".to_owned(),
        (None, None) => "default".to_owned(),
    }
}

/// Reads the secrets that are given by file.
fn take_secrets(
    config: &mut Config,
    source: Option<&Source>,
    variables: &[Variable],
) -> Vec<Problem> {
    let (database, management) = (&mut config.database, &mut config.management);
    let secrets = [
        ("database.url", &mut database.url, &database.url_file),
        (
            "management.token",
            &mut management.token,
            &management.token_file,
        ),
    ];
    let taken = secrets.into_iter().filter_map(|(key, secret, file)| {
        let message = take_secret(key, secret, file.as_deref()?).err()?;
        let path = format!("{key}_file");
        Some(Problem {
            place: place(&path, source, variables),
            path,
            message,
        })
    });
    taken.collect()
}

/// Reads one secret, whose key is `key`, from its file.
fn take_secret(key: &str, secret: &mut Option<Secret>, file: &Path) -> Result<(), String> {
    if secret.is_some() {
        let key = key.rsplit('.').next().unwrap_or(key);
        return Err(format!("expected either {key} or {key}_file, not both"));
    }
    let text = fs::read_to_string(file).map(Secret::new);
    let text = text.map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    *secret = Some(Secret::new(text.expose().trim_end_matches(['\r', '\n'])));
    Ok(())
}

/// `--listen` moves the one configured listener; among several it would be unclear which, and TLS could get lost.
fn listen_on(config: &mut Config, address: Address) -> Option<Problem> {
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::LogFormat;
    use super::*;

    fn from_text(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let path = file.path().to_owned();
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(Sources {
            file: Some(path.clone()),
            environment: environment.collect(),
            ..Sources::default()
        })
        .map_err(|error| {
            error
                .to_string()
                .replace(&path.display().to_string(), "FILE")
        })
    }

    #[track_caller]
    fn refused(text: &str, environment: &[(&str, &str)], expected: &str) {
        let message = from_text(text, environment).unwrap_err();
        let message = message
            .strip_prefix("the configuration is not valid\n  ")
            .unwrap();
        assert_eq!(message, expected);
    }

    #[test]
    fn nothing_given_is_the_default() {
        let config = load(Sources::default()).unwrap();
        assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:5000");
        assert_eq!(config.data, PathBuf::from("./data"));
        assert!(from_text("", &[]).is_ok());
        assert!(from_text("# only a comment\n", &[]).is_ok());
    }

    #[test]
    fn errors_of_the_file_have_path_and_place() {
        refused(
            "log:\n  lvel: info\n",
            &[],
            "FILE:2:3: log.lvel: unknown key; did you mean `level`?",
        );
        refused(
            "listeners:\n  - address: here\n",
            &[],
            "FILE:2:5: listeners[0].address: expected an IP address and a port, such as 0.0.0.0:5000 or [::]:5000, not \"here\"",
        );
        refused(
            "limits: {connections: many}",
            &[],
            "FILE:1:10: limits.connections: invalid type: string \"many\", expected a whole number",
        );
        refused(
            "data: x\nlog:\n  level: loud\n",
            &[],
            "FILE:3:3: log.level: expected error, warn, info, debug or trace, or a list such as info,hyper=debug",
        );
        refused(
            "listeners: [{tls: {certificate_file: c}}]",
            &[],
            "FILE:1:14: listeners[0].tls: expected the key `key_file` as well",
        );
        let message = from_text("a: [b\nc", &[]).unwrap_err();
        assert!(message.contains("FILE:3:1: is not valid YAML"), "{message}");
    }

    #[test]
    fn errors_of_the_environment_name_the_variable() {
        refused(
            "log: {level: info}",
            &[("SEAWALL__LOG__FORMAT", "xml")],
            "SEAWALL__LOG__FORMAT: log.format: unknown variant `xml`, expected one of `auto`, `json`, `text`",
        );
        refused(
            "",
            &[("SEAWALL__LOG__LVEL", "info")],
            "SEAWALL__LOG__LVEL: log.lvel: unknown key; did you mean `level`?",
        );
        refused(
            "",
            &[("SEAWALL__LIMITS__CONNECTIONS", "0")],
            "SEAWALL__LIMITS__CONNECTIONS: limits.connections: expected a number from 1 to 1000000",
        );
        refused(
            "",
            &[("SEAWALL__LISTENERS__0__ADDRESS", ":1")],
            "SEAWALL__LISTENERS__0__ADDRESS: listeners.0.address: a list is given as a whole, such as [a, b]",
        );
        refused(
            "",
            &[("SEAWALL__LISTENERS", "[{address: 1}]")],
            "SEAWALL__LISTENERS: listeners[0].address: invalid type: integer `1`, expected a string",
        );
    }

    #[test]
    fn the_environment_lies_over_the_file() {
        let config = from_text(
            "log: {level: info, format: text}\ntrusted_proxies: [10.0.0.0/8]\n",
            &[
                ("SEAWALL__LOG__LEVEL", "debug"),
                ("SEAWALL__LISTENERS", "[{address: \"0.0.0.0:5000\"}]"),
                ("SEAWALL__TRUSTED_PROXIES", "[192.168.0.0/16, \"::1\"]"),
                ("SEAWALL__DATABASE__URL", "postgres://u:0x1F #[p@h/d"),
                (
                    "SEAWALL__STORAGE__LOCATIONS",
                    "{local: {kind: filesystem, path: /blobs}}",
                ),
                ("SEAWALL__ACCESS__ANONYMOUS_PULL", "false"),
                ("SEAWALL__PUBLIC_URL", ""),
                ("SEAWALL_SERVICE_PORT", "80"),
            ],
        )
        .unwrap();
        assert_eq!(config.log.level, "debug");
        assert_eq!(config.log.format, LogFormat::Text);
        assert_eq!(config.listeners[0].address.to_string(), "0.0.0.0:5000");
        assert_eq!(config.trusted_proxies.len(), 2);
        assert_eq!(
            config.database.url.unwrap().expose(),
            "postgres://u:0x1F #[p@h/d"
        );
        assert!(config.storage.locations.contains_key("local"));
        assert!(!config.access.anonymous_pull);
        assert!(config.public_url.is_none());
    }

    #[test]
    fn secrets_come_from_files() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"sqlite:/x.db\n").unwrap();
        let path = file.path().display().to_string();
        let text = format!("database: {{url_file: {path}}}");
        let config = from_text(&text, &[]).unwrap();
        assert_eq!(
            config.database.url.as_ref().unwrap().expose(),
            "sqlite:/x.db"
        );
        assert!(!format!("{config:?}").contains("x.db"));
        refused(
            &text,
            &[("SEAWALL__DATABASE__URL", "sqlite:y")],
            "FILE:1:12: database.url_file: expected either url or url_file, not both",
        );
        let message = from_text("database: {url_file: /nowhere/x}", &[]).unwrap_err();
        assert!(
            message.contains("FILE:1:12: database.url_file: /nowhere/x cannot be read"),
            "{message}"
        );
    }

    #[test]
    fn the_token_of_operators_comes_from_a_file_and_is_long() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"0123456789abcdef\n").unwrap();
        let text = format!("management: {{token_file: {}}}", file.path().display());
        let config = from_text(&text, &[]).unwrap();
        let token = config.management.token.as_ref().unwrap();
        assert_eq!(token.expose(), "0123456789abcdef");
        assert!(!format!("{config:?}").contains("0123456789"));
        refused(
            &text,
            &[("SEAWALL__MANAGEMENT__TOKEN", "fedcba9876543210")],
            "FILE:1:14: management.token_file: expected either token or token_file, not both",
        );
        for short in ["0123456789abcde", "0123456789 abcdef"] {
            let message = from_text("", &[("SEAWALL__MANAGEMENT__TOKEN", short)]).unwrap_err();
            assert!(message.contains("at least 16"), "{message}");
        }
    }

    #[test]
    fn the_command_line_comes_last() {
        let listen = |listeners: &str| {
            load(Sources {
                environment: vec![("SEAWALL__LISTENERS".to_owned(), listeners.to_owned())],
                data: Some(PathBuf::from("/d")),
                listen: Some("127.0.0.1:1".parse().unwrap()),
                ..Sources::default()
            })
        };
        let config = listen("[{address: ':2', tls: {certificate_file: c, key_file: k}}]").unwrap();
        assert_eq!(config.data, PathBuf::from("/d"));
        assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:1");
        assert!(config.listeners[0].tls.is_some());
        let several = listen("[{address: ':2'}, {address: ':3'}]").unwrap_err();
        assert!(
            several.to_string().contains("--listen: cannot be used"),
            "{several}"
        );
    }
}
