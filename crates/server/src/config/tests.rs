//! The configuration as operators give it: messages, sources, and the example.

use std::io::Write as _;

use serde_json::Value as Schema;
use yaml_serde::Value;

use super::*;
use crate::compose;

fn layout() -> seawall_config::Layout<Config> {
    compose::layout().unwrap()
}

fn from_text(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_owned();
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(
        &layout(),
        ServerSources {
            file: Some(path.clone()),
            environment: environment.collect(),
            ..ServerSources::default()
        },
    )
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
    let config = load(&layout(), ServerSources::default()).unwrap();
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
        load(
            &layout(),
            ServerSources {
                environment: vec![("SEAWALL__LISTENERS".to_owned(), listeners.to_owned())],
                data: Some(PathBuf::from("/d")),
                listen: Some("127.0.0.1:1".parse().unwrap()),
                ..ServerSources::default()
            },
        )
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

fn uncommented() -> String {
    let text = layout().example(HEAD).unwrap();
    let rows: Vec<&str> = text
        .lines()
        .map(|row| row.strip_prefix('#').unwrap_or(row))
        .collect();
    rows.join(
        "
",
    )
}

#[test]
fn every_line_uncommented_is_the_default() {
    let text = uncommented();
    let config = layout().parse("EXAMPLE", &text);
    let config = config.unwrap_or_else(|error| panic!("{error}\n{text}"));
    let written: Value = yaml_serde::from_str(&layout().to_yaml(&config).unwrap()).unwrap();
    assert_eq!(written, all_defaults());
}

#[test]
fn every_key_is_there_and_documented() {
    let text = layout().example(HEAD).unwrap();
    assert!(
        yaml_serde::from_str::<Value>(&text).unwrap().is_null(),
        "all of it is comment"
    );
    let shown: Value = yaml_serde::from_str(&uncommented()).unwrap();
    assert_eq!(shown, all_defaults());
    undocumented(layout().schema(), "");
    for part in [
        "certificate_file:",
        "One of: auto, json, text.",
        "Example: [\"10.0.0.0/8\"",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(text.lines().all(|row| row.len() <= 130), "{text}");
}

fn all_defaults() -> Value {
    let layout = layout();
    yaml_serde::from_str(&layout.to_yaml(&layout.default()).unwrap()).unwrap()
}

#[track_caller]
fn undocumented(section: &Schema, path: &str) {
    // The schema of a key that may be absent is one of several.
    let real = section["anyOf"].get(0).unwrap_or(section);
    let keys = real["properties"].as_object();
    for (key, own) in keys.into_iter().flatten() {
        let about = own
            .get("description")
            .or(own["anyOf"][0].get("description"));
        assert!(about.is_some(), "{path}{key} has no documentation");
        undocumented(own, &format!("{path}{key}."));
    }
}
