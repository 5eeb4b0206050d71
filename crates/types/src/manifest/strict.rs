//! Strict JSON parsing in one pass, so that no other parser can read something else in it.
//!
//! Seeds for `serde_json`'s streaming parser that refuse repeated keys in every object, keys that
//! differ from a known one by case only, and nesting beyond [`MAX_DEPTH`]. What is not asked for is
//! checked by [`SkipSeed`] and not built. A refusal that serde has no word for is left in [`Pass`],
//! since a deserializer's error carries text only.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{MAX_DEPTH, MAX_DESCRIPTORS, ManifestError};

/// The most JSON values that are kept as such in one manifest: enough for a full platform in each
/// descriptor, and a bound on how much larger than its text a value gets.
const MAX_KEPT_VALUES: usize = 16 * MAX_DESCRIPTORS;

/// What one pass over a text has counted and found.
#[derive(Default)]
pub(super) struct Pass {
    fault: RefCell<Option<ManifestError>>,
    descriptors: Cell<usize>,
    kept: Cell<usize>,
}

impl Pass {
    /// Stops the pass for this reason.
    pub(super) fn refuse<E: Error>(&self, fault: ManifestError) -> E {
        let text = fault.to_string();
        self.fault.borrow_mut().get_or_insert(fault);
        E::custom(text)
    }

    /// The reason for which the pass was stopped, if it was not serde's.
    pub(super) fn into_fault(self) -> Option<ManifestError> {
        self.fault.into_inner()
    }

    /// Counts a descriptor.
    pub(super) fn count_descriptor<E: Error>(&self) -> Result<(), E> {
        self.count(&self.descriptors, MAX_DESCRIPTORS, "too many descriptors")
    }

    fn count_kept<E: Error>(&self) -> Result<(), E> {
        self.count(&self.kept, MAX_KEPT_VALUES, "too many values")
    }

    fn count<E: Error>(&self, counter: &Cell<usize>, limit: usize, fault: &str) -> Result<(), E> {
        counter.set(counter.get() + 1);
        if counter.get() <= limit {
            return Ok(());
        }
        Err(self.refuse(ManifestError::Malformed(fault.to_owned())))
    }
}

/// A place in the text: how deep it is, and the pass it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'r> {
    /// The pass.
    pub(super) reading: &'r Pass,
    depth: usize,
}

impl<'r> Cursor<'r> {
    /// Outside of everything.
    pub(super) fn start(reading: &'r Pass) -> Self {
        Self { reading, depth: 0 }
    }

    /// Inside an object or array that begins here.
    pub(super) fn inside<E: Error>(self) -> Result<Self, E> {
        if self.depth < MAX_DEPTH {
            return Ok(Self {
                depth: self.depth + 1,
                ..self
            });
        }
        let fault = format!("nested more than {MAX_DEPTH} deep");
        Err(self.reading.refuse(ManifestError::Malformed(fault)))
    }
}

/// The keys seen in one object.
#[derive(Default)]
struct Keys<'de>(HashSet<Cow<'de, str>>);

impl<'de> Keys<'de> {
    /// The object's next key, which must be new.
    fn next<A: MapAccess<'de>>(
        &mut self,
        at: Cursor<'_>,
        map: &mut A,
    ) -> Result<Option<Cow<'de, str>>, A::Error> {
        let Some(key) = map.next_key_seed(Key)? else {
            return Ok(None);
        };
        if self.0.insert(key.clone()) {
            return Ok(Some(key));
        }
        let fault = format!("the key {:?} is repeated", shorten(&key));
        Err(at.reading.refuse(ManifestError::Ambiguous(fault)))
    }
}

/// Cuts a text of the client's to what fits into a message.
pub(super) fn shorten(text: &str) -> Cow<'_, str> {
    const HEAD: usize = 160;
    const TAIL: usize = 60;
    let count = text.chars().count();
    if count <= HEAD + TAIL {
        return Cow::Borrowed(text);
    }
    let head: String = text.chars().take(HEAD).collect();
    let tail: String = text.chars().skip(count - TAIL).collect();
    Cow::Owned(format!("{head}…{tail}"))
}

/// Whether a lenient reader takes `key` for `known`: Go folds case as Unicode does, in which the
/// long s and the Kelvin sign are the letters s and k.
fn folds_to(key: &str, known: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(known.chars().map(fold))
}

