//! Path patterns with one parameter that may span several segments.
//!
//! `/v2/{name...}/manifests/{reference}` is matched from both ends, so a repository may legally be
//! called `a/blobs/b`: the last verb of a path is the one that counts (distribution §2.11).

use super::params::Params;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    Literal(&'static str),
    One(&'static str),
    Many(&'static str),
}

/// A parsed path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: &'static str,
    segments: Vec<Segment>,
}

impl Pattern {
    /// Parses `/literal/{one}/{many...}`; at most one `{many...}` counts.
    pub fn new(text: &'static str) -> Self {
        let segments = text
            .split('/')
            .skip(1)
            .map(|segment| {
                let inner = segment
                    .strip_prefix('{')
                    .and_then(|rest| rest.strip_suffix('}'));
                match inner.map(|name| (name, name.strip_suffix("..."))) {
                    Some((_, Some(name))) => Segment::Many(name),
                    Some((name, None)) => Segment::One(name),
                    None => Segment::Literal(segment),
                }
            })
            .collect();
        Self { text, segments }
    }

    /// The text it was made from.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// The parameters, if `path` (still percent-encoded) matches.
    pub fn capture<'p>(&self, path: &'p str) -> Option<Params<'p>> {
        let path = path.strip_prefix('/')?;
        let mut params = Params::default();
        let split = self
            .segments
            .iter()
            .position(|s| matches!(s, Segment::Many(_)));
        let Some(split) = split else {
            let mut given = path.split('/');
            for segment in &self.segments {
                take(*segment, given.next()?, &mut params)?;
            }
            return given.next().is_none().then_some(params);
        };
        let (before, rest) = self.segments.split_at(split);
        let mut middle = path;
        for segment in before {
            let (given, left) = middle.split_once('/')?;
            take(*segment, given, &mut params)?;
            middle = left;
        }
        for segment in rest.iter().skip(1).rev() {
            let (left, given) = middle.rsplit_once('/')?;
            take(*segment, given, &mut params)?;
            middle = left;
        }
        if let (Some(Segment::Many(name)), false) = (rest.first(), middle.is_empty()) {
            params.set(name, middle);
            return Some(params);
        }
        None
    }
}

fn take<'p>(segment: Segment, given: &'p str, params: &mut Params<'p>) -> Option<()> {
    match segment {
        Segment::Literal(literal) => (literal == given).then_some(()),
        Segment::One(name) | Segment::Many(name) => {
            params.set(name, given);
            (!given.is_empty()).then_some(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(pattern: &'static str, path: &str) -> Option<Vec<(String, String)>> {
        let params = Pattern::new(pattern).capture(path)?;
        Some(
            params
                .iter()
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
        )
    }

    #[test]
    fn the_last_verb_counts() {
        let manifests = "/v2/{name...}/manifests/{reference}";
        let found = captured(manifests, "/v2/a/blobs/b/manifests/x").unwrap();
        assert!(found.contains(&("name".into(), "a/blobs/b".into())));
        assert!(found.contains(&("reference".into(), "x".into())));
        let tags = "/v2/{name...}/tags/list";
        let found = captured(tags, "/v2/a/tags/list/tags/list").unwrap();
        assert_eq!(found, [("name".into(), "a/tags/list".into())]);
    }

    #[test]
    fn a_missing_part_is_no_match() {
        let manifests = "/v2/{name...}/manifests/{reference}";
        for path in [
            "/v2/manifests/x",
            "/v2//manifests/x",
            "/v2/a/manifests/",
            "/v2/a/manifests",
            "",
        ] {
            assert_eq!(captured(manifests, path), None, "{path}");
        }
    }

    #[test]
    fn a_trailing_slash_is_a_segment_of_its_own() {
        assert!(captured("/v2/{name...}/blobs/uploads/", "/v2/a/blobs/uploads/").is_some());
        assert!(captured("/v2/{name...}/blobs/uploads/", "/v2/a/blobs/uploads").is_none());
        assert!(captured("/v2/", "/v2/").is_some());
        assert!(captured("/", "/").is_some());
        assert!(captured("/", "/x").is_none());
    }
}
