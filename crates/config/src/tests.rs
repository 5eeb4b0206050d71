//! Sections of a program that exists only here, and every message that is made out of another
//! library's.
//!
//! The texts of `serde` and `yaml_serde` are not part of what they promise. Each test lets them
//! refuse something and holds the words that an operator reads, so that a new version of either is
//! noticed.

use std::io::Write as _;
use std::path::PathBuf;

use schemars::JsonSchema;
use seawall_types::Secret;
use serde::{Deserialize, Serialize};

use crate::{
    ConfigSources, Layout, NumberRange, RootSection, RuleViolation, SecretKey, Section,
    SectionType, SectionValues,
};

/// The whole.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct TestConfig {
    /// A text.
    title: String,
    /// A section of the program's own.
    log: Log,
    #[serde(skip)]
    features: SectionValues,
}

/// A section of the program's own.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Log {
    /// How.
    format: Format,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
    Text,
}

/// The copies of other registries.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Mirror {
    /// How often, in minutes, from 1 to 1440.
    interval_minutes: u32,
    /// A small number.
    tries: u8,
    /// A large number.
    bytes: Option<u64>,
    /// Whether it is on.
    enabled: bool,
    /// Where from.
    sources: Vec<TestPlace>,
    /// The token.
    #[serde(serialize_with = "crate::hidden")]
    #[schemars(with = "Option<String>")]
    token: Option<Secret>,
    /// A file that holds the `token`.
    token_file: Option<PathBuf>,
}

/// A place.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TestPlace {
    /// The host.
    host: String,
    /// The port.
    port: u16,
}

/// A section without keys.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            interval_minutes: 60,
            tries: 3,
            bytes: None,
            enabled: true,
            sources: Vec::new(),
            token: None,
            token_file: None,
        }
    }
}

impl Section for Mirror {
    fn validate(&self) -> Vec<RuleViolation> {
        let interval = self.interval_minutes;
        RuleViolation::ranges(&[NumberRange::new("interval_minutes", interval, 1, 1440)])
    }

    fn secrets(&mut self) -> Vec<SecretKey<'_>> {
        let file = self.token_file.as_ref();
        vec![SecretKey::new("token", &mut self.token, file)]
    }
}

impl Section for Nothing {}
impl Section for TestConfig {}

impl RootSection for TestConfig {
    fn values(&mut self) -> &mut SectionValues {
        &mut self.features
    }
}

fn layout() -> Layout<TestConfig> {
    Layout::new([
        SectionType::of::<Mirror>("mirror"),
        SectionType::of::<Nothing>("nothing"),
    ])
    .unwrap()
}

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Mirror, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let sources = ConfigSources {
        file: Some(file.path().to_owned()),
        environment: environment.collect(),
    };
    match layout().load(&sources, |_| Vec::new()) {
        Ok(whole) => Ok(whole.features.get("mirror")),
        Err(error) => {
            let path = file.path().display().to_string();
            let text = error.to_string().replace(&path, "FILE");
            let head = "the configuration is not valid\n  ";
            Err(text.strip_prefix(head).unwrap().to_owned())
        }
    }
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    assert_eq!(load(text, &[]).unwrap_err(), expected);
}

#[test]
fn a_section_is_read_where_it_stands() {
    let mirror = load("title: x\nmirror:\n  interval_minutes: 5\n", &[]).unwrap();
    assert_eq!((mirror.interval_minutes, mirror.tries), (5, 3));
    let over = [("SEAWALL__MIRROR__TRIES", "9"), ("SEAWALL__TITLE", "t: [x")];
    let mirror = load("mirror: {interval_minutes: 7}", &over).unwrap();
    assert_eq!((mirror.interval_minutes, mirror.tries), (7, 9));
    assert_eq!(load("", &[]).unwrap().interval_minutes, 60);
}

#[test]
fn what_is_wrong_in_several_sections_is_told_at_once() {
    refused(
        "log: {format: xml}\nmirror:\n  tires: 3\nmiror: 4\n",
        "FILE:4:1: miror: unknown key; did you mean `mirror`?\n  \
         FILE:1:7: log.format: unknown variant `xml`, expected `json` or `text`\n  \
         FILE:3:3: mirror.tires: unknown key; did you mean `tries`?",
    );
}

#[test]
fn a_broken_rule_of_a_section_has_the_place_of_its_key() {
    refused(
        "mirror:\n  interval_minutes: 0\n",
        "FILE:2:3: mirror.interval_minutes: expected a number from 1 to 1440",
    );
    let error = load("", &[("SEAWALL__MIRROR__INTERVAL_MINUTES", "0")]).unwrap_err();
    let expected = "SEAWALL__MIRROR__INTERVAL_MINUTES: mirror.interval_minutes: expected a number from 1 to 1440";
    assert_eq!(error, expected);
}

