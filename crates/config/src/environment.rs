//! The layer of environment variables: `SEAWALL__LOG__LEVEL=debug` is the key `log.level`.
//!
//! A variable of a text is taken as it stands; any other value is read as YAML, so that lists and
//! whole sections can be given in one line: `SEAWALL__LISTENERS='[{address: "0.0.0.0:5000"}]'`. An
//! empty variable counts as one that is not set, which is what container tools make of one that
//! they merely pass on. An unknown name is refused: it is a misspelt one.

use serde_json::Value as Schema;
use yaml_serde::{Mapping, Value};

use crate::error::{Problem, unknown};
use crate::schema;

/// What all variables of the configuration begin with.
const PREFIX: &str = "SEAWALL__";

/// A value that came from the environment.
pub(crate) struct EnvironmentVariable {
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
    value: Value,
}

impl EnvironmentVariable {
    /// Whether the variable set what is at `path`, or something above it.
    pub(crate) fn covers(&self, path: &str) -> bool {
        let own = self.path.join(".");
        path.strip_prefix(&own)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

/// Picks and reads the variables of the configuration, shortest paths first, so that a key of a
/// section comes after the section.
pub(crate) fn read(
    all: &[(String, String)],
    whole: &Schema,
) -> Result<Vec<EnvironmentVariable>, Vec<Problem>> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for (name, text) in all {
        let Some(keys) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if text.is_empty() {
            continue;
        }
        let path: Vec<String> = keys
            .to_ascii_lowercase()
            .split("__")
            .map(str::to_owned)
            .collect();
        match value_of(whole, &path, text) {
            Ok(value) => found.push(EnvironmentVariable {
                name: name.clone(),
                path,
                value,
            }),
            Err(message) => problems.push(Problem {
                place: name.clone(),
                path: path.join("."),
                message,
            }),
        }
    }
    found.sort_by(|one, other| (one.path.len(), &one.path).cmp(&(other.path.len(), &other.path)));
    problems.sort_by(|one, other| one.place.cmp(&other.place));
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(problems)
    }
}

/// The value of a variable, by what its key is.
fn value_of(whole: &Schema, path: &[String], text: &str) -> Result<Value, String> {
    let mut at = whole;
    for key in path {
        if schema::is_list(at) {
            return Err("a list is given as a whole, such as [a, b]".to_owned());
        }
        at = schema::child(at, key).ok_or_else(|| unknown(key, &schema::keys(at)))?;
    }
    if schema::is_text(at) {
        return Ok(Value::String(text.to_owned()));
    }
    yaml_serde::from_str(text).map_err(|_| "is not valid YAML".to_owned())
}

/// Lays the variables over what the file says.
pub(crate) fn overlay(base: &mut Value, variables: &[EnvironmentVariable]) {
    for variable in variables {
        let mut value = variable.value.clone();
        for key in variable.path.iter().rev() {
            let mut mapping = Mapping::new();
            mapping.insert(Value::String(key.clone()), value);
            value = Value::Mapping(mapping);
        }
        merge(base, value);
    }
}

/// Mappings are merged key by key; anything else takes the place of what was there.
fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Mapping(base), Value::Mapping(over)) => {
            for (key, value) in over {
                match base.get_mut(&key) {
                    Some(there) => merge(there, value),
                    None => {
                        base.insert(key, value);
                    }
                }
            }
        }
        (base, over) => *base = over,
    }
}
