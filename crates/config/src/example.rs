//! The commented example: every key with its documentation and its default, made from the types.
//!
//! Each line begins with `#`. A line of documentation has two; a setting has one, and taking that
//! one away leaves valid YAML that says what holds anyway. The order is that of the fields, which
//! serialising the defaults preserves; the words are the doc comments, which the schema has.

use std::fmt::Write as _;

use serde_json::Value as Schema;
use yaml_serde::Value;

use crate::schema;

/// How wide a line of documentation may be.
const WIDTH: usize = 100;

/// Writes the example: `head`, then every key with its default.
pub(crate) fn example(head: &str, defaults: &Value, whole: &Schema) -> String {
    let mut text = head.to_owned();
    if let Value::Mapping(sections) = defaults {
        for (key, value) in sections {
            text.push('\n');
            entry(&mut text, (key, value), whole, "");
        }
    }
    text
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
