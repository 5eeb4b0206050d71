//! Which parameters of a route's path name its repository.

use seawall_types::Result;
use seawall_types::name::RepositoryName;

/// Which parameters of a path name its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryParams {
    /// One holds the whole name.
    Whole(&'static str),
    /// One holds the namespace, and another the name in it.
    Parts {
        /// The namespace's.
        namespace: &'static str,
        /// That of the name in it.
        name: &'static str,
    },
}

impl RepositoryParams {
    /// The repository's name, from what `raw` says of each parameter. Errors: `NameInvalid`.
    pub(super) fn parse<'p>(self, raw: impl Fn(&str) -> &'p str) -> Result<RepositoryName> {
        Ok(match self {
            Self::Whole(name) => RepositoryName::parse(raw(name))?,
            Self::Parts { namespace, name } => {
                RepositoryName::parse(&format!("{}/{}", raw(namespace), raw(name)))?
            }
        })
    }

    /// The parameters.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        let (first, second) = match self {
            Self::Whole(name) => (name, None),
            Self::Parts { namespace, name } => (namespace, Some(name)),
        };
        std::iter::once(first).chain(second)
    }
}
