//! Who may do what, in words: roles, visibilities, kinds and states (decision 19).
//!
//! Only the words and their order live here. Which role an act needs is the kernel's one table;
//! nothing here decides.

use crate::codes;

codes! {
    /// What becomes of a principal or a namespace.
    AccountState {
        /// It is there.
        Active = 1, "active";
        /// A principal that may not log in for now.
        Disabled = 2, "disabled";
        /// It is gone for every caller, and a job removes its rows.
        Deleting = 3, "deleting";
    }
}

codes! {
    /// What may be granted on a repository; each role includes those before it.
    Role {
        /// May pull.
        Read = 1, "read";
        /// May push, move tags, and delete tags, manifests and blobs.
        Write = 2, "write";
        /// May grant, change settings and delete the repository.
        Admin = 3, "admin";
    }
}

codes! {
    /// What may be granted on a namespace; each role includes those before it.
    NamespaceRole {
        /// May create repositories, and administers those it created.
        Creator = 1, "creator";
        /// May do everything in the namespace.
        Admin = 2, "admin";
    }
}

codes! {
    /// Who may pull without a grant.
    Visibility {
        /// Everyone, anonymous callers included.
        Public = 1, "public";
        /// Only those with a grant; to all others the repository does not exist.
        Private = 2, "private";
    }
}

/// What a repository holds. The set is open: a kind is declared by the crate that serves the
/// repositories of that kind, with a number that is stored and never used for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RepositoryKind {
    code: i64,
    name: &'static str,
}

impl RepositoryKind {
    /// The kind stored as `code`, called `name` in JSON, errors and logs.
    pub const fn new(code: i64, name: &'static str) -> Self {
        Self { code, name }
    }

    /// The number under which this is stored.
    pub const fn code(self) -> i64 {
        self.code
    }

    /// The word for this.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

codes! {
    /// What may be done with a repository at present, by any caller.
    RepositoryState {
        /// Everything that roles allow.
        Normal = 1, "normal";
        /// Pulls only.
        ReadOnly = 2, "read_only";
        /// Pulls by all, writes by the mirror only.
        Mirror = 3, "mirror";
        /// Nothing: its name is free again, and a job is removing its rows.
        Deleting = 4, "deleting";
    }
}

codes! {
    /// To whom a namespace belongs.
    NamespaceKind {
        /// To one user, with that user's name.
        User = 1, "user";
        /// To none by itself: its maker is its first admin.
        Organization = 2, "organization";
    }
}

codes! {
    /// Kinds of principals; all share one id space, so that a grant has one kind of subject.
    PrincipalKind {
        /// A person with a password or an external identity.
        User = 1, "user";
        /// An account of a machine, named `owner+name`.
        Robot = 2, "robot";
        /// A group of principals inside an organization.
        Team = 3, "team";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_by_what_they_include() {
        assert!(Role::Read < Role::Write && Role::Write < Role::Admin);
        assert!(NamespaceRole::Creator < NamespaceRole::Admin);
    }

    #[test]
    fn codes_and_words_lead_back() {
        for state in RepositoryState::ALL {
            assert_eq!(RepositoryState::from_code(state.code()), Some(*state));
            assert_eq!(RepositoryState::parse(state.as_str()), Some(*state));
        }
        assert_eq!(Role::from_code(0), None);
        assert_eq!(Role::from_code(4), None);
        assert_eq!(Role::parse("Admin"), None);
    }

    #[test]
    fn words_are_what_json_holds() {
        assert_eq!(
            serde_json::to_string(&RepositoryState::ReadOnly).unwrap(),
            "\"read_only\""
        );
        assert_eq!(
            serde_json::from_str::<Visibility>("\"public\"").unwrap(),
            Visibility::Public
        );
        assert!(serde_json::from_str::<Visibility>("\"Public\"").is_err());
    }

    /// The codes are in databases: changing one changes what stored rows mean.
    #[test]
    fn codes_are_frozen() {
        assert_eq!(
            Role::ALL.iter().map(|r| r.code()).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        assert_eq!(Visibility::Private.code(), 2);
        assert_eq!(RepositoryState::Deleting.code(), 4);
        assert_eq!(NamespaceKind::Organization.code(), 2);
        assert_eq!(PrincipalKind::Team.code(), 3);
    }
}
