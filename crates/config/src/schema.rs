//! The shape of the configuration, as a JSON Schema made from the types: what keys there are, what
//! each is for, which of them are plain texts. The environment layer and the example ask it, so
//! that neither has a list of keys of its own.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schema of a type, without references.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// Adds a key to the schema of a section. Says whether the name was free.
pub(crate) fn insert(section: &mut Value, name: &str, mut schema: Value) -> bool {
    if let Value::Object(schema) = &mut schema {
        // What a schema says of itself as a whole document.
        schema.remove("$schema");
        schema.remove("title");
    }
    let Value::Object(section) = section else {
        return false;
    };
    let properties = section
        .entry("properties")
        .or_insert_with(|| Value::Object(serde_json::Map::new()));
    match properties {
        Value::Object(keys) if !keys.contains_key(name) => {
            keys.insert(name.to_owned(), schema);
            true
        }
        _ => false,
    }
}

/// What may stand under a schema: `anyOf [X, null]` is X.
pub(crate) fn inner(schema: &Value) -> &Value {
    let alternatives = schema.get("anyOf").and_then(Value::as_array);
    let real = alternatives.and_then(|all| {
        all.iter()
            .find(|one| one.get("type") != Some(&Value::from("null")))
    });
    real.unwrap_or(schema)
}

/// The schema of a key, if there is such a key. Any name is a key of a map.
pub(crate) fn child<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    let schema = inner(schema);
    let named = schema
        .get("properties")
        .and_then(|properties| properties.get(key));
    named.or_else(|| {
        schema
            .get("additionalProperties")
            .filter(|rest| rest.is_object())
    })
}

/// The names of the keys of a section.
pub(crate) fn keys(schema: &Value) -> Vec<&str> {
    let properties = inner(schema).get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flat_map(|map| map.keys().map(String::as_str))
        .collect()
}

/// Whether the value is a text, so that nothing written in its place needs to be understood as
/// YAML.
pub(crate) fn is_text(schema: &Value) -> bool {
    is_type(inner(schema), "string") || !choices(schema).is_empty()
}

/// Whether the value is a list.
pub(crate) fn is_list(schema: &Value) -> bool {
    is_type(inner(schema), "array")
}

fn is_type(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    }
}

/// The words of a closed set.
pub(crate) fn choices(schema: &Value) -> Vec<&str> {
    let schema = inner(schema);
    let plain = schema.get("enum").and_then(Value::as_array);
    let plain = plain.into_iter().flatten().filter_map(Value::as_str);
    let described = schema.get("oneOf").and_then(Value::as_array);
    let described = described
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("const")?.as_str());
    plain.chain(described).collect()
}

/// What the key is for.
pub(crate) fn description(schema: &Value) -> Option<&str> {
    let own = schema.get("description");
    own.or_else(|| inner(schema).get("description"))
        .and_then(Value::as_str)
}

/// The first example given for a key.
pub(crate) fn example(schema: &Value) -> Option<&Value> {
    let own = schema.get("examples");
    own.or_else(|| inner(schema).get("examples"))
        .and_then(|all| all.get(0))
}
