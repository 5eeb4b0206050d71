//! Byte ranges: what a `Range` header asks of a blob (protocol §5.4–5.7, §5.12; RFC 9110 §14)
//! and where a chunk says it goes (§7.3).

use crate::error::{Error, Reason};

/// The longest `Range` header in bytes; a longer one is ignored.
pub const MAX_RANGE_HEADER_BYTES: usize = 4096;

/// The most ranges in one request; more are answered with the whole.
pub const MAX_RANGES: usize = 64;

/// A stretch of bytes, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteRange {
    /// The offset of the first byte.
    pub start: u64,
    /// The offset of the last byte, never before `start`.
    pub end: u64,
}

impl ByteRange {
    /// How many bytes it holds, at least one.
    pub const fn length(self) -> u64 {
        (self.end - self.start).saturating_add(1)
    }
}

/// What to answer to a `Range` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeAnswer {
    /// 200 with everything: the header is not understood, or asks for too many ranges.
    Whole,
    /// 206 with these ranges, at least one; several make a `multipart/byteranges`.
    Parts(Vec<ByteRange>),
    /// 416 with `Content-Range: bytes */<size>`.
    Unsatisfiable,
}

/// The parser of `Range` headers.
#[derive(Clone, Copy, Debug)]
pub struct ByteRanges;

impl ByteRanges {
    /// Decides what to answer for a representation of `size` bytes.
    ///
    /// Other units and malformed headers are as if absent (RFC 9110 §14.2), except a backward range
    /// like `500-0`, for which the conformance program wants 416 (§5.6). Ranges that overlap are
    /// merged, and then all are in ascending order. Ranges that merely touch stay apart and
    /// otherwise the order is the client's, because clients match parts to what they asked for.
    /// What begins where nothing ends is nothing, whole: caches add a range to all that they ask
    /// (§5.5).
    pub fn parse(header: &str, size: u64) -> RangeAnswer {
        if header.len() > MAX_RANGE_HEADER_BYTES {
            return RangeAnswer::Whole;
        }
        let Some((unit, set)) = header.trim_matches(BLANK).split_once('=') else {
            return RangeAnswer::Whole;
        };
        if !unit.eq_ignore_ascii_case("bytes") {
            return RangeAnswer::Whole;
        }
        let mut parts = Vec::new();
        let (mut specs, mut from_the_start) = (0, false);
        for spec in set.split(',').map(|spec| spec.trim_matches(BLANK)) {
            if spec.is_empty() {
                // RFC 9110 §5.6.1: empty members of a list are to be ignored.
                continue;
            }
            specs += 1;
            let Some(spec) = RangeSpec::parse(spec) else {
                return RangeAnswer::Whole;
            };
            if specs > MAX_RANGES {
                return RangeAnswer::Whole;
            }
            from_the_start |= spec.starts_at_nothing();
            parts.extend(spec.within(size));
        }
        match (specs, parts.is_empty()) {
            (0, _) => RangeAnswer::Whole,
            _ if size == 0 && from_the_start => RangeAnswer::Whole,
            (_, true) => RangeAnswer::Unsatisfiable,
            (_, false) => RangeAnswer::Parts(coalesce(parts)),
        }
    }
}

const BLANK: [char; 2] = [' ', '\t'];

/// One member of a range set.
enum RangeSpec {
    From(u64),
    Between(u64, u64),
    Last(u64),
}

impl RangeSpec {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once('-')? {
            ("", last) => Some(Self::Last(saturating_number(last)?)),
            (start, "") => Some(Self::From(saturating_number(start)?)),
            (start, end) => Some(Self::Between(
                saturating_number(start)?,
                saturating_number(end)?,
            )),
        }
    }

    /// Whether this begins at the first byte of a representation that has none.
    fn starts_at_nothing(&self) -> bool {
        match *self {
            Self::From(start) | Self::Between(start, _) => start == 0,
            Self::Last(count) => count > 0,
        }
    }

    /// The part of a representation of `size` bytes that this asks for, if there is one.
    fn within(&self, size: u64) -> Option<ByteRange> {
        let last = size.checked_sub(1)?;
        let (start, end) = match *self {
            Self::From(start) => (start, last),
            Self::Between(start, end) => (start, end.min(last)),
            Self::Last(0) => return None,
            Self::Last(count) => (size.saturating_sub(count), last),
        };
        (start <= end).then_some(ByteRange { start, end })
    }
}

/// Digits only; a number beyond 64 bits is as good as the largest.
fn saturating_number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

/// Merges what overlaps; what does not stays as it was.
fn coalesce(parts: Vec<ByteRange>) -> Vec<ByteRange> {
    let mut sorted = parts.clone();
    sorted.sort_unstable();
    let mut merged: Vec<ByteRange> = Vec::with_capacity(sorted.len());
    for part in sorted {
        match merged.last_mut() {
            Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
            _ => merged.push(part),
        }
    }
    if merged.len() == parts.len() {
        parts
    } else {
        merged
    }
}

