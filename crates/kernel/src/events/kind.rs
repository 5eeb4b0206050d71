//! Types of events: the payload of each is a struct of the crate that emits it.
//!
//! A type has a number and a name, which are stored with every event and never reused, and a
//! version of its payload. A process reads the events whose type and version it declares; one of a
//! later release waits for that release (see `delivery`). Fields may be added within a version if
//! the payload reads without them; any other change of a payload is a new version, and
//! [`EventType::read`] goes on to understand the versions before.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::declare::member::Member;

/// Which type of event: its stored number, its stored name, and the version of its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventKind {
    number: i64,
    name: &'static str,
    version: u32,
}

impl EventKind {
    /// The kind stored as `number` and `name`, with the first version of its payload.
    pub const fn new(number: i64, name: &'static str) -> Self {
        let version = 1;
        Self {
            number,
            name,
            version,
        }
    }

    /// The same with a later version of its payload.
    pub const fn version(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// The number under which it is stored.
    pub const fn number(self) -> i64 {
        self.number
    }

    /// The name under which it is stored and logged.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The version of the payload that is written, and the latest that is read.
    pub const fn latest(self) -> u32 {
        self.version
    }
}

/// The payload of a type of event.
pub trait EventType: Serialize + DeserializeOwned {
    /// Which type it is.
    const KIND: EventKind;

    /// Reads a payload of `version`, which is at most the version of [`Self::KIND`].
    fn read(_version: u32, payload: &Value) -> serde_json::Result<Self> {
        Self::deserialize(payload)
    }
}

/// A type of event in the set of all that are declared.
#[derive(Debug, Clone, Copy)]
pub struct EventDeclaration {
    kind: EventKind,
    reads: fn(u32, &Value) -> bool,
}

impl EventDeclaration {
    /// The declaration of `T`.
    pub const fn of<T: EventType>() -> Self {
        Self {
            kind: T::KIND,
            reads: |version, payload| T::read(version, payload).is_ok(),
        }
    }
}

impl Member for EventDeclaration {
    const SET: &'static str = "event type";

    fn number(&self) -> Option<i64> {
        Some(self.kind.number)
    }

    fn name(&self) -> &'static str {
        self.kind.name
    }
}

/// The types of events that a process knows.
#[derive(Debug, Default)]
pub struct EventTypes(Vec<EventDeclaration>);

impl EventTypes {
    /// These types, of which no two have one number.
    pub(crate) fn new(mut types: Vec<EventDeclaration>) -> Self {
        types.sort_unstable_by_key(|declared| declared.kind.number);
        Self(types)
    }

    /// The type of a stored number; `None` for one that no crate of this process declares.
    pub fn find(&self, number: i64) -> Option<EventKind> {
        Some(self.get(number)?.kind)
    }

    /// The type of a stored event, if this process can read its payload.
    pub(super) fn readable(&self, number: i64, version: u32, payload: &Value) -> Option<EventKind> {
        let declared = self.get(number)?;
        let known = (1..=declared.kind.version).contains(&version);
        (known && (declared.reads)(version, payload)).then_some(declared.kind)
    }

    fn get(&self, number: i64) -> Option<&EventDeclaration> {
        let place = self
            .0
            .binary_search_by_key(&number, |declared| declared.kind.number);
        self.0.get(place.ok()?)
    }
}
