//! The facts of a judgement: what one read tells about a repository and its caller.

use std::sync::Arc;

use seawall_cache::MemorySize;
use seawall_meta::Row;
use seawall_types::ids::{NamespaceId, PrincipalId, RepositoryId};
use seawall_types::name::RepositoryName;
use seawall_types::permission::{NamespaceKind, NamespaceRole, RepositoryState, Role, Visibility};
use seawall_types::{Error, Reason, Result};

use crate::cache::CacheShare;
use crate::changes::{self, Subject};

/// The cache of what decides who may do what.
pub(crate) const FACTS: CacheShare = CacheShare::new("facts", 10);

/// A namespace as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// Its id; never reused.
    pub id: NamespaceId,
    /// A user's own, or an organization.
    pub kind: NamespaceKind,
    /// The user whose namespace it is.
    pub owner: Option<PrincipalId>,
    /// Counted up by every change of it and of the grants on it.
    pub generation: i64,
}

/// A repository as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryRow {
    /// Its id; never reused.
    pub id: RepositoryId,
    /// Who may read it without a grant.
    pub visibility: Visibility,
    /// The number of its kind, which may be one that no crate of this process declares.
    pub kind: i64,
    /// What may be done to it.
    pub state: RepositoryState,
    /// Counted up by every change of it and of the grants on it.
    pub generation: i64,
}

/// Everything that decides what a caller may do to one repository name, from one read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryFacts {
    /// The namespace, if it exists.
    pub namespace: Option<NamespaceFacts>,
    /// The repository, if it exists.
    pub repository: Option<RepositoryRow>,
    /// The caller's grant on the namespace.
    pub namespace_role: Option<NamespaceRole>,
    /// The caller's grant on the repository.
    pub role: Option<Role>,
}

impl RepositoryFacts {
    /// Reads the columns of `store::FACTS`, but for the place.
    pub(super) fn read(row: &Row) -> Result<Self> {
        let namespace = NamespaceFacts {
            id: row.int(0)?.into(),
            kind: stored(NamespaceKind::from_code(row.int(1)?))?,
            owner: row.opt_int(2)?.map(PrincipalId::from),
            generation: row.int(9)?,
        };
        let repository = match row.opt_int(3)? {
            None => None,
            Some(id) => Some(RepositoryRow {
                id: id.into(),
                visibility: stored(Visibility::from_code(row.int(4)?))?,
                kind: row.int(5)?,
                state: stored(RepositoryState::from_code(row.int(6)?))?,
                generation: row.int(10)?,
            }),
        };
        Ok(Self {
            namespace: Some(namespace),
            repository,
            namespace_role: row
                .opt_int(7)?
                .map(|code| stored(NamespaceRole::from_code(code)))
                .transpose()?,
            role: row
                .opt_int(8)?
                .map(|code| stored(Role::from_code(code)))
                .transpose()?,
        })
    }
}

impl RepositoryFacts {
    /// What has to stay as it is for these facts about `name` and `caller` (0 for an anonymous one)
    /// to hold.
    pub(super) fn depend_on<'n>(&self, name: &'n RepositoryName, caller: i64) -> Vec<Subject<'n>> {
        let Some(namespace) = &self.namespace else {
            return vec![changes::NAMESPACE_MADE.subject(name.namespace())];
        };
        let namespace = namespace.id.get();
        let mut on = vec![
            changes::NAMESPACE.subject(namespace),
            changes::PRINCIPAL.subject(caller),
        ];
        match &self.repository {
            None => on.push(changes::REPOSITORY_MADE.subject(namespace, name.path())),
            Some(row) => {
                on.push(changes::REPOSITORY.subject(row.id.get()));
                on.push(changes::GRANT.subject(row.id.get(), caller));
            }
        }
        on
    }
}

/// Whose facts about which name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FactsKey {
    name: Arc<str>,
    caller: i64,
}

impl FactsKey {
    pub(super) fn new(name: &RepositoryName, caller: i64) -> Self {
        Self {
            name: name.as_canonical().into(),
            caller,
        }
    }

    /// That there is no namespace of this name, which holds for all names in it and all callers. No
    /// repository has a name without a namespace.
    pub(super) fn absent(namespace: &str) -> Self {
        Self {
            name: namespace.into(),
            caller: 0,
        }
    }
}

impl MemorySize for FactsKey {
    fn weight(&self) -> usize {
        self.name.len()
    }
}

impl MemorySize for RepositoryFacts {
    fn weight(&self) -> usize {
        0
    }
}

/// A stored code as what it stands for. Errors: `Internal` for one that only a later release knows.
pub(super) fn stored<T>(known: Option<T>) -> Result<T> {
    known.ok_or_else(|| {
        Error::new(
            Reason::Internal,
            "a stored code that this release does not know",
        )
    })
}
