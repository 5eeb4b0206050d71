//! The acts: what can be done to a repository, and the one table of what each needs.

use seawall_types::permission::Role;
use seawall_types::scope::Action;

/// An act as a type, so that a function that pushes cannot be given a repository opened for a pull.
pub trait Act: Send + Sync + 'static {
    /// The same act as a value.
    const KIND: ActKind;
}

/// An act that only makes sense on a repository that exists.
pub trait Existing: Act {}

/// The acts as values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActKind {
    /// Read manifests and blobs.
    Pull,
    /// Upload blobs, write manifests, set tags; creates the repository where the caller may.
    Push,
    /// Delete tags, manifests and blobs.
    Delete,
    /// List tags and referrers.
    Describe,
    /// Change the repository itself: visibility, grants, deletion.
    Administer,
}

/// What an act needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The role that the subject must hold now.
    pub role: Role,
    /// What the credential's ceiling must include; `None` is not covered by any token scope.
    pub action: Action,
    /// Whether the repository's state must admit writes.
    pub writes: bool,
}

impl ActKind {
    /// The table. A `write` role may delete tags, manifests and blobs.
    pub const fn rule(self) -> Rule {
        match self {
            Self::Pull | Self::Describe => Rule {
                role: Role::Read,
                action: Action::Pull,
                writes: false,
            },
            Self::Push => Rule {
                role: Role::Write,
                action: Action::Push,
                writes: true,
            },
            Self::Delete => Rule {
                role: Role::Write,
                action: Action::Delete,
                writes: true,
            },
            Self::Administer => Rule {
                role: Role::Admin,
                action: Action::All,
                writes: false,
            },
        }
    }

    /// The actions that a challenge asks for, in the order that clients know (distribution §13.1).
    pub const fn scope_actions(self) -> &'static str {
        match self {
            Self::Pull | Self::Describe => "pull",
            Self::Push => "pull,push",
            Self::Delete => "delete",
            Self::Administer => "*",
        }
    }
}

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;
        impl Act for $name {
            const KIND: ActKind = ActKind::$name;
        }
    )*};
}

acts! {
    /// See [`ActKind::Pull`].
    Pull,
    /// See [`ActKind::Push`].
    Push,
    /// See [`ActKind::Delete`].
    Delete,
    /// See [`ActKind::Describe`].
    Describe,
    /// See [`ActKind::Administer`].
    Administer,
}

impl Existing for Pull {}
impl Existing for Delete {}
impl Existing for Describe {}
impl Existing for Administer {}
