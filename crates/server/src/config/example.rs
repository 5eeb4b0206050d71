//! The commented example: every key with its documentation and its default, made from the types.
//!
//! Each line begins with `#`. A line of documentation has two; a setting has one, and taking that one away leaves valid YAML
//! that says what holds anyway. The order is that of the fields, which serialising the defaults preserves; the words are the
//! doc comments, which the schema has.

use std::fmt::Write as _;

use serde_json::Value as Schema;
use yaml_serde::Value;

use super::{Config, schema};

/// How wide a line of documentation may be.
const WIDTH: usize = 100;

const HEAD: &str = "\
## The configuration of Seawall. All keys are shown with their defaults; take away the first # of a line, and of its
## section's name, to set it.
## Every key can also be given by an environment variable: the key log.level by SEAWALL__LOG__LEVEL, the list
## trusted_proxies by SEAWALL__TRUSTED_PROXIES='[10.0.0.0/8]'. The environment comes before this file.
";

/// Writes the example.
pub fn example() -> Result<String, yaml_serde::Error> {
    let defaults = yaml_serde::to_value(Config::default())?;
    let mut text = HEAD.to_owned();
    if let Value::Mapping(sections) = &defaults {
        for (key, value) in sections {
            text.push('\n');
            entry(&mut text, (key, value), schema::whole(), "");
        }
    }
    Ok(text)
}

/// One key: its documentation, then the key with its default.
fn entry(text: &mut String, (key, value): (&Value, &Value), section: &Schema, indent: &str) {
    let name = key.as_str().unwrap_or_default();
    let own = schema::child(section, name).unwrap_or(&Schema::Null);
    document(text, own, indent);
    match value {
        Value::Mapping(keys) if !keys.is_empty() => {
            line(text, indent, &format!("{name}:"));
            let indent = format!("{indent}  ");
            for pair in keys {
                entry(text, pair, own, &indent);
            }
        }
        Value::Sequence(items) if items.iter().any(Value::is_mapping) => {
            line(text, indent, &format!("{name}:"));
            let item = schema::inner(own).get("items").unwrap_or(&Schema::Null);
            for value in items {
                list_item(text, value, item, &format!("{indent}  "));
            }
        }
        value => {
            line(text, indent, &format!("{name}: {}", scalar(value)));
            if value.is_null() {
                document_keys(text, own, indent);
            }
        }
    }
}

/// An item of a list of sections; its first key stands behind the dash.
fn list_item(text: &mut String, value: &Value, item: &Schema, indent: &str) {
    let Value::Mapping(keys) = value else {
        return line(text, indent, &format!("- {}", scalar(value)));
    };
    let mut inside = String::new();
    for pair in keys {
        entry(&mut inside, pair, item, &format!("{indent}  "));
    }
    let first = format!("#{indent}  ");
    let mut begun = false;
    for row in inside.lines() {
        let setting = !row.starts_with("##") && row.starts_with(&first);
        if setting && !begun {
            begun = true;
            let _ = writeln!(text, "#{indent}- {}", &row[first.len()..]);
        } else {
            let _ = writeln!(text, "{row}");
        }
    }
}

/// The documentation of a key: its words, its choices, an example.
fn document(text: &mut String, own: &Schema, indent: &str) {
    let mut words = schema::description(own)
        .unwrap_or_default()
        .replace('\n', " ");
    let choices = schema::choices(own);
    if !choices.is_empty() {
        let _ = write!(words, " One of: {}.", choices.join(", "));
    }
    if let Some(example) = schema::example(own) {
        let _ = write!(words, " Example: {}", flow(example));
    }
    wrapped(text, &words, &format!("##{indent} "));
}

/// The keys of a section that is absent by default.
fn document_keys(text: &mut String, own: &Schema, indent: &str) {
    for key in schema::keys(own) {
        let about = schema::child(own, key)
            .and_then(schema::description)
            .unwrap_or_default();
        let words = format!("{key}: {}", about.replace('\n', " "));
        wrapped(text, &words, &format!("##{indent}   "));
    }
}

fn wrapped(text: &mut String, words: &str, prefix: &str) {
    let mut row = String::new();
    for word in words.split_whitespace() {
        if !row.is_empty() && prefix.len() + row.len() + word.len() + 1 > WIDTH {
            let _ = writeln!(text, "{prefix}{row}");
            row.clear();
        }
        if !row.is_empty() {
            row.push(' ');
        }
        row.push_str(word);
    }
    if !row.is_empty() {
        let _ = writeln!(text, "{prefix}{row}");
    }
}

fn line(text: &mut String, indent: &str, setting: &str) {
    let _ = writeln!(text, "#{indent}{setting}");
}

/// A value in one line, as YAML.
fn scalar(value: &Value) -> String {
    match value {
        Value::Sequence(items) => {
            let items: Vec<String> = items.iter().map(scalar).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Mapping(_) => "{}".to_owned(),
        other => yaml_serde::to_string(other)
            .unwrap_or_default()
            .trim_end()
            .to_owned(),
    }
}

/// An example of the schema, which is JSON and so is YAML as well.
fn flow(value: &Schema) -> String {
    value.to_string().replace(',', ", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uncommented() -> String {
        let text = example().unwrap();
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
        let config: Config =
            yaml_serde::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(
            yaml_serde::to_value(config).unwrap(),
            yaml_serde::to_value(Config::default()).unwrap(),
        );
    }

    #[test]
    fn every_key_is_there_and_documented() {
        let text = example().unwrap();
        assert!(
            yaml_serde::from_str::<Value>(&text).unwrap().is_null(),
            "all of it is comment"
        );
        let shown: Value = yaml_serde::from_str(&uncommented()).unwrap();
        assert_eq!(shown, yaml_serde::to_value(Config::default()).unwrap());
        undocumented(schema::whole(), "");
        for part in [
            "certificate_file:",
            "One of: auto, json, text.",
            "Example: [\"10.0.0.0/8\"",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().all(|row| row.len() <= 130), "{text}");
    }

    #[track_caller]
    fn undocumented(section: &Schema, path: &str) {
        for key in schema::keys(section) {
            let own = schema::child(section, key).unwrap();
            assert!(
                schema::description(own).is_some(),
                "{path}{key} has no documentation"
            );
            undocumented(own, &format!("{path}{key}."));
        }
    }
}