/// Where a chunk says it goes: the `Content-Range` of a PATCH or of the closing PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The offset of the first byte.
    pub start: u64,
    /// The offset of the last byte, never before `start`; at most `i64::MAX`.
    pub end: u64,
}

/// Why a text is not a chunk's `Content-Range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentRangeError {
    /// Not `<start>-<end>`.
    #[error("Content-Range is <start>-<end>, both included")]
    Malformed,
    /// The end is before the start.
    #[error("Content-Range ends before it starts")]
    Backward,
}

impl From<ContentRangeError> for Error {
    fn from(error: ContentRangeError) -> Self {
        let reason = match error {
            ContentRangeError::Malformed => Reason::RangeInvalid,
            ContentRangeError::Backward => Reason::SizeInvalid,
        };
        Self::new(reason, error.to_string())
    }
}

impl ContentRange {
    /// Parses `<start>-<end>` (§7.3), and also `bytes=a-b`, `bytes a-b/*` and `bytes a-b/<size>`,
    /// which odd clients send.
    pub fn parse(header: &str) -> Result<Self, ContentRangeError> {
        let text = header.trim_matches(BLANK);
        let text = text.strip_prefix("bytes").map_or(text, |rest| {
            rest.strip_prefix('=')
                .unwrap_or(rest)
                .trim_start_matches(BLANK)
        });
        let (text, size) = text.split_once('/').unwrap_or((text, "*"));
        let (start, end) = text.split_once('-').ok_or(ContentRangeError::Malformed)?;
        if size != "*" {
            exact_number(size)?;
        }
        let (start, end) = (exact_number(start)?, exact_number(end)?);
        if end < start {
            return Err(ContentRangeError::Backward);
        }
        Ok(Self { start, end })
    }

    /// How many bytes the chunk must have.
    pub const fn length(self) -> u64 {
        (self.end - self.start).saturating_add(1)
    }
}

