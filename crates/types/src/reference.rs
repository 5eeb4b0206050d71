//! A reference, as it follows `/manifests/` in a path: a tag or a digest, never anything else
//! (protocol §2.5).

use std::fmt;

use crate::digest::{Digest, DigestError};
use crate::error::Error;
use crate::tag::{Tag, TagError};
use crate::text::text_form;

/// The name of a manifest in its repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A name that may move.
    Tag(Tag),
    /// A name that cannot.
    Digest(Digest),
}

/// Why a text is neither a tag nor a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// No colon, so meant as a tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// A colon, so meant as a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl From<ReferenceError> for Error {
    fn from(error: ReferenceError) -> Self {
        match error {
            ReferenceError::Tag(error) => error.into(),
            ReferenceError::Digest(error) => error.into(),
        }
    }
}

impl Reference {
    /// Parses a tag or digest. No tag holds a colon, so anything with one is a digest, good or bad.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            Ok(Self::Digest(Digest::parse(text)?))
        } else {
            Ok(Self::Tag(Tag::parse(text)?))
        }
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

text_form!(Reference, ReferenceError);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Algorithm;

    proptest! {
        #[test]
        fn references_lead_back(tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", wide: bool) {
            let algorithm = if wide { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let digest = Digest::of(algorithm, tag.as_bytes());
            for reference in [Reference::from(Tag::parse(&tag).unwrap()), Reference::from(digest)] {
                prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference.clone()));
                let json = serde_json::to_string(&reference).unwrap();
                prop_assert_eq!(serde_json::from_str::<Reference>(&json).unwrap(), reference);
            }
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,200}") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(reference.to_string(), text);
            }
        }
    }

    #[test]
    fn a_colon_makes_a_digest() {
        assert!(matches!(Reference::parse("v1.0"), Ok(Reference::Tag(_))));
        assert!(matches!(Reference::parse("sha256"), Ok(Reference::Tag(_))));
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(Reference::parse(&digest).unwrap().to_string(), digest);
        let bad = Reference::parse("sha256:baddigeststring");
        assert_eq!(bad, Err(ReferenceError::Digest(DigestError::Malformed)));
        assert_eq!(Reference::parse(""), Err(ReferenceError::Tag(TagError)));
        assert_eq!(Reference::parse(".."), Err(ReferenceError::Tag(TagError)));
    }
}
