//! Conditional requests: what a client says that it has, and what it relies on.

use ::http::{HeaderMap, HeaderName, header};
use seawall_types::condition::ETags;
use seawall_types::{Error, Reason, Result};

/// Whether the client has content with this entity tag (without quotes) already, so that 304 is the
/// answer (protocol §4.7, §5.9). A malformed `If-None-Match` is as if absent.
pub fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let lines: Vec<&str> = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    !lines.is_empty()
        && ETags::parse(&lines.join(",")).is_ok_and(|known| !known.if_none_match(Some(etag)))
}

/// A condition of a change, its lines joined. Errors: `BadRequest` for a malformed one, since its
/// sender relies on it.
pub fn condition(headers: &HeaderMap, name: &HeaderName) -> Result<Option<ETags>> {
    let malformed = || Error::new(Reason::BadRequest, format!("header {name} is malformed"));
    let mut lines = Vec::new();
    for line in headers.get_all(name) {
        lines.push(line.to_str().map_err(|_| malformed())?);
    }
    if lines.is_empty() {
        return Ok(None);
    }
    ETags::parse(&lines.join(","))
        .map(Some)
        .map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    #[test]
    fn conditions_may_be_spread_over_lines() {
        let mut headers = HeaderMap::new();
        assert!(!is_known(&headers, "sha256:a"));
        headers.append(header::IF_NONE_MATCH, HeaderValue::from_static("\"x\""));
        headers.append(
            header::IF_NONE_MATCH,
            HeaderValue::from_static("W/\"sha256:a\""),
        );
        assert!(is_known(&headers, "sha256:a"));
        assert!(!is_known(&headers, "sha256:b"));
    }

    #[test]
    fn a_malformed_condition_of_a_change_is_refused() {
        let read = |lines: &[&'static [u8]]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::IF_MATCH, HeaderValue::from_bytes(line).unwrap());
            }
            condition(&headers, &header::IF_MATCH)
        };
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[b"*"]).unwrap(), Some(ETags::Any));
        let both = read(&[b"\"a\"", b"\"b\""]).unwrap();
        assert_eq!(both, Some(ETags::parse("\"a\", \"b\"").unwrap()));
        for lines in [
            &[b"\"a".as_slice()][..],
            &[b"\"a\"", b"\"b"],
            &[b"\"\xff\""],
        ] {
            let error = read(lines).unwrap_err();
            assert_eq!(error.reason, Reason::BadRequest, "{lines:?}");
            assert!(error.to_string().contains("if-match"), "{error}");
        }
    }

    #[test]
    fn a_malformed_condition_of_a_read_is_as_if_absent() {
        let mut headers = HeaderMap::new();
        for line in [b"\"a".as_slice(), b"\"\xff\""] {
            let value = HeaderValue::from_bytes(line).unwrap();
            headers.insert(header::IF_NONE_MATCH, value);
            assert!(!is_known(&headers, "a"), "{line:?}");
        }
    }
}
