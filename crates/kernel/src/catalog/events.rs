//! The events that the catalog emits: users, namespaces, repositories and grants.

use serde::{Deserialize, Serialize};

use crate::events::kind::{EventDeclaration, EventKind, EventType};

/// A user was made with the namespace that the event names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCreated;

/// A user may log in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEnabled {
    /// The user's name.
    pub user: String,
}

/// A user may not log in any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDisabled {
    /// The user's name.
    pub user: String,
}

/// A user and its namespace went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDeleted {
    /// The user's name.
    pub user: String,
}

/// A namespace was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceCreated;

/// A namespace went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceDeleted;

/// A repository was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryCreated;

/// A repository went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryDeleted;

/// A repository became public or private.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisibilityChanged {
    /// What it is now: `public` or `private`.
    pub visibility: String,
}

/// A grant was given, changed or taken, on the repository that the event names, or else on its
/// namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantChanged {
    /// Whose grant it is.
    pub user: String,
    /// The role that it gives now; `None` if it was taken.
    pub role: Option<String>,
}

macro_rules! kinds {
    ($($event:ident: $number:literal, $name:literal;)+) => {
        $(impl EventType for $event {
            const KIND: EventKind = EventKind::new($number, $name);
        })+

        /// The declarations of these events.
        pub(crate) const ALL: &[EventDeclaration] = &[$(EventDeclaration::of::<$event>()),+];
    };
}

kinds! {
    UserCreated: 1, "user_created";
    UserEnabled: 2, "user_enabled";
    UserDisabled: 3, "user_disabled";
    UserDeleted: 4, "user_deleted";
    NamespaceCreated: 10, "namespace_created";
    NamespaceDeleted: 11, "namespace_deleted";
    RepositoryCreated: 20, "repository_created";
    RepositoryDeleted: 21, "repository_deleted";
    VisibilityChanged: 22, "visibility_changed";
    GrantChanged: 23, "grant_changed";
}
