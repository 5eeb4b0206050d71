//! An event: what happened, where, and who caused it.
//!
//! The stored form is JSON with the keys `kind`, `version` (unless it is 1), `namespace`,
//! `repository`, `detail` (the payload) and `cause`. Rows of the release before are in the log when
//! a release starts, so a key that was written once is read for good.

use seawall_types::ids::{EventId, NamespaceId, RepositoryId};
use seawall_types::time::Millis;
use seawall_types::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::{EventKind, EventType, EventTypes};

/// An id with the name as it was when the event happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedId<I> {
    /// Never reused.
    pub id: I,
    /// As it was when the event happened.
    pub name: String,
}

/// Who caused an event, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventOrigin {
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

/// An event as it is written and as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    kind: EventKind,
    version: u32,
    payload: Value,
    /// Where.
    pub namespace: Option<NamedId<NamespaceId>>,
    /// Where, more closely.
    pub repository: Option<NamedId<RepositoryId>>,
    /// Who caused it; filled in by [`Op::emit`](crate::Op::emit).
    pub origin: Option<EventOrigin>,
}

/// An event as a consumer receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its id: the key for idempotence.
    pub id: EventId,
    /// When it was written, by the database's clock.
    pub at: Millis,
    /// What was written.
    pub event: Event,
}

impl Event {
    /// An event with this payload, without a place yet.
    ///
    /// Errors: `Internal` if the payload is not JSON.
    pub fn new<T: EventType>(payload: &T) -> Result<Self> {
        Ok(Self {
            kind: T::KIND,
            version: T::KIND.latest(),
            payload: serde_json::to_value(payload).map_err(Error::internal)?,
            namespace: None,
            repository: None,
            origin: None,
        })
    }

    /// Names its namespace.
    pub fn namespace(mut self, id: NamespaceId, name: &str) -> Self {
        let name = name.to_owned();
        self.namespace = Some(NamedId { id, name });
        self
    }

    /// Names its repository.
    pub fn repository(mut self, id: RepositoryId, path: &str) -> Self {
        let name = path.to_owned();
        self.repository = Some(NamedId { id, name });
        self
    }

    /// What happened.
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// The payload as JSON, for logs; rules use [`Self::read`].
    pub fn payload(&self) -> &Value {
        &self.payload
    }

    /// The payload, if the event is of type `T`.
    ///
    /// Errors: `Internal` if the payload of a `T` cannot be read, which delivery has ruled out.
    pub fn read<T: EventType>(&self) -> Result<Option<T>> {
        if self.kind.number() != T::KIND.number() {
            return Ok(None);
        }
        let read = T::read(self.version, &self.payload).map_err(Error::internal)?;
        Ok(Some(read))
    }

    /// The stored form.
    pub(super) fn to_json(&self) -> Result<String> {
        let written = EventRow {
            kind: self.kind.name(),
            version: self.version,
            namespace: self.namespace.as_ref(),
            repository: self.repository.as_ref(),
            detail: &self.payload,
            cause: self.origin.as_ref(),
        };
        serde_json::to_string(&written).map_err(Error::internal)
    }

    /// Reads the stored form of a row of the kind `number`; `None` if it is of a type, a version or
    /// a shape that this process does not know.
    pub(super) fn from_json(types: &EventTypes, number: i64, json: &str) -> Option<Self> {
        let stored: StoredEvent = serde_json::from_str(json).ok()?;
        let kind = types.readable(number, stored.version, &stored.detail)?;
        (kind.name() == stored.kind).then_some(Self {
            kind,
            version: stored.version,
            payload: stored.detail,
            namespace: stored.namespace,
            repository: stored.repository,
            origin: stored.cause,
        })
    }
}

#[derive(Serialize)]
struct EventRow<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "is_first")]
    version: u32,
    namespace: Option<&'a NamedId<NamespaceId>>,
    repository: Option<&'a NamedId<RepositoryId>>,
    detail: &'a Value,
    cause: Option<&'a EventOrigin>,
}

