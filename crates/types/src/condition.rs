//! Conditional requests: `If-Match`, `If-None-Match`, `If-Range` (protocol §4.7, §5.9, §9.18;
//! RFC 9110 §13).
//!
//! The entity tag of a manifest or blob is its digest in quotes. Clients send it quoted, weak, in
//! lists, and bare.

/// The longest header in bytes.
pub const MAX_CONDITION_BYTES: usize = 8 * 1024;

/// The most entity tags in one header.
pub const MAX_ETAGS: usize = 64;

/// A header that is not a list of entity tags, or too long.
///
/// RFC 9110 lets a server ignore a malformed `If-None-Match`; a malformed `If-Match` must not be
/// taken for none, since its sender relies on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a list of entity tags")]
pub struct ConditionError;

/// One entity tag of a condition, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag {
    /// Whether it was marked `W/`: the same meaning rather than the same bytes.
    pub weak: bool,
    /// What is between the quotes.
    pub opaque: String,
}

/// The value of an `If-Match` or `If-None-Match` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ETags {
    /// `*`: any representation at all.
    Any,
    /// One of these.
    List(Vec<ETag>),
}

impl ETags {
    /// Parses `*` or a list of entity tags, each `"x"`, `W/"x"` or bare `x`. Several header lines
    /// are joined with commas first.
    pub fn parse(header: &str) -> Result<Self, ConditionError> {
        if header.len() > MAX_CONDITION_BYTES {
            return Err(ConditionError);
        }
        let mut rest = header.trim_matches(BLANK);
        if rest == "*" {
            return Ok(Self::Any);
        }
        let mut tags = Vec::new();
        loop {
            rest = rest.trim_start_matches(|c| c == ',' || BLANK.contains(&c));
            if rest.is_empty() {
                break;
            }
            let (tag, after) = parse_one(rest)?;
            rest = after.trim_start_matches(BLANK);
            if tags.len() == MAX_ETAGS || !(rest.is_empty() || rest.starts_with(',')) {
                return Err(ConditionError);
            }
            tags.push(tag);
        }
        if tags.is_empty() {
            Err(ConditionError)
        } else {
            Ok(Self::List(tags))
        }
    }

    /// Whether an `If-Match` with this value lets the request pass: there is a `current` entity tag
    /// (without quotes) and it is among these, compared strongly.
    pub fn if_match(&self, current: Option<&str>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::List(tags), Some(current)) => {
                tags.iter().any(|tag| !tag.weak && tag.opaque == current)
            }
        }
    }

    /// Whether an `If-None-Match` with this value lets the request pass: there is no `current`
    /// entity tag (without quotes), or it is not among these, compared weakly. When it does not
    /// pass, a GET is answered 304 and a write 412.
    pub fn if_none_match(&self, current: Option<&str>) -> bool {
        match (self, current) {
            (_, None) => true,
            (Self::Any, Some(_)) => false,
            (Self::List(tags), Some(current)) => tags.iter().all(|tag| tag.opaque != current),
        }
    }
}

const BLANK: [char; 2] = [' ', '\t'];

/// Reads one entity tag off the front.
fn parse_one(text: &str) -> Result<(ETag, &str), ConditionError> {
    let (weak, text) = match text.strip_prefix("W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (opaque, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or(ConditionError)?,
        // Only what was sent without quotes by a client that knows it for a digest; a weak one has
        // quotes.
        None if weak => return Err(ConditionError),
        None => {
            let end = text
                .find(|c| c == ',' || BLANK.contains(&c))
                .unwrap_or(text.len());
            text.split_at(end)
        }
    };
    // The bytes of `etagc` in RFC 9110 §8.8.3.
    if opaque.bytes().all(|b| b > b' ' && b != b'"' && b != 0x7f) {
        Ok((
            ETag {
                weak,
                opaque: opaque.to_owned(),
            },
            rest,
        ))
    } else {
        Err(ConditionError)
    }
}

/// Whether an `If-Range` header lets its `Range` be honoured: it holds exactly the `current` entity
/// tag (without quotes), compared strongly. Dates and anything else do not, so that the whole is
/// sent.
pub fn if_range(header: &str, current: &str) -> bool {
    match ETags::parse(header) {
        Ok(ETags::List(tags)) => tags.len() == 1 && ETags::List(tags).if_match(Some(current)),
        Ok(ETags::Any) | Err(ConditionError) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: &str = "sha256:abc";

    #[test]
    fn tags_are_quoted_weak_listed_and_bare() {
        for header in [
            "\"sha256:abc\"",
            "W/\"sha256:abc\"",
            "sha256:abc",
            " \"x\" , W/\"sha256:abc\"",
            "x,sha256:abc",
            ",,\"sha256:abc\",",
        ] {
            assert!(
                !ETags::parse(header).unwrap().if_none_match(Some(HERE)),
                "{header}"
            );
        }
        assert!(
            ETags::parse("\"sha256:abd\"")
                .unwrap()
                .if_none_match(Some(HERE))
        );
        assert!(
            ETags::parse("\"a,b\", \"c d\"").is_err(),
            "no blanks inside"
        );
        assert_eq!(
            ETags::parse("\"a,b\""),
            Ok(ETags::List(vec![ETag {
                weak: false,
                opaque: "a,b".to_owned()
            }]))
        );
    }

    #[test]
    fn a_star_is_whatever_there_is() {
        let any = ETags::parse(" * ").unwrap();
        assert!(any.if_match(Some(HERE)) && !any.if_match(None));
        assert!(!any.if_none_match(Some(HERE)) && any.if_none_match(None));
    }

    #[test]
    fn if_match_compares_strongly() {
        assert!(ETags::parse("\"sha256:abc\"").unwrap().if_match(Some(HERE)));
        assert!(
            !ETags::parse("W/\"sha256:abc\"")
                .unwrap()
                .if_match(Some(HERE))
        );
        assert!(!ETags::parse("\"sha256:abc\"").unwrap().if_match(None));
    }

    #[test]
    fn malformed_and_endless_headers_are_refused() {
        let many = vec!["\"x\""; MAX_ETAGS + 1].join(",");
        let long = "x".repeat(MAX_CONDITION_BYTES + 1);
        for header in [
            "",
            ",",
            "\"a",
            "W/a",
            "\"a\"b",
            "a\"b",
            "\"a\" \"b\"",
            "\"\u{1}\"",
            &many,
            &long,
        ] {
            assert_eq!(ETags::parse(header), Err(ConditionError), "{header}");
        }
    }

    #[test]
    fn if_range_wants_one_strong_tag() {
        assert!(if_range("\"sha256:abc\"", HERE));
        for header in [
            "W/\"sha256:abc\"",
            "*",
            "\"x\"",
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "\"sha256:abc\",\"x\"",
        ] {
            assert!(!if_range(header, HERE), "{header}");
        }
    }

    proptest! {
        #[test]
        fn tags_lead_back(list in proptest::collection::vec(
            ("[!#-~\u{e4}]{0,12}", any::<bool>()), 1..=MAX_ETAGS
        )) {
            let tags: Vec<_> = list.into_iter().map(|(opaque, weak)| ETag { weak, opaque }).collect();
            let written: Vec<_> = tags
                .iter()
                .map(|tag| format!("{}\"{}\"", if tag.weak { "W/" } else { "" }, tag.opaque))
                .collect();
            prop_assert_eq!(ETags::parse(&written.join(" ,\t")), Ok(ETags::List(tags)));
        }

        #[test]
        fn nothing_panics(text in "[W/\"a*, \u{e4}]{0,20}") {
            let _ = ETags::parse(&text);
        }
    }
}
