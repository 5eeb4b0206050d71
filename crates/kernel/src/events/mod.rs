//! Facts after the act: written in the transaction that caused them, delivered at least once.
//!
//! An event carries ids and the names as they were, who acted, from where. Each consumer has a
//! leased, fenced cursor of its own and is idempotent by event id. A failing consumer never fails or
//! delays the request that caused the event, and one that is switched off holds up no pruning.
//! What must not cost a write at all (a pull) is told to [`Watchers`] instead.

mod delivery;
pub mod store;
mod watch;

pub(crate) use delivery::register;
pub use delivery::{BATCH, Consumer, heard_by_all, run};
#[cfg(test)]
pub(crate) use delivery::{Ended, hold};
pub use watch::{Pulled, Watch, Watchers};

use seawall_meta::{Expect, Tx, args};
use seawall_types::Result;
use seawall_types::ids::{EventId, NamespaceId, RepositoryId};
use seawall_types::time::Millis;
use serde::{Deserialize, Serialize};

use crate::op::Op;

/// What happened. The numbers are stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A user was made.
    UserCreated = 1,
    /// A user may log in again.
    UserEnabled = 2,
    /// A user may not log in any more.
    UserDisabled = 3,
    /// A user and its namespace went.
    UserDeleted = 4,
    /// A password was set.
    PasswordChanged = 5,
    /// Refresh tokens were revoked (detail: user, credential if it was one).
    RefreshTokensRevoked = 6,
    /// A namespace was made.
    NamespaceCreated = 10,
    /// A namespace went.
    NamespaceDeleted = 11,
    /// A repository was made.
    RepositoryCreated = 20,
    /// A repository went.
    RepositoryDeleted = 21,
    /// A repository became public or private.
    VisibilityChanged = 22,
    /// A grant was given, changed or taken.
    GrantChanged = 23,
    /// A manifest was pushed (detail: digest, media type, tags).
    ManifestPushed = 30,
    /// A manifest was deleted with its tags (detail: digest, tags, and whether there were more).
    ManifestDeleted = 31,
    /// A tag was set or moved (detail: tag, digest, before).
    TagMoved = 32,
    /// A tag was deleted (detail: tag, digest).
    TagDeleted = 33,
    /// A blob was taken out of a repository (detail: digest).
    BlobDeleted = 34,
}

impl EventKind {
    const ALL: [Self; 17] = [
        Self::UserCreated,
        Self::UserEnabled,
        Self::UserDisabled,
        Self::UserDeleted,
        Self::PasswordChanged,
        Self::RefreshTokensRevoked,
        Self::NamespaceCreated,
        Self::NamespaceDeleted,
        Self::RepositoryCreated,
        Self::RepositoryDeleted,
        Self::VisibilityChanged,
        Self::GrantChanged,
        Self::ManifestPushed,
        Self::ManifestDeleted,
        Self::TagMoved,
        Self::TagDeleted,
        Self::BlobDeleted,
    ];

    /// The number under which it is stored.
    pub const fn code(self) -> i64 {
        self as i64
    }

    /// The kind of a stored number; `None` for one of a later release.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// An id with the name as it was at that time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named<I> {
    /// Never reused.
    pub id: I,
    /// As it was when the event happened.
    pub name: String,
}

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The principal's id; `None` for the operator.
    pub id: Option<i64>,
    /// Its name as it was.
    pub name: String,
    /// User, robot, operator.
    pub kind: String,
    /// The credential's id.
    pub credential: Option<i64>,
    /// The client's address.
    pub address: Option<String>,
    /// The client's agent.
    pub agent: String,
    /// The request's id.
    pub request_id: String,
}

/// An event as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// Where.
    pub namespace: Option<Named<NamespaceId>>,
    /// Where, more closely.
    pub repository: Option<Named<RepositoryId>>,
    /// What else there is to say; its keys belong to the kind.
    #[serde(default)]
    pub detail: serde_json::Value,
    /// Who caused it; filled in by [`Op::emit`].
    pub cause: Option<Cause>,
}

/// An event as a consumer receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its id: the key for idempotence.
    pub id: EventId,
    /// When it was written, by the database's clock.
    pub at: Millis,
    /// What was written.
    pub event: Event,
}

impl Event {
    /// An event of `kind`, without a place yet.
    pub fn new(kind: EventKind) -> Self {
        Self {
            kind,
            namespace: None,
            repository: None,
            detail: serde_json::Value::Null,
            cause: None,
        }
    }

    /// Names its namespace.
    pub fn namespace(mut self, id: NamespaceId, name: &str) -> Self {
        self.namespace = Some(Named {
            id,
            name: name.to_owned(),
        });
        self
    }

    /// Names its repository.
    pub fn repository(mut self, id: RepositoryId, path: &str) -> Self {
        self.repository = Some(Named {
            id,
            name: path.to_owned(),
        });
        self
    }

    /// Adds what else there is to say.
    pub fn detail(mut self, detail: serde_json::Value) -> Self {
        self.detail = detail;
        self
    }
}

impl Op {
    /// Writes `event` in `tx`, with this operation as its cause.
    pub async fn emit(&self, tx: &mut Tx, event: Event) -> Result<()> {
        let (nonce, kind, payload) = self.written(event)?;
        let arguments = args![nonce, kind, payload];
        tx.send(&store::EVENT_INSERT, arguments, Expect::Nothing)
            .await?;
        Ok(())
    }

    /// Writes `events` in `tx`, in their order, every two by one statement.
    pub async fn emit_all(&self, tx: &mut Tx, events: Vec<Event>) -> Result<()> {
        let mut events = events.into_iter();
        while let Some(event) = events.next() {
            let Some(next) = events.next() else {
                return self.emit(tx, event).await;
            };
            let (one, two) = (self.written(event)?, self.written(next)?);
            let arguments = args![one.0, one.1, one.2, two.0, two.1, two.2];
            tx.send(&store::EVENT_INSERT_TWO, arguments, Expect::Nothing)
                .await?;
        }
        Ok(())
    }

    /// An event's nonce, kind and payload, with this operation as its cause.
    fn written(&self, mut event: Event) -> Result<(i64, i64, String)> {
        event.cause = Some(self.cause());
        let payload = serde_json::to_string(&event).map_err(|error| {
            seawall_types::Error::new(seawall_types::Reason::Internal, "an event that is no JSON")
                .with_source(error)
        })?;
        let mut nonce = [0u8; 8];
        self.kernel().random().fill(&mut nonce);
        Ok((i64::from_le_bytes(nonce), event.kind.code(), payload))
    }

    fn cause(&self) -> Cause {
        let identity = self.actor().identity();
        Cause {
            id: identity.map(|identity| identity.id.get()),
            name: self.actor().name().to_owned(),
            kind: identity
                .map_or("operator", |identity| identity.kind.as_str())
                .to_owned(),
            credential: identity.map(|identity| identity.credential.get()),
            address: self.origin().address.map(|address| address.to_string()),
            agent: self.origin().agent.clone(),
            request_id: self.origin().request_id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_number_of_its_own() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_code(kind.code()), Some(kind));
        }
        assert_eq!(EventKind::from_code(0), None);
    }
}
