//! What a path and a query hold, decoded exactly once.

use std::borrow::Cow;
use std::ops::Range;

use seawall_types::{Error, Reason, Result};

use super::pattern::MOST_PARAMS;

/// Where the parameters of a path stand in it, still percent-encoded. It is kept beside the path
/// and allocates nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ParamSpans {
    names: [&'static str; MOST_PARAMS],
    spans: [(u32, u32); MOST_PARAMS],
    count: usize,
}

impl ParamSpans {
    /// Adds the span of a parameter whose name is said later; what is too much is left out, which
    /// patterns are checked for when the process starts.
    pub(super) fn push(&mut self, span: Range<usize>) {
        if let Some(place) = self.spans.get_mut(self.count) {
            // No path is that long: HTTP ends at 64 KiB.
            let short = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
            *place = (short(span.start), short(span.end));
            self.count += 1;
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Forgets what was added since there were `count`.
    pub(super) fn truncate(&mut self, count: usize) {
        self.count = self.count.min(count);
    }

    /// Says the names of the parameters, in the order in which their spans were added.
    pub(super) fn name(&mut self, names: &[&'static str; MOST_PARAMS]) {
        self.names = *names;
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, Range<usize>)> + '_ {
        let spans = self.spans.iter();
        let spans = spans.map(|(start, end)| *start as usize..*end as usize);
        self.names.iter().copied().zip(spans).take(self.count)
    }

    /// Where the parameter stands.
    pub(super) fn span(&self, name: &str) -> Option<Range<usize>> {
        self.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, span)| span)
    }

    /// The parameter as it stands in `path`, or nothing.
    pub(super) fn raw<'p>(&self, path: &'p str, name: &str) -> &'p str {
        self.span(name)
            .and_then(|span| path.get(span))
            .unwrap_or_default()
    }

    /// The same after the parameter at `span` has become `shorter` bytes shorter.
    pub(super) fn shortened(&self, span: &Range<usize>, shorter: usize) -> Self {
        let shorter = u32::try_from(shorter).unwrap_or(u32::MAX);
        let moved = |place: u32| {
            if place as usize >= span.end {
                place.saturating_sub(shorter)
            } else {
                place
            }
        };
        Self {
            spans: self.spans.map(|(start, end)| (moved(start), moved(end))),
            ..*self
        }
    }
}

/// The pairs of a query or of a form, decoded once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

/// More pairs than an honest request has.
const MOST_PAIRS: usize = 256;

impl Query {
    /// Parses `a=b&c=d`. Errors: `BadRequest` for broken percent-encoding or too many pairs.
    pub fn parse(text: &str) -> Result<Self> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == MOST_PAIRS {
                return Err(Error::new(Reason::BadRequest, "too many query parameters"));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(name)?.into_owned(), decode(value)?.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// The first value of `name`, with `+` left as it is: media types and digests hold it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Every pair, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Every value of `name`, with `+` left as it is.
    pub fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Every value of `name` as a form means it, where `+` is a space.
    pub fn form<'q>(&'q self, name: &'q str) -> impl Iterator<Item = String> + 'q {
        self.all(name).map(|value| value.replace('+', " "))
    }
}

/// Decodes percent-encoding once. Errors: `BadRequest` for a broken escape or what is not UTF-8.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let bad = || Error::new(Reason::BadRequest, "broken percent-encoding");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (pair, tail) = rest.split_at_checked(2).ok_or_else(bad)?;
        let mut byte = [0];
        hex::decode_to_slice(pair, &mut byte).map_err(|_| bad())?;
        bytes.push(byte[0]);
        rest = tail;
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_is_kept_or_a_space_as_the_reader_needs_it() {
        let query = Query::parse("t=a%2Fb%2Bjson&t=c+json&scope=x+y&flag").unwrap();
        assert_eq!(query.all("t").collect::<Vec<_>>(), ["a/b+json", "c+json"]);
        assert_eq!(query.form("scope").collect::<Vec<_>>(), ["x y"]);
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("none"), None);
    }

    #[test]
    fn broken_escapes_are_refused() {
        for text in ["a=%", "a=%2", "a=%zz", "a=%ff"] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
        assert!(Query::parse(&"a&".repeat(MOST_PAIRS + 1)).is_err());
    }

    #[test]
    fn decoding_happens_once() {
        assert_eq!(decode("%252e").unwrap(), "%2e");
    }
}
