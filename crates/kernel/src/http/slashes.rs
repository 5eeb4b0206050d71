//! Repository names whose slashes came as escapes: some clients send a name as one segment of the
//! path.
//!
//! `a%2Fb` is `a/b` (protocol §2.12). The route is found before, so an escape never moves a verb,
//! and nothing is decoded twice: of all escapes only this one can stand for a part of a name, and a
//! name with another one in it stays as it came and is refused. From here on, the log and every
//! answer see the plain path.

use std::borrow::Cow;

use ::http::Uri;
use ::http::uri::PathAndQuery;
use seawall_types::name::RepositoryName;

use super::params::ParamSpans;

/// The same address with plain slashes in its parameter `name`, and where its parameters stand
/// then; nothing if there is no escaped one.
pub(super) fn with_plain_slashes(
    uri: &Uri,
    spans: &ParamSpans,
    name: &str,
) -> Option<(Uri, ParamSpans)> {
    let path = uri.path();
    let span = spans.span(name)?;
    let Cow::Owned(name) = slashes(path.get(span.clone())?) else {
        return None;
    };
    RepositoryName::parse(&name).ok()?;
    let (before, after) = (path.get(..span.start)?, path.get(span.end..)?);
    let query = uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let whole = format!("{before}{name}{after}{query}");
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(whole).ok()?);
    let uri = Uri::from_parts(parts).ok()?;
    let spans = spans.shortened(&span, span.len() - name.len());
    Some((uri, spans))
}

fn slashes(name: &str) -> Cow<'_, str> {
    if !name.contains('%') {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.replace("%2F", "/").replace("%2f", "/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::index::RouteIndex;
    use crate::http::pattern::Pattern;

    fn named(path: &str) -> Option<(String, String)> {
        let mut index = RouteIndex::default();
        index.add(&Pattern::new("/v2/{name...}/manifests/{reference}").unwrap());
        let uri: Uri = path.parse().unwrap();
        let (_, spans) = index.find(uri.path())?;
        let reference = spans.raw(uri.path(), "reference").to_owned();
        let (uri, spans) = with_plain_slashes(&uri, &spans, "name")?;
        assert_eq!(spans.raw(uri.path(), "reference"), reference);
        let name = spans.raw(uri.path(), "name").to_owned();
        Some((uri.to_string(), name))
    }

    #[test]
    fn an_escaped_slash_is_a_slash() {
        for path in [
            "/v2/a%2Fb%2fc/manifests/x%2fy?tag=%2F",
            "/v2/a%2Fb/c/manifests/x%2fy?tag=%2F",
        ] {
            let (uri, name) = named(path).unwrap();
            assert_eq!(uri, "/v2/a/b/c/manifests/x%2fy?tag=%2F");
            assert_eq!(name, "a/b/c");
        }
        let (uri, _) = named("http://h:1/v2/a%2Fb/manifests/x").unwrap();
        assert_eq!(uri, "http://h:1/v2/a/b/manifests/x");
    }

    #[test]
    fn an_escape_in_a_name_moves_no_verb() {
        let (_, name) = named("/v2/a%2Fmanifests%2Fb/manifests/x").unwrap();
        assert_eq!(name, "a/manifests/b");
        assert_eq!(named("/v2/a%2Fmanifests%2Fx"), None);
    }

    #[test]
    fn no_other_escape_is_part_of_a_name() {
        for name in [
            "a/b",
            "a%252Fb",
            "%2e%2e%2Fa",
            "..%2Fa",
            "a%2F%2Fb",
            "%2Fa",
            "a%2F",
            "a%00%2Fb",
            "a%2Fb%2",
            "a%2Fb%",
            "a%62%2Fb",
            "A%2Fb",
            "a%5c%2Fb",
        ] {
            assert_eq!(named(&format!("/v2/{name}/manifests/x")), None, "{name}");
        }
    }
}
