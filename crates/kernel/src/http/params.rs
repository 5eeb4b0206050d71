//! What a path and a query hold, decoded exactly once.

use std::borrow::Cow;
use std::ops::Range;

use seawall_types::{Error, Reason, Result};

/// No pattern has more parameters.
pub(super) const MOST_PARAMS: usize = 4;

/// The parameters that a pattern captured, still percent-encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Params<'p> {
    held: [(&'static str, &'p str); MOST_PARAMS],
    count: usize,
}

impl<'p> Params<'p> {
    pub(super) fn set(&mut self, name: &'static str, value: &'p str) {
        if let Some(place) = self.held.get_mut(self.count) {
            *place = (name, value);
            self.count += 1;
        }
    }

    /// The parameter as it stood in the path, or nothing.
    pub fn raw(&self, name: &str) -> &'p str {
        let mut held = self.iter();
        held.find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'p str)> + '_ {
        self.held.iter().take(self.count).copied()
    }

    /// Where they stand in `path`, from which they were captured.
    pub(super) fn places(&self, path: &str) -> Places {
        let mut places = Places::default();
        for (place, (name, value)) in places.0.iter_mut().zip(self.iter()) {
            let start = value.as_ptr().addr().saturating_sub(path.as_ptr().addr());
            *place = (name, start..start + value.len());
        }
        places
    }
}

/// Parameters as places in the path that they were captured from.
#[derive(Debug, Clone, Default)]
pub(super) struct Places([(&'static str, Range<usize>); MOST_PARAMS]);

impl Places {
    /// Where the parameter stands.
    pub(super) fn place(&self, name: &str) -> Option<Range<usize>> {
        let mut places = self.0.iter();
        places
            .find(|(key, _)| *key == name)
            .map(|(_, range)| range.clone())
    }

    /// The parameter as it stands in `path`, or nothing.
    pub(super) fn raw<'p>(&self, path: &'p str, name: &str) -> &'p str {
        self.place(name)
            .and_then(|range| path.get(range))
            .unwrap_or_default()
    }
}

/// The pairs of a query or of a form, decoded once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

/// More pairs than this are nobody's honest request.
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