/// Digits only, and a number that a blob can have as its size.
fn exact_number(text: &str) -> Result<u64, ContentRangeError> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ContentRangeError::Malformed);
    }
    let number: i64 = text.parse().map_err(|_| ContentRangeError::Malformed)?;
    u64::try_from(number).map_err(|_| ContentRangeError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(header: &str, size: u64) -> Vec<(u64, u64)> {
        match ByteRanges::parse(header, size) {
            RangeAnswer::Parts(parts) => parts.iter().map(|p| (p.start, p.end)).collect(),
            other => panic!("{header}: {other:?}"),
        }
    }

    #[test]
    fn the_cases_of_the_conformance_program() {
        assert_eq!(parts("bytes=500-1499", 2048), [(500, 1499)]);
        assert_eq!(parts("bytes=500-", 2048), [(500, 2047)]);
        assert_eq!(parts("bytes=-500", 2048), [(1548, 2047)]);
        assert_eq!(parts("bytes=2000-5000", 2048), [(2000, 2047)]);
        assert_eq!(
            ByteRanges::parse("bytes=500-0", 2048),
            RangeAnswer::Unsatisfiable
        );
        assert_eq!(
            ByteRanges::parse("bytes=5000-10000", 2048),
            RangeAnswer::Unsatisfiable
        );
        assert_eq!(
            ByteRange {
                start: 500,
                end: 1499
            }
            .length(),
            1000
        );
    }

    #[test]
    fn what_is_not_understood_is_the_whole() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "items=0-1",
            "bytes=-",
            "bytes=a-b",
            "bytes=0-1,x",
            "bytes=1",
            "bytes=0--1",
            "bytes=+1-2",
            "bytes 0-1",
            "bytes=0 - 1",
        ] {
            assert_eq!(
                ByteRanges::parse(header, 10),
                RangeAnswer::Whole,
                "{header}"
            );
        }
    }

    #[test]
    fn an_empty_blob_is_whole_from_its_start_and_has_nothing_elsewhere() {
        let answer = |header| ByteRanges::parse(header, 0);
        for whole in [
            "bytes=0-",
            "bytes=0-0",
            "bytes=0-99",
            "bytes=-1",
            "bytes=5-,0-",
        ] {
            assert_eq!(answer(whole), RangeAnswer::Whole, "{whole}");
        }
        for beyond in ["bytes=1-", "bytes=1-5", "bytes=5-0", "bytes=-0"] {
            assert_eq!(answer(beyond), RangeAnswer::Unsatisfiable, "{beyond}");
        }
    }

    #[test]
    fn several_ranges() {
        assert_eq!(parts("bytes=0-1,5-6", 10), [(0, 1), (5, 6)]);
        assert_eq!(
            parts("Bytes= 5-6 ,\t0-1", 10),
            [(5, 6), (0, 1)],
            "the client's order"
        );
        assert_eq!(
            parts("bytes=0-1,2-3", 10),
            [(0, 1), (2, 3)],
            "touching is not overlapping"
        );
        assert_eq!(parts("bytes=5-9,0-5", 10), [(0, 9)]);
        assert_eq!(parts("bytes=0-0,-1", 1), [(0, 0)]);
        assert_eq!(
            parts("bytes=50-60,0-1", 10),
            [(0, 1)],
            "what cannot be had is left out"
        );
        assert_eq!(parts("bytes=0-1,500-0", 10), [(0, 1)]);
    }

    #[test]
    fn huge_numbers_saturate() {
        assert_eq!(parts("bytes=0-99999999999999999999999", 10), [(0, 9)]);
        assert_eq!(parts("bytes=-99999999999999999999999", 10), [(0, 9)]);
        let beyond = ByteRanges::parse("bytes=99999999999999999999999-", 10);
        assert_eq!(beyond, RangeAnswer::Unsatisfiable);
        assert_eq!(parts("bytes=0-", u64::MAX), [(0, u64::MAX - 1)]);
        assert_eq!(
            ByteRange {
                start: 0,
                end: u64::MAX
            }
            .length(),
            u64::MAX
        );
    }

    #[test]
    fn the_number_of_ranges_is_limited() {
        let header = |count| format!("bytes={}", vec!["0-0"; count].join(","));
        assert_eq!(parts(&header(MAX_RANGES), 10), [(0, 0)]);
        assert_eq!(
            ByteRanges::parse(&header(MAX_RANGES + 1), 10),
            RangeAnswer::Whole
        );
        let long = format!("bytes={}0-1", " ".repeat(MAX_RANGE_HEADER_BYTES));
        assert_eq!(ByteRanges::parse(&long, 10), RangeAnswer::Whole);
    }

    #[test]
    fn chunks_say_where_they_go() {
        for text in [
            "0-9",
            "bytes=0-9",
            "bytes 0-9/*",
            "bytes 0-9/10",
            "0-9/10",
            "bytes=0-9/*",
        ] {
            assert_eq!(
                ContentRange::parse(text),
                Ok(ContentRange { start: 0, end: 9 }),
                "{text}"
            );
        }
        assert_eq!(ContentRange { start: 5, end: 9 }.length(), 5);
        assert_eq!(ContentRange::parse("9-0"), Err(ContentRangeError::Backward));
        for text in [
            "",
            "-",
            "0-",
            "-9",
            "a-b",
            "0-9-1",
            "0 - 9",
            "+0-9",
            "bytes */*",
            "0-9/x",
            "items 0-9",
            "0-9223372036854775808",
            "0-99999999999999999999",
        ] {
            assert_eq!(
                ContentRange::parse(text),
                Err(ContentRangeError::Malformed),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn ranges_lead_back(start in 0..=i64::MAX as u64, length in 0..=i64::MAX as u64, size: u32) {
            let end = start.saturating_add(length).min(i64::MAX as u64);
            let chunk = ContentRange { start, end };
            for text in [format!("{start}-{end}"), format!("bytes {start}-{end}/{size}")] {
                prop_assert_eq!(ContentRange::parse(&text), Ok(chunk));
            }
            let whole = ByteRanges::parse(&format!("bytes={start}-{end}"), end + 1);
            prop_assert_eq!(whole, RangeAnswer::Parts(vec![ByteRange { start, end }]));
        }

        #[test]
        fn parts_lie_within_and_apart(
            specs in proptest::collection::vec((0u64..40, 0u64..40), 1..8),
            size in 0u64..40,
        ) {
            let set: Vec<_> = specs.iter().map(|(a, b)| format!("{a}-{b}")).collect();
            let asked = |at: u64| specs.iter().any(|(a, b)| (*a..=*b).contains(&at));
            let answer = ByteRanges::parse(&format!("bytes={}", set.join(",")), size);
            let parts = match answer {
                RangeAnswer::Parts(parts) => parts,
                RangeAnswer::Unsatisfiable => Vec::new(),
                RangeAnswer::Whole => {
                    prop_assert!(size == 0 && specs.iter().any(|(start, _)| *start == 0));
                    Vec::new()
                }
            };
            for at in 0..size {
                let times = parts.iter().filter(|p| (p.start..=p.end).contains(&at)).count();
                prop_assert_eq!(times, usize::from(asked(at)));
            }
            prop_assert!(parts.iter().all(|p| p.start <= p.end && p.end < size));
        }

        #[test]
        fn nothing_panics(text in "(bytes)?[ =]?[0-9,/* -]{0,40}", size: u64) {
            let _ = ByteRanges::parse(&text, size);
            let _ = ContentRange::parse(&text);
        }
    }
}
