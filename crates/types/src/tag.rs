//! Tags (protocol §2.4): the movable names of manifests. They are case-sensitive and compare
//! bytewise.

use std::fmt;

use crate::error::{Error, Reason};
use crate::text::text_form;

/// The longest tag in bytes; its grammar is ASCII only.
pub const MAX_TAG_BYTES: usize = 128;

/// A text outside `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tag is 1 to {MAX_TAG_BYTES} letters, digits, '_', '.' and '-', not beginning with '.' or '-'"
)]
pub struct TagError;

impl From<TagError> for Error {
    fn from(error: TagError) -> Self {
        Self::new(Reason::TagInvalid, error.to_string())
    }
}

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

impl Tag {
    /// Checks the grammar of protocol §2.4.
    pub fn parse(text: &str) -> Result<Self, TagError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let fits = text.len() <= MAX_TAG_BYTES
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(TagError)
        }
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_form!(Tag, TagError);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_grammar() {
        let longest = "a".repeat(MAX_TAG_BYTES);
        for text in [
            "latest",
            "_x",
            "1.0-rc.1",
            "V1",
            "a--..__",
            "sha256-00",
            longest.as_str(),
        ] {
            assert_eq!(Tag::parse(text).unwrap().as_str(), text);
        }
        let too_long = "a".repeat(MAX_TAG_BYTES + 1);
        for text in [
            "",
            ".a",
            "-a",
            "a b",
            "a:b",
            "a/b",
            "a+b",
            "ä",
            "a\n",
            too_long.as_str(),
        ] {
            assert_eq!(Tag::parse(text), Err(TagError), "{text:?}");
        }
    }

    #[test]
    fn tags_are_case_sensitive_and_ordered_bytewise() {
        let parse = |text| Tag::parse(text).unwrap();
        assert_ne!(parse("Latest"), parse("latest"));
        assert!(parse("B") < parse("a"));
    }

    proptest! {
        #[test]
        fn tags_lead_back(text in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
            let tag = Tag::parse(&text).unwrap();
            prop_assert_eq!(&tag.to_string().parse::<Tag>().unwrap(), &tag);
            let json = serde_json::to_string(&tag).unwrap();
            prop_assert_eq!(serde_json::from_str::<Tag>(&json).unwrap(), tag);
        }
    }
}
