//! Path patterns: `/literal/{one}/{many...}/literal`.
//!
//! `{one}` is a segment that is not empty; `{many...}` is one or more segments, and may stand once,
//! at the end or with literals and parameters behind it. Such a pattern is matched from both ends,
//! so a repository may legally be called `a/blobs/b`: the last verb of a path is the one that
//! counts (protocol §2.11). Of two patterns that match one path the more specific one answers:
//! literals before `{one}` before `{many...}`, segment by segment from the left up to `{many...}`,
//! and behind it from the right. [`Pattern::conflicts_with`] finds the pairs for which that order
//! would be arbitrary.

use std::cmp::Ordering;

/// No pattern has more parameters.
pub(super) const MOST_PARAMS: usize = 8;

/// What is wrong about a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin with a slash.
    #[error("it must begin with a slash")]
    NoSlash,
    /// A parameter without a name, or a brace that is no parameter's.
    #[error("{0:?} is neither a literal nor a parameter")]
    Segment(&'static str),
    /// More than one `{many...}`.
    #[error("it may have only one parameter of several segments")]
    SecondMany,
    /// More parameters than a request has room for.
    #[error("it has more than {MOST_PARAMS} parameters")]
    TooManyParams,
    /// Two parameters of one name.
    #[error("it has the parameter {0:?} twice")]
    ParamTwice(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(&'static str),
    One(&'static str),
    Many(&'static str),
}

impl Segment {
    fn parse(text: &'static str) -> Result<Self, PatternError> {
        let inner = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let segment = match inner.map(|name| (name, name.strip_suffix("..."))) {
            Some((_, Some(name))) => Self::Many(name),
            Some((name, None)) => Self::One(name),
            None => Self::Literal(text),
        };
        let is_plain = |text: &str| !text.contains(['{', '}']);
        let is_valid = match segment {
            Self::Literal(literal) => is_plain(literal),
            Self::One(name) | Self::Many(name) => !name.is_empty() && is_plain(name),
        };
        is_valid
            .then_some(segment)
            .ok_or(PatternError::Segment(text))
    }

    /// The order in which segments are tried.
    fn rank(self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::One(_) => 1,
            Self::Many(_) => 2,
        }
    }

    fn param(self) -> Option<&'static str> {
        match self {
            Self::Literal(_) => None,
            Self::One(name) | Self::Many(name) => Some(name),
        }
    }
}

/// What one segment of a path may be, in a pattern that is stretched to the length of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SegmentClass {
    Literal(&'static str),
    /// Anything but nothing.
    NotEmpty,
    /// One of several segments, of which some may be empty.
    Any,
}

impl SegmentClass {
    fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::Literal(one), Self::Literal(other)) => one == other,
            (Self::Literal(literal), Self::NotEmpty) | (Self::NotEmpty, Self::Literal(literal)) => {
                !literal.is_empty()
            }
            _ => true,
        }
    }

    fn is_within(self, other: Self) -> bool {
        match (self, other) {
            (_, Self::Any) => true,
            (Self::Literal(literal), Self::NotEmpty) => !literal.is_empty(),
            (one, other) => one == other,
        }
    }
}

/// A parsed path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: &'static str,
    segments: Vec<Segment>,
}

impl Pattern {
    /// Parses a pattern.
    pub fn new(text: &'static str) -> Result<Self, PatternError> {
        let rest = text.strip_prefix('/').ok_or(PatternError::NoSlash)?;
        let segments: Vec<_> = rest
            .split('/')
            .map(Segment::parse)
            .collect::<Result<_, _>>()?;
        let pattern = Self { text, segments };
        let many = |segment: &&Segment| matches!(segment, Segment::Many(_));
        if pattern.segments.iter().filter(many).count() > 1 {
            return Err(PatternError::SecondMany);
        }
        let params: Vec<_> = pattern.params().collect();
        if params.len() > MOST_PARAMS {
            return Err(PatternError::TooManyParams);
        }
        let earlier = |place: usize| params.iter().take(place);
        for (place, param) in params.iter().enumerate() {
            if earlier(place).any(|earlier| earlier == param) {
                return Err(PatternError::ParamTwice(param));
            }
        }
        Ok(pattern)
    }

    /// The text it was made from.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// The names of its parameters, from left to right.
    pub fn params(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.segments.iter().filter_map(|segment| segment.param())
    }

    /// Whether the parameter may span several segments.
    pub(super) fn is_many(&self, param: &str) -> bool {
        let many = |segment: &Segment| matches!(segment, Segment::Many(name) if *name == param);
        self.segments.iter().any(many)
    }

    /// What stands before `{many...}`, it, and what stands behind it; all of it, without one.
    pub(super) fn split(&self) -> (&[Segment], Option<&'static str>, &[Segment]) {
        for (place, segment) in self.segments.iter().enumerate() {
            if let (Segment::Many(name), (before, rest)) = (segment, self.segments.split_at(place))
            {
                return (before, Some(name), rest.get(1..).unwrap_or_default());
            }
        }
        (&self.segments, None, &[])
    }

