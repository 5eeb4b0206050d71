//! What a change is about: the words in which readers say what their values depend on.

use std::borrow::Cow;

use super::Heard;

/// What a change ends, and what a cached value depends on. A value that depends on a subject which a
/// change is about was read before that change, or is not given out any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject<'a> {
    /// That no namespace has this name.
    NamespaceName(Cow<'a, str>),
    /// A namespace, the grants on it, and whether it is there.
    Namespace(i64),
    /// That a namespace has no repository of this name: (namespace, path).
    RepositoryName(i64, Cow<'a, str>),
    /// A repository, and whether it is there.
    Repository(i64),
    /// A grant on a repository: (repository, principal).
    Grant(i64, i64),
    /// A principal and its credentials.
    Principal(i64),
    /// The signing keys.
    SigningKeys,
    /// A tag: (repository, name).
    Tag(i64, Cow<'a, str>),
    /// A manifest of a repository: (repository, digest).
    Manifest(i64, Cow<'a, str>),
    /// A blob as a repository serves it, or as it is stored: (repository or 0, digest).
    Blob(i64, Cow<'a, str>),
}

impl<'a> Subject<'a> {
    /// What a change is about; `None` for everything there is.
    pub(super) fn of(heard: &'a Heard) -> Option<Self> {
        let Heard::Change { kind, a, b, name } = heard else {
            return None;
        };
        let named = || name.as_deref().map(Cow::Borrowed);
        match *kind {
            super::NAMESPACE_MADE => named().map(Self::NamespaceName),
            super::NAMESPACE => Some(Self::Namespace(*a)),
            super::REPOSITORY_MADE => named().map(|path| Self::RepositoryName(*a, path)),
            super::REPOSITORY => Some(Self::Repository(*a)),
            super::GRANT => Some(Self::Grant(*a, *b)),
            super::PRINCIPAL => Some(Self::Principal(*a)),
            super::SIGNING_KEYS => Some(Self::SigningKeys),
            super::TAG => named().map(|tag| Self::Tag(*a, tag)),
            super::MANIFEST => named().map(|digest| Self::Manifest(*a, digest)),
            super::BLOB => named().map(|digest| Self::Blob(*a, digest)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::{BLOB, NAMESPACE_MADE};

    fn heard(kind: i64, name: Option<&str>) -> Heard {
        Heard::Change {
            kind,
            a: 1,
            b: 2,
            name: name.map(str::to_owned),
        }
    }

    #[test]
    fn every_kind_is_about_something_of_its_own() {
        let all: Vec<_> = (NAMESPACE_MADE..=BLOB)
            .map(|kind| heard(kind, Some("x")))
            .collect();
        let mut subjects: Vec<_> = all.iter().filter_map(Subject::of).collect();
        assert_eq!(subjects.len(), all.len());
        subjects.dedup();
        assert_eq!(subjects.len(), all.len());
    }

    #[test]
    fn what_cannot_be_understood_is_about_everything() {
        assert_eq!(Subject::of(&Heard::Everything), None);
        assert_eq!(Subject::of(&heard(BLOB + 1, Some("x"))), None);
        assert_eq!(Subject::of(&heard(BLOB, None)), None);
    }
}
