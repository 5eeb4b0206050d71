//! Reads one section, or the rest, out of the whole.
//!
//! The whole is read once for each section: a deserialiser needs the type of what it reads, and
//! only the crate of the section knows it. A configuration is read once in the life of a process.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, MapAccess,
    Visitor,
};
use serde_path_to_error::Track;
use yaml_serde::Value;

use crate::error::reword;

/// The path of a key, such as `listeners[0].address`, and what is wrong there.
pub(crate) type KeyError = (String, String);

/// What a section is read from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// The text of the file: a number where a text is wanted is the text as it stands.
    Text(&'a str),
    /// What the sources gave together.
    Merged(&'a Value),
}

/// Reads the section `name` out of the whole.
pub(crate) fn section_of<C: DeserializeOwned>(
    source: Source<'_>,
    name: &'static str,
) -> Result<Option<C>, KeyError> {
    let marker = PhantomData;
    read(source, SectionSeed { name, marker })
}

/// Reads everything but the sections `names` out of the whole.
pub(crate) fn all_but<T: DeserializeOwned>(
    source: Source<'_>,
    names: &[&str],
) -> Result<T, KeyError> {
    let marker = PhantomData;
    read(source, RemainingKeys { names, marker })
}

/// Deserialises; an error is the key's path and a message for people.
fn read<'a, S>(source: Source<'a>, seed: S) -> Result<S::Value, KeyError>
where
    S: DeserializeSeed<'a>,
{
    let mut track = Track::new();
    let found = match source {
        Source::Text(text) => {
            let deserializer = yaml_serde::Deserializer::from_str(text);
            seed.deserialize(serde_path_to_error::Deserializer::new(
                deserializer,
                &mut track,
            ))
        }
        Source::Merged(value) => {
            seed.deserialize(serde_path_to_error::Deserializer::new(value, &mut track))
        }
    };
    found.map_err(|error| {
        let path = track.path().to_string();
        let message = reword(&error.to_string(), &path);
        (if path == "." { String::new() } else { path }, message)
    })
}

/// One section of the whole.
struct SectionSeed<C> {
    name: &'static str,
    marker: PhantomData<C>,
}

impl<'de, C: DeserializeOwned> DeserializeSeed<'de> for SectionSeed<C> {
    type Value = Option<C>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<C>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, C: DeserializeOwned> Visitor<'de> for SectionSeed<C> {
    type Value = Option<C>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a section with keys of its own")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<C>, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.name {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// The whole without the sections that are read one by one.
struct RemainingKeys<'n, T> {
    names: &'n [&'n str],
    marker: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for RemainingKeys<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for RemainingKeys<'_, T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a section with keys of its own")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(RemainingKeysVisitor {
            map,
            names: self.names,
        }))
    }
}

struct RemainingKeysVisitor<'n, A> {
    map: A,
    names: &'n [&'n str],
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for RemainingKeysVisitor<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if !self.names.contains(&key.as_str()) {
                return seed.deserialize(key.into_deserializer()).map(Some);
            }
            self.map.next_value::<IgnoredAny>()?;
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}
