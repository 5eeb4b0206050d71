//! A digest as headers say it, made once for what is served again and again.

use http::HeaderValue;
use seawall_types::{Digest, Error, Result};

/// The digest of some content and its entity tag, as header values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContentHeaders {
    /// The digest.
    pub(crate) digest: HeaderValue,
    /// The digest in quotes.
    pub(crate) etag: HeaderValue,
}

impl ContentHeaders {
    /// The names of what has this digest.
    pub(crate) fn of(digest: &Digest) -> Result<Self> {
        let text = digest.to_string();
        Ok(Self {
            etag: HeaderValue::try_from(format!("\"{text}\"")).map_err(Error::internal)?,
            digest: HeaderValue::try_from(text).map_err(Error::internal)?,
        })
    }

    /// The entity tag without its quotes, which is the digest.
    pub(crate) fn tag(&self) -> &str {
        self.digest.to_str().unwrap_or_default()
    }

    /// What both take on the heap, about.
    pub(crate) fn weight(&self) -> usize {
        self.digest.len() + self.etag.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_is_the_digest_in_quotes() {
        let digest = Digest::of(seawall_types::Algorithm::Sha256, b"");
        let names = ContentHeaders::of(&digest).unwrap();
        assert_eq!(names.tag(), digest.to_string());
        assert_eq!(names.etag.to_str().unwrap(), format!("\"{digest}\""));
    }
}