/// An object of which some members are known.
pub(super) trait Members<'de> {
    /// What the object is, for messages.
    const WHAT: &'static str;
    /// The keys of known members.
    const KNOWN: &'static [&'static str];

    /// Reads the value of a known member. `at` is inside the object.
    fn take<A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        at: Cursor<'_>,
        map: &mut A,
    ) -> Result<(), A::Error>;
}

/// Reads an object into `members`; null leaves them as they are and gives `false`.
pub(super) struct ObjectSeed<'r, 'm, M> {
    pub(super) at: Cursor<'r>,
    pub(super) members: &'m mut M,
}

impl<'de, M: Members<'de>> DeserializeSeed<'de> for ObjectSeed<'_, '_, M> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, M: Members<'de>> Visitor<'de> for ObjectSeed<'_, '_, M> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(M::WHAT)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let at = self.at.inside()?;
        let mut keys = Keys::default();
        while let Some(key) = keys.next(at, &mut map)? {
            if let Some(known) = M::KNOWN.iter().find(|known| **known == key) {
                self.members.take(known, at, &mut map)?;
            } else if let Some(known) = M::KNOWN.iter().find(|known| folds_to(&key, known)) {
                let fault = format!("the key {key:?} differs from {known:?} by case only");
                return Err(at.reading.refuse(ManifestError::Ambiguous(fault)));
            } else {
                map.next_value_seed(SkipSeed(at))?;
            }
        }
        Ok(true)
    }
}

/// A key, borrowed unless it holds escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
}

/// Checks any value and throws it away; gives whether it was something other than null.
pub(super) struct SkipSeed<'r>(pub(super) Cursor<'r>);

impl<'de> DeserializeSeed<'de> for SkipSeed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for SkipSeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        let at = self.0.inside()?;
        while seq.next_element_seed(SkipSeed(at))?.is_some() {}
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let at = self.0.inside()?;
        let mut keys = Keys::default();
        while keys.next(at, &mut map)?.is_some() {
            map.next_value_seed(SkipSeed(at))?;
        }
        Ok(true)
    }
}

/// Any value, kept; their number in one manifest is limited.
pub(super) struct ValueSeed<'r>(pub(super) Cursor<'r>);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.reading.count_kept()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let at = self.0.inside()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(ValueSeed(at))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let at = self.0.inside()?;
        let (mut keys, mut members) = (Keys::default(), Map::new());
        while let Some(key) = keys.next(at, &mut map)? {
            members.insert(key.into_owned(), map.next_value_seed(ValueSeed(at))?);
        }
        Ok(Value::Object(members))
    }
}

/// A string or null.
pub(super) struct StringSeed;

impl<'de> DeserializeSeed<'de> for StringSeed {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StringSeed {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Key.visit_str(text).map(Some)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Key.visit_borrowed_str(text).map(Some)
    }
}

/// A whole number from 0 to `i64::MAX`, or null. A number with a fraction or an exponent is none,
/// whatever its value.
pub(super) struct IntegerSeed;

impl<'de> DeserializeSeed<'de> for IntegerSeed {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for IntegerSeed {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 0 to 2^63-1")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        if i64::try_from(number).is_ok() {
            return Ok(Some(number));
        }
        Err(E::invalid_value(
            serde::de::Unexpected::Unsigned(number),
            &self,
        ))
    }
}

/// An array of strings, or null for an empty one.
pub(super) struct StringListSeed<'r>(pub(super) Cursor<'r>);

impl<'de> DeserializeSeed<'de> for StringListSeed<'_> {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StringListSeed<'_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        self.0.inside::<A::Error>()?;
        let mut texts = Vec::new();
        while let Some(text) = seq.next_element_seed(Key)? {
            texts.push(text.into_owned());
        }
        Ok(texts)
    }
}

/// An object of strings, or null for an empty one: annotations.
pub(super) struct StringMapSeed<'r>(pub(super) Cursor<'r>);

impl<'de> DeserializeSeed<'de> for StringMapSeed<'_> {
    type Value = BTreeMap<String, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StringMapSeed<'_> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let at = self.0.inside()?;
        let mut texts = BTreeMap::new();
        while let Some(key) = map.next_key_seed(Key)? {
            // The map itself tells which keys it has seen.
            if texts.contains_key(key.as_ref()) {
                let fault = format!("the key {:?} is repeated", shorten(&key));
                return Err(at.reading.refuse(ManifestError::Ambiguous(fault)));
            }
            // Null is the empty string to every reader written in Go.
            let value = map.next_value_seed(StringSeed)?.unwrap_or_default();
            texts.insert(key.into_owned(), value.into_owned());
        }
        Ok(texts)
    }
}
