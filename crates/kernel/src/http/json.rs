//! JSON bodies of requests: read whole up to the route's limit, and parsed into a type.
//!
//! What a type refuses is told with the path of the member, as `members[2].name`. An unknown member
//! is an error where the type says so (`deny_unknown_fields`), which it should: a misspelt one
//! would otherwise be lost without a word. Nothing is nested deeper than the parser's own limit of
//! 128.

use ::http::header;
use seawall_types::{Error, Reason, Result};
use serde::de::DeserializeOwned;

use super::call::Call;

/// The most characters of what a parser says that an error repeats.
const MOST_WORDS: usize = 300;

impl Call {
    /// The body as JSON of type `T`.
    ///
    /// Errors: `BadRequest` for another content type, a body that is no JSON or does not fit `T`;
    /// else as [`Call::whole_body`].
    pub async fn json<T: DeserializeOwned>(&self) -> Result<T> {
        if !is_json(self.header(&header::CONTENT_TYPE)?.unwrap_or_default()) {
            let words = "the body is JSON, and its Content-Type says application/json";
            return Err(Error::new(Reason::BadRequest, words));
        }
        parse(&self.whole_body().await?)
    }
}

/// Whether a content type is that of JSON, or of something built on it.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    if bytes.is_empty() {
        return Err(Error::new(
            Reason::BadRequest,
            "the body is empty, and JSON is expected",
        ));
    }
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let path = error.path().to_string();
        refused(&path, error.inner())
    })?;
    parser.end().map_err(|error| refused(".", &error))?;
    Ok(value)
}

fn refused(path: &str, error: &serde_json::Error) -> Error {
    let mut words: String = error.to_string().chars().take(MOST_WORDS).collect();
    // The path of the whole is a dot, and says nothing.
    if path != "." {
        let path: String = path.chars().take(MOST_WORDS).collect();
        words = format!("{path}: {words}");
    }
    Error::new(Reason::BadRequest, words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Team {
        #[expect(dead_code, reason = "it is only parsed")]
        name: String,
        #[serde(default)]
        members: Vec<Member>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Member {
        #[expect(dead_code, reason = "it is only parsed")]
        id: u32,
    }

    fn words(text: &str) -> String {
        let error = parse::<Team>(text.as_bytes()).unwrap_err();
        assert_eq!(error.reason, Reason::BadRequest);
        error.to_string()
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let team = parse::<Team>(br#" {"name": "a", "members": [{"id": 1}]} "#).unwrap();
        assert_eq!(team.members.len(), 1);
        let wrong = words(r#"{"name": "a", "members": [{"id": 1}, {"id": "x"}]}"#);
        assert!(
            wrong.contains("members[1].id") && wrong.contains("u32"),
            "{wrong}"
        );
        let unknown = words(r#"{"name": "a", "owner": 1}"#);
        assert!(unknown.contains("unknown field `owner`"), "{unknown}");
        assert!(words(r#"{"members": []}"#).contains("missing field `name`"));
        assert!(words(r#"{"name": "a"} x"#).contains("trailing characters"));
        assert!(words("").contains("empty"));
        let nested = words(r#"{"name": "a", "members": [{"id": 1, "colour": 2}]}"#);
        assert!(nested.contains("members[0].colour: "), "{nested}");
        // A list is no name, whatever it holds: the parser does not go down into it.
        let list = format!(r#"{{"name": {}1{}}}"#, "[".repeat(500), "]".repeat(500));
        assert!(words(&list).contains("name: invalid type: sequence"));
        let long = format!(r#"{{"{}": 1}}"#, "x".repeat(5000));
        assert!(words(&long).len() < 1000);
    }

    #[test]
    fn nothing_is_nested_deeper_than_the_limit() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse::<serde_json::Value>(nested(127).as_bytes()).is_ok());
        for depth in [128, 100_000] {
            let error = parse::<serde_json::Value>(nested(depth).as_bytes()).unwrap_err();
            assert_eq!(error.reason, Reason::BadRequest);
            let text = error.to_string();
            assert!(text.contains("recursion limit exceeded"), "{text}");
            assert!(text.len() < 2 * MOST_WORDS + 100, "{}", text.len());
        }
    }

    #[test]
    fn types_that_are_json_are_known() {
        for kind in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/x+json",
        ] {
            assert!(is_json(kind), "{kind}");
        }
        for kind in [
            "",
            "text/plain",
            "text/json",
            "application/x-www-form-urlencoded",
        ] {
            assert!(!is_json(kind), "{kind}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(parse::<Team>(&bytes));
            drop(parse::<serde_json::Value>(&bytes));
        }
    }
}