    /// Whether one path matches both patterns, and the one that is tried first is not the one of
    /// which every path matches the other, too. Patterns of one text never conflict.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        if self.text == other.text || !self.meets(other) {
            return false;
        }
        match self.precedence().cmp(&other.precedence()) {
            Ordering::Less => !self.is_within(other),
            Ordering::Greater => !other.is_within(self),
            Ordering::Equal => true,
        }
    }

    fn meets(&self, other: &Self) -> bool {
        self.lengths(other).any(|length| {
            let both = self.classes(length).zip(other.classes(length));
            both.is_some_and(|(own, others)| own.iter().zip(&others).all(|(a, b)| a.meets(*b)))
        })
    }

    fn is_within(&self, other: &Self) -> bool {
        self.lengths(other)
            .filter_map(|length| Some((self.classes(length)?, other.classes(length))))
            .all(|(own, others)| {
                others.is_some_and(|others| own.iter().zip(&others).all(|(a, b)| a.is_within(*b)))
            })
    }

    /// The lengths at which two patterns may differ: with more segments, only both their
    /// `{many...}` grow.
    fn lengths(&self, other: &Self) -> std::ops::RangeInclusive<usize> {
        1..=self.segments.len() + other.segments.len() + 1
    }

    /// What each segment of a path of `length` segments may be.
    fn classes(&self, length: usize) -> Option<Vec<SegmentClass>> {
        let span = (length + 1).checked_sub(self.segments.len())?;
        let (_, many, _) = self.split();
        if span == 0 || (many.is_none() && span != 1) {
            return None;
        }
        let class = |segment: &Segment| match *segment {
            Segment::Literal(literal) => vec![SegmentClass::Literal(literal)],
            Segment::Many(_) if span > 1 => vec![SegmentClass::Any; span],
            Segment::One(_) | Segment::Many(_) => vec![SegmentClass::NotEmpty],
        };
        Some(self.segments.iter().flat_map(class).collect())
    }

    /// The order in which an index tries patterns; the smaller one is tried first.
    fn precedence(&self) -> (Vec<u8>, Vec<u8>) {
        let (before, many, behind) = self.split();
        let last = many.map(|_| Segment::Many("").rank());
        let before = before.iter().map(|segment| segment.rank()).chain(last);
        let behind = behind
            .iter()
            .rev()
            .map(|segment| segment.rank())
            .chain(last);
        (before.collect(), behind.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pattern_is_refused() {
        let error = |text| Pattern::new(text).unwrap_err();
        assert_eq!(error(""), PatternError::NoSlash);
        assert_eq!(error("x"), PatternError::NoSlash);
        assert_eq!(error("/{a...}/x/{b...}"), PatternError::SecondMany);
        assert_eq!(error("/{a}/{a}"), PatternError::ParamTwice("a"));
        for text in ["/{}", "/{...}", "/x{a}", "/{a", "/a}", "/{a{b}}"] {
            assert!(matches!(error(text), PatternError::Segment(_)), "{text}");
        }
        assert!(Pattern::new("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h...}").is_ok());
        let nine = "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}";
        assert_eq!(error(nine), PatternError::TooManyParams);
    }

    #[test]
    fn patterns_conflict_if_neither_is_more_specific() {
        let conflict = |one, other| {
            let (one, other) = (Pattern::new(one).unwrap(), Pattern::new(other).unwrap());
            assert_eq!(one.conflicts_with(&other), other.conflicts_with(&one));
            one.conflicts_with(&other)
        };
        for (one, other) in [
            ("/{a}", "/{b}"),
            ("/a/{x}/c", "/a/b/{y}"),
            ("/{n...}/x", "/{z}/{n...}"),
            ("/a/{n...}", "/{n...}/b"),
            ("/{n...}/tag/{t}", "/{n...}/{x}/restore"),
        ] {
            assert!(conflict(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("/", "/{a}"),
            ("/a", "/{b}"),
            ("/v2/_catalog", "/v2/{name...}"),
            (
                "/v2/{name...}/blobs/uploads",
                "/v2/{name...}/blobs/{digest}",
            ),
            (
                "/v2/{name...}/blobs/uploads/",
                "/v2/{name...}/blobs/uploads/{upload}",
            ),
            (
                "/v2/{name...}/tags/list",
                "/v2/{name...}/manifests/{reference}",
            ),
            ("/r/{ns}/{name}", "/r/{name...}"),
            ("/r/{name...}", "/r/{name...}/tag/{tag}"),
            ("/{ns}/{package}/{release}", "/{ns}/{package}/channels"),
        ] {
            assert!(!conflict(one, other), "{one} {other}");
        }
    }
}
