//! Names of namespaces and repositories (protocol §2.1–2.3, §2.10).
//!
//! A repository is a namespace and a path inside it. A one-part name `hello` *is* `library/hello`:
//! both compare equal and hash alike, and [`RepositoryName::as_written`] still gives back what the
//! client wrote. The scanner is written by hand, so that it is linear in the length, and lengths
//! are checked first. A joined name is never stored (decision 19): stores keep the two parts.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::error::{Error, Reason};
use crate::text::text_form;

/// The longest name in bytes, written out with its namespace. Since `hello` means `library/hello`,
/// a one-part name may have eight bytes fewer: so the canonical form of every name is a name.
pub const MAX_NAME_BYTES: usize = 255;

/// The namespace that a one-part name belongs to.
pub const DEFAULT_NAMESPACE: &str = "library";

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing between two slashes, before the first or after the last; or nothing at all.
    #[error("a name has no empty parts")]
    Empty,
    /// More than [`MAX_NAME_BYTES`].
    #[error("a name has at most {MAX_NAME_BYTES} bytes with its namespace")]
    TooLong,
    /// A byte or a separator that does not belong where it is.
    #[error(
        "each part of a name is lower-case letters and digits, joined by '.', '_', '__' or dashes"
    )]
    Malformed,
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Self::new(Reason::NameInvalid, error.to_string())
    }
}

/// Checks one component: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn check_component(component: &[u8]) -> Result<(), NameError> {
    let word =
        |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if component.is_empty() {
        return Err(NameError::Empty);
    }
    let mut at = 0;
    loop {
        if !word(component.get(at)) {
            return Err(NameError::Malformed);
        }
        while word(component.get(at)) {
            at += 1;
        }
        at += match component.get(at) {
            None => return Ok(()),
            Some(b'_') if component.get(at + 1) == Some(&b'_') => 2,
            Some(b'.' | b'_') => 1,
            Some(b'-') => component
                .iter()
                .skip(at)
                .take_while(|b| **b == b'-')
                .count(),
            Some(_) => return Err(NameError::Malformed),
        };
    }
}

/// The name of a namespace or user: one component of a repository name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceName(String);

impl NamespaceName {
    /// Checks the grammar of one component, of at most [`MAX_NAME_BYTES`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong);
        }
        check_component(text.as_bytes())?;
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for NamespaceName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_form!(NamespaceName, NameError);

/// The name of a repository: a namespace and a path, which may have several parts.
///
/// Equality, hash and order are those of (namespace, path), which is also the order of the catalog.
#[derive(Clone)]
pub struct RepositoryName {
    canonical: String,
    /// The length of the namespace.
    slash: usize,
    /// Whether the client left out the namespace.
    short: bool,
}

impl RepositoryName {
    /// Checks `<name>` of protocol §2.1; at most [`MAX_NAME_BYTES`] with its namespace.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong);
        }
        text.as_bytes()
            .split(|b| *b == b'/')
            .try_for_each(check_component)?;
        if let Some(slash) = text.find('/') {
            return Ok(Self {
                canonical: text.to_owned(),
                slash,
                short: false,
            });
        }
        let canonical = format!("{DEFAULT_NAMESPACE}/{text}");
        if canonical.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong);
        }
        Ok(Self {
            canonical,
            slash: DEFAULT_NAMESPACE.len(),
            short: true,
        })
    }

    /// Joins the two parts as a store keeps them.
    pub fn from_parts(namespace: &str, path: &str) -> Result<Self, NameError> {
        if namespace.len().saturating_add(path.len()) >= MAX_NAME_BYTES {
            return Err(NameError::TooLong);
        }
        check_component(namespace.as_bytes())?;
        path.as_bytes()
            .split(|b| *b == b'/')
            .try_for_each(check_component)?;
        let canonical = format!("{namespace}/{path}");
        Ok(Self {
            canonical,
            slash: namespace.len(),
            short: false,
        })
    }

    /// The first part, `library` when the client left it out.
    pub fn namespace(&self) -> &str {
        self.canonical.get(..self.slash).unwrap_or_default()
    }

    /// Everything after the first slash.
    pub fn path(&self) -> &str {
        self.canonical.get(self.slash + 1..).unwrap_or_default()
    }

    /// What the client wrote: for answers that echo the name.
    pub fn as_written(&self) -> &str {
        if self.short {
            self.path()
        } else {
            &self.canonical
        }
    }

    /// The canonical `namespace/path`.
    pub fn as_canonical(&self) -> &str {
        &self.canonical
    }

    fn parts(&self) -> (&str, &str) {
        (self.namespace(), self.path())
    }
}

