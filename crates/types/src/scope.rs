//! Scopes: what a token request asks for and what a token holds (protocol §13.2, §13.5).
//!
//! Resource types and actions that this server does not know are dropped, not refused; a scope that
//! is malformed is refused. Names stay as they were written, because the standard's tokens hold
//! them so; [`Scopes::allow`] compares canonical names. A scope is a ceiling and never a proof of
//! anything (decision 1).

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;

use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Reason};
use crate::name::{DEFAULT_NAMESPACE, RepositoryName};

/// The longest text of all scopes of one request, in bytes.
pub const MAX_SCOPE_BYTES: usize = 32 * 1024;

/// The most different resources in one request.
pub const MAX_SCOPES: usize = 256;

/// The longest name of a resource, in bytes.
pub const MAX_RESOURCE_NAME_BYTES: usize = 512;

/// What a set of a few actions takes on the heap, in bytes, about.
const SET_BYTES: usize = 64;

/// What may be done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Read manifests, blobs, tags and referrers.
    Pull,
    /// Upload, store manifests, move tags.
    Push,
    /// Delete tags, manifests and blobs.
    Delete,
    /// `*`: everything; some clients ask for it in order to delete.
    All,
}

impl Action {
    /// The word in a scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::All => "*",
        }
    }

    /// The action with this word; `None` for one that this server does not know.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pull, Self::Push, Self::Delete, Self::All]
            .into_iter()
            .find(|a| a.as_str() == word)
    }
}

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// A repository, by name.
    Repository,
    /// The registry itself; the only name in use is `catalog`.
    Registry,
}

impl ResourceKind {
    /// The word in a scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Registry => "registry",
        }
    }

    /// The kind with this word; `None` for one that this server does not know.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Repository, Self::Registry]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// Why a scope was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Not `type:name:actions`.
    #[error("a scope is type:name:action,action")]
    Malformed,
    /// Longer than [`MAX_SCOPE_BYTES`] or more than [`MAX_SCOPES`].
    #[error("too many scopes in one request")]
    TooMany,
}

impl From<ScopeError> for Error {
    fn from(error: ScopeError) -> Self {
        Self::new(Reason::BadRequest, error.to_string())
    }
}

/// One resource and what is asked or granted there; possibly nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// What the resource is.
    pub kind: ResourceKind,
    /// The resource's name as it was written; not necessarily a valid repository name.
    pub name: String,
    /// The actions, sorted; possibly none.
    pub actions: BTreeSet<Action>,
}

impl Scope {
    /// A scope on a repository, for a challenge; the name is as the client wrote it.
    pub fn repository(name: &RepositoryName, actions: impl IntoIterator<Item = Action>) -> Self {
        let kind = ResourceKind::Repository;
        Self {
            kind,
            name: name.as_written().to_owned(),
            actions: actions.into_iter().collect(),
        }
    }

    /// The scope that the catalog needs: `registry:catalog:*`.
    pub fn catalog() -> Self {
        let actions = BTreeSet::from([Action::All]);
        Self {
            kind: ResourceKind::Registry,
            name: "catalog".to_owned(),
            actions,
        }
    }

    /// Parses `type[(class)]:name:action,action`. The class is deprecated and dropped. `Ok(None)`
    /// for a type that is not known.
    pub fn parse(text: &str) -> Result<Option<Self>, ScopeError> {
        // A name may hold colons (`host:port/…`), so it lies between the first and the last.
        let (kind, rest) = text.split_once(':').ok_or(ScopeError::Malformed)?;
        let (name, actions) = rest.rsplit_once(':').ok_or(ScopeError::Malformed)?;
        let kind = parse_kind(kind)?;
        if name.is_empty()
            || name.len() > MAX_RESOURCE_NAME_BYTES
            || !name.bytes().all(is_name_byte)
        {
            return Err(ScopeError::Malformed);
        }
        // Other servers' actions have other letters, as in `metadata_read` and `scanner-pull`.
        let actions = actions.split(',').filter_map(Action::parse).collect();
        Ok(kind.map(|kind| Self {
            kind,
            name: name.to_owned(),
            actions,
        }))
    }

    /// The repository that this is about; `None` for another kind of resource or a name that no
    /// repository can have.
    pub fn as_repository(&self) -> Option<RepositoryName> {
        match self.kind {
            ResourceKind::Repository => RepositoryName::parse(&self.name).ok(),
            ResourceKind::Registry => None,
        }
    }
}

fn parse_kind(text: &str) -> Result<Option<ResourceKind>, ScopeError> {
    let word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let kind = match text.split_once('(') {
        None => text,
        Some((kind, class)) if class.strip_suffix(')').is_some_and(word) => kind,
        Some(_) => return Err(ScopeError::Malformed),
    };
    if word(kind) {
        Ok(ResourceKind::parse(kind))
    } else {
        Err(ScopeError::Malformed)
    }
}

/// The bytes of `[host[:port]/]name`, and upper case, which no repository has: asking for it is not
/// malformed, only futile.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-/:*[]".contains(&byte)
}