#[test]
fn a_secret_of_a_section_comes_from_its_file() {
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(b"hunter2\n").unwrap();
    let text = format!("mirror: {{token_file: {}}}", secret.path().display());
    let mirror = load(&text, &[]).unwrap();
    assert_eq!(mirror.token.as_ref().unwrap().expose(), "hunter2");
    let error = load(&text, &[("SEAWALL__MIRROR__TOKEN", "x")]).unwrap_err();
    let expected = "mirror.token_file: expected either token or token_file, not both";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn two_sections_of_one_name_are_refused() {
    let twice = |name| Layout::<TestConfig>::new([SectionType::of::<Mirror>(name)]).err();
    assert!(twice("mirror").is_none());
    let error = twice("log").unwrap().to_string();
    assert!(error.contains("log: two sections"), "{error}");
}

#[test]
fn the_example_has_every_section_with_its_words() {
    let text = layout().example("").unwrap();
    for part in [
        "## The copies of other registries.\n#mirror:\n",
        "##   How often, in minutes, from 1 to 1440.\n#  interval_minutes: 60\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

// One test for each message that is made out of another library's.

#[test]
fn message_of_an_unknown_key_that_is_near_a_known_one() {
    refused(
        "mirror:\n  tires: 3\n",
        "FILE:2:3: mirror.tires: unknown key; did you mean `tries`?",
    );
}

#[test]
fn message_of_an_unknown_key_that_is_near_none() {
    refused(
        "log: {zzzzz: 1}",
        "FILE:1:7: log.zzzzz: unknown key; known here: format",
    );
}

#[test]
fn message_of_a_key_in_a_section_without_keys() {
    refused(
        "nothing: {zzzzz: 1}",
        "FILE:1:11: nothing.zzzzz: unknown key; known here: ",
    );
}

#[test]
fn message_of_an_unknown_key_at_the_top() {
    refused(
        "qqqqqqq: 1",
        "FILE:1:1: qqqqqqq: unknown key; known here: log, mirror, nothing, title",
    );
}

#[test]
fn message_of_a_missing_key() {
    refused(
        "mirror: {sources: [{host: h}]}",
        "FILE:1:20: mirror.sources[0]: expected the key `port` as well",
    );
}

#[test]
fn message_of_a_text_for_a_number() {
    for key in ["interval_minutes", "tries", "bytes"] {
        refused(
            &format!("mirror: {{{key}: many}}"),
            &format!(
                "FILE:1:10: mirror.{key}: invalid type: string \"many\", expected a whole number"
            ),
        );
    }
    refused(
        "mirror: {sources: [{host: h, port: x}]}",
        "FILE:1:30: mirror.sources[0].port: invalid type: string \"x\", expected a whole number",
    );
}

#[test]
fn message_of_a_number_that_does_not_fit() {
    refused(
        "mirror: {tries: 300}",
        "FILE:1:10: mirror.tries: invalid value: integer `300`, expected a whole number",
    );
    refused(
        "mirror: {interval_minutes: -1}",
        "FILE:1:10: mirror.interval_minutes: invalid type: integer `-1`, expected a whole number",
    );
}

#[test]
fn message_of_a_number_for_a_yes_or_no() {
    refused(
        "mirror: {enabled: 1}",
        "FILE:1:10: mirror.enabled: invalid type: integer `1`, expected a boolean",
    );
}

#[test]
fn message_of_a_word_that_is_none_of_a_set() {
    refused(
        "log: {format: xml}",
        "FILE:1:7: log.format: unknown variant `xml`, expected `json` or `text`",
    );
}

#[test]
fn message_of_a_value_for_a_section() {
    refused(
        "mirror: 3",
        "FILE:1:1: mirror: invalid type: integer `3`, expected a section with keys of its own",
    );
}

#[test]
fn message_of_a_value_for_the_whole() {
    refused(
        "word",
        "FILE:1:1: invalid type: string \"word\", expected a section with keys of its own",
    );
}

#[test]
fn message_of_a_value_for_a_list() {
    refused(
        "mirror: {sources: 3}",
        "FILE:1:10: mirror.sources: invalid type: integer `3`, expected a sequence",
    );
}

#[test]
fn message_of_what_might_be_a_secret() {
    refused(
        "mirror: postgres://u:hunter2@h/d",
        "FILE:1:1: mirror: invalid type: a text, expected a section with keys of its own",
    );
}

#[test]
fn message_of_a_key_given_twice() {
    let error = load("log: {}\nlog: {}\n", &[]).unwrap_err();
    assert!(
        error.contains("is not valid YAML: duplicate entry"),
        "{error}"
    );
}

#[test]
fn message_of_what_is_not_yaml() {
    let error = load("mirror: [b\nc", &[]).unwrap_err();
    assert!(
        error.starts_with("FILE:3:1: is not valid YAML: "),
        "{error}"
    );
}