impl PartialEq for RepositoryName {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for RepositoryName {}

impl Hash for RepositoryName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

impl PartialOrd for RepositoryName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RepositoryName {
    fn cmp(&self, other: &Self) -> Ordering {
        // Not the order of the joined text, in which '-' and '.' come before the slash.
        self.parts().cmp(&other.parts())
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical)
    }
}

impl fmt::Debug for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepositoryName({})", self.canonical)
    }
}

text_form!(RepositoryName, NameError);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_grammar_accepts() {
        for text in [
            "a",
            "a.b",
            "a_b",
            "a__b",
            "a-b",
            "a---b",
            "a/b/c/d",
            "0",
            "a/blobs/b",
            "9-9",
        ] {
            assert_eq!(RepositoryName::parse(text).unwrap().as_written(), text);
        }
    }

    #[test]
    fn the_grammar_refuses() {
        for text in [
            "", "A", "a..b", "a___b", "a_.b", "-a", "a-", "/a", "a/", "a//b", ".a", "a/../b",
            "a\0", "a%2fb", "a+b", "a$b", "a b", "ä", "a.-b", "a_-b", "a-_b", "_catalog", "a/_b",
            "a\n",
        ] {
            assert!(RepositoryName::parse(text).is_err(), "{text:?}");
            assert!(NamespaceName::parse(text).is_err(), "{text:?}");
        }
        assert!(NamespaceName::parse("a/b").is_err());
    }

    #[test]
    fn a_one_part_name_is_in_the_library() {
        let short = RepositoryName::parse("hello").unwrap();
        let long = RepositoryName::parse("library/hello").unwrap();
        assert_eq!(short, long);
        assert_eq!((short.namespace(), short.path()), ("library", "hello"));
        assert_eq!(
            (short.as_written(), long.as_written()),
            ("hello", "library/hello")
        );
        assert_eq!(short.to_string(), "library/hello");
        assert_eq!(
            short,
            RepositoryName::from_parts("library", "hello").unwrap()
        );
    }

    #[test]
    fn the_order_is_of_namespace_then_path() {
        let parse = |text| RepositoryName::parse(text).unwrap();
        assert!(parse("a/z") < parse("a-b/a"));
        assert!("a/z" > "a-b/a", "which is not the order of the joined text");
    }

    #[test]
    fn lengths_are_limited_in_the_canonical_form() {
        assert!(RepositoryName::parse(&format!("a/{}", "b".repeat(253))).is_ok());
        assert_eq!(
            RepositoryName::parse(&format!("a/{}", "b".repeat(254))),
            Err(NameError::TooLong)
        );
        assert!(RepositoryName::parse(&"b".repeat(247)).is_ok());
        assert_eq!(
            RepositoryName::parse(&"b".repeat(248)),
            Err(NameError::TooLong)
        );
        assert!(NamespaceName::parse(&"b".repeat(255)).is_ok());
        assert_eq!(
            NamespaceName::parse(&"b".repeat(256)),
            Err(NameError::TooLong)
        );
        assert!(RepositoryName::from_parts("a", &"b".repeat(253)).is_ok());
        assert_eq!(
            RepositoryName::from_parts("a", &"b".repeat(254)),
            Err(NameError::TooLong)
        );
    }

    proptest! {
        #[test]
        fn names_lead_back(
            first in "[a-z0-9]{1,9}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,3}",
            rest in "(/[a-z0-9]{1,9}){0,4}",
        ) {
            let text = format!("{first}{rest}");
            let name = RepositoryName::parse(&text).unwrap();
            prop_assert_eq!(name.as_written(), &text);
            prop_assert_eq!(&RepositoryName::parse(&name.to_string()).unwrap(), &name);
            let joined = RepositoryName::from_parts(name.namespace(), name.path()).unwrap();
            prop_assert_eq!(&joined, &name);
            let json = serde_json::to_string(&name).unwrap();
            prop_assert_eq!(serde_json::from_str::<RepositoryName>(&json).unwrap(), name);
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,300}") {
            let _ = RepositoryName::parse(&text);
            let _ = RepositoryName::from_parts(&text, &text);
        }

        /// The scanner agrees with a direct reading of the grammar, by splitting off one separator
        /// at a time.
        #[test]
        fn the_scanner_is_the_grammar(text in "[ab._/-]{0,8}") {
            fn component(text: &str) -> bool {
                let split = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
                let (word, rest) = text.split_at(split);
                let tail = |t: &str| component(t);
                !word.is_empty()
                    && (rest.is_empty()
                        || rest.strip_prefix('.').is_some_and(tail)
                        || rest.strip_prefix('_').is_some_and(tail)
                        || rest.strip_prefix("__").is_some_and(tail)
                        || (rest.starts_with('-') && tail(rest.trim_start_matches('-'))))
            }
            let expected = text.split('/').all(component);
            prop_assert_eq!(RepositoryName::parse(&text).is_ok(), expected);
        }
    }
}