/// The form of a challenge and of the `scope` member of a token answer: `repository:a/b:pull,push`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.kind.as_str(), self.name)?;
        for (index, action) in self.actions.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}", action.as_str())?;
        }
        Ok(())
    }
}

/// The form of a token's `access` claim.
#[derive(Serialize, Deserialize)]
struct AccessClaim<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    actions: Vec<std::borrow::Cow<'a, str>>,
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let actions = self
            .actions
            .iter()
            .map(|action| action.as_str().into())
            .collect();
        let access = AccessClaim {
            kind: self.kind.as_str().into(),
            name: self.name.as_str().into(),
            actions,
        };
        access.serialize(serializer)
    }
}

/// A set of scopes: sorted, one for each resource, with the union of the actions asked for there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeMap<(ResourceKind, String), BTreeSet<Action>>);

impl Scopes {
    /// No scope at all: a login check.
    pub fn none() -> Self {
        Self::default()
    }

    /// Parses the values of all `scope` parameters, each of which may hold several scopes between
    /// blanks.
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, ScopeError> {
        let mut scopes = Self::default();
        let mut bytes: usize = 0;
        for value in values {
            bytes = bytes.saturating_add(value.len());
            if bytes > MAX_SCOPE_BYTES {
                return Err(ScopeError::TooMany);
            }
            for text in value.split([' ', '\t']).filter(|text| !text.is_empty()) {
                scopes.extend(Scope::parse(text)?);
                if scopes.0.len() > MAX_SCOPES {
                    return Err(ScopeError::TooMany);
                }
            }
        }
        Ok(scopes)
    }

    /// Adds one scope, merged with what is there for the same resource.
    pub fn insert(&mut self, scope: Scope) {
        match self.0.entry((scope.kind, scope.name)) {
            Entry::Vacant(entry) => {
                entry.insert(scope.actions);
            }
            Entry::Occupied(mut entry) => entry.get_mut().extend(scope.actions),
        }
    }

    /// Whether there is no scope. A scope without actions counts: it is still to be answered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many resources are named.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many bytes they take in memory, about.
    pub fn bytes(&self) -> usize {
        let one = size_of::<((ResourceKind, String), BTreeSet<Action>)>() + SET_BYTES;
        let names: usize = self.0.keys().map(|(_, name)| name.len()).sum();
        self.len() * one + names
    }

    /// The scopes, sorted by kind and name.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        let scope = |((kind, name), actions): (&(ResourceKind, String), &BTreeSet<Action>)| Scope {
            kind: *kind,
            name: name.clone(),
            actions: actions.clone(),
        };
        self.0.iter().map(scope)
    }

    /// Whether these scopes hold the action on the repository, under its long or its short name;
    /// `*` holds every action.
    pub fn allow(&self, repository: &RepositoryName, action: Action) -> bool {
        let short = (repository.namespace() == DEFAULT_NAMESPACE
            && !repository.path().contains('/'))
        .then(|| repository.path().to_owned());
        let names = [Some(repository.to_string()), short];
        names.into_iter().flatten().any(|name| {
            let actions = self.0.get(&(ResourceKind::Repository, name));
            actions.is_some_and(|held| held.contains(&action) || held.contains(&Action::All))
        })
    }

    /// Whether these scopes hold the catalog.
    pub fn allow_catalog(&self) -> bool {
        let actions = self.0.get(&(ResourceKind::Registry, "catalog".to_owned()));
        actions.is_some_and(|held| held.contains(&Action::All))
    }

    /// Whether nothing more than pulling is asked for, so that the request may run in the lane of
    /// pulls.
    pub fn only_pull(&self) -> bool {
        !self.is_empty()
            && self
                .0
                .values()
                .flatten()
                .all(|action| *action == Action::Pull)
    }
}

impl Extend<Scope> for Scopes {
    fn extend<I: IntoIterator<Item = Scope>>(&mut self, scopes: I) {
        scopes.into_iter().for_each(|scope| self.insert(scope));
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut set = Self::default();
        set.extend(scopes);
        set
    }
}

/// Scopes between blanks, as in a challenge.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{scope}")?;
        }
        Ok(())
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut access = serializer.serialize_seq(Some(self.len()))?;
        for scope in self.iter() {
            access.serialize_element(&scope)?;
        }
        access.end()
    }
}

/// Reads an `access` claim; kinds and actions that are not known grant nothing.
impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let access = Vec::<AccessClaim<'de>>::deserialize(deserializer)?;
        let scope = |entry: AccessClaim<'de>| {
            let actions = entry
                .actions
                .iter()
                .filter_map(|word| Action::parse(word))
                .collect();
            let kind = ResourceKind::parse(&entry.kind)?;
            Some(Scope {
                kind,
                name: entry.name.into_owned(),
                actions,
            })
        };
        Ok(access.into_iter().filter_map(scope).collect())
    }
}

#[cfg(test)]
#[path = "scope_tests.rs"]
mod tests;