#[derive(Deserialize)]
struct StoredEvent {
    kind: String,
    #[serde(default = "first")]
    version: u32,
    namespace: Option<NamedId<NamespaceId>>,
    repository: Option<NamedId<RepositoryId>>,
    #[serde(default)]
    detail: Value,
    cause: Option<EventOrigin>,
}

const fn first() -> u32 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_first(version: &u32) -> bool {
    *version == first()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::events::{GrantChanged, UserCreated};
    use crate::events::EventDeclaration;

    /// A payload whose second version renamed its only field.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Scanned {
        digest: String,
    }

    impl EventType for Scanned {
        const KIND: EventKind = EventKind::new(900, "scanned").version(2);

        fn read(version: u32, payload: &Value) -> serde_json::Result<Self> {
            if version > 1 {
                return Self::deserialize(payload);
            }
            let digest = String::deserialize(&payload["image"])?;
            Ok(Self { digest })
        }
    }

    fn types() -> EventTypes {
        EventTypes::new(vec![
            EventDeclaration::of::<Scanned>(),
            EventDeclaration::of::<UserCreated>(),
            EventDeclaration::of::<GrantChanged>(),
        ])
    }

    fn read(number: i64, json: &str) -> Option<Event> {
        Event::from_json(&types(), number, json)
    }

    #[test]
    fn what_is_written_is_read() {
        let grant = GrantChanged {
            user: "bob".into(),
            role: Some("write".into()),
        };
        let event = Event::new(&grant).unwrap().namespace(7.into(), "ann");
        let json = event.to_json().unwrap();
        let again = read(GrantChanged::KIND.number(), &json).unwrap();
        assert_eq!(again, event);
        assert_eq!(again.read::<GrantChanged>().unwrap(), Some(grant));
        assert_eq!(again.read::<UserCreated>().unwrap(), None);
    }

    #[test]
    fn rows_of_the_release_before_are_read() {
        let json = r#"{"kind":"grant_changed","namespace":{"id":7,"name":"ann"},"repository":null,
            "detail":{"role":null,"user":"bob"},"cause":{"id":1,"name":"ann","kind":"user",
            "credential":2,"address":null,"agent":"docker","request_id":"r"}}"#;
        let event = read(23, json).unwrap();
        let grant = event.read::<GrantChanged>().unwrap().unwrap();
        assert_eq!((grant.user.as_str(), grant.role), ("bob", None));
        assert_eq!(event.origin.unwrap().agent, "docker");
        let json = r#"{"kind":"user_created","namespace":null,"repository":null,"detail":null,"cause":null}"#;
        let event = read(1, json).unwrap();
        assert_eq!(event.read::<UserCreated>().unwrap(), Some(UserCreated));
        // And are written as they were.
        assert_eq!(event.to_json().unwrap(), json);
    }

    #[test]
    fn earlier_versions_of_a_payload_are_read_and_later_ones_are_unknown() {
        let stored = |version: &str, detail: &str| {
            let json = format!(r#"{{"kind":"scanned"{version},"detail":{detail}}}"#);
            read(Scanned::KIND.number(), &json)
        };
        let digest = "sha256:a".to_owned();
        for event in [
            stored("", r#"{"image":"sha256:a"}"#),
            stored(r#","version":2"#, r#"{"digest":"sha256:a"}"#),
        ] {
            let scanned = event.unwrap().read::<Scanned>().unwrap().unwrap();
            assert_eq!(scanned.digest, digest);
        }
        assert_eq!(stored(r#","version":3"#, r#"{"digest":"sha256:a"}"#), None);
        assert_eq!(stored(r#","version":0"#, r#"{"digest":"sha256:a"}"#), None);
    }

    #[test]
    fn a_row_whose_number_and_name_differ_is_unknown() {
        let json = Event::new(&UserCreated).unwrap().to_json().unwrap();
        assert!(read(UserCreated::KIND.number(), &json).is_some());
        assert_eq!(read(GrantChanged::KIND.number(), &json), None);
        assert_eq!(read(901, &json), None);
    }
}
