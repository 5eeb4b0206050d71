//! Ids of rows: signed 64-bit integers that the database hands out and never uses again, one type
//! for each kind of thing so that one cannot be passed for another. Zero and negative values are
//! not handed out; they are representable, since an id is only ever compared, never trusted.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// The id as a number.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// A user, robot or team: what can be granted something.
    PrincipalId;
    /// A password, token or refresh token.
    CredentialId;
    /// A namespace: a user's own or an organization.
    NamespaceId;
    /// A repository; survives renaming.
    RepositoryId;
    /// A queued piece of background work.
    JobId;
    /// A row of the event log.
    EventId;
    /// A row of the change log, by which caches are kept coherent.
    ChangeId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_bare_number_outside() {
        let id = RepositoryId::from(42);
        assert_eq!(id.to_string(), "42");
        assert_eq!(serde_json::to_string(&id).unwrap(), "42");
        assert_eq!(serde_json::from_str::<RepositoryId>("42").unwrap(), id);
        assert_eq!(i64::from(id), id.get());
    }
}
