//! Finds the line and column of a key's path in a YAML text.
//!
//! A parsed value has no places, and the error of a deserialiser has one only if the value itself
//! was refused. So the text is read once more by a deserialiser that follows the path and gives up
//! at its end on purpose: the error then bears the place.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PathStep {
    /// Into a mapping.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// Reads `listeners[0].address`. What is not a path gives a shorter one.
pub(crate) fn steps(path: &str) -> Vec<PathStep> {
    let mut steps = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let mut pieces = part.split('[');
        if let Some(key) = pieces.next().filter(|key| !key.is_empty()) {
            steps.push(PathStep::Key(key.to_owned()));
        }
        let indexes = pieces.filter_map(|piece| piece.trim_end_matches(']').parse().ok());
        steps.extend(indexes.map(PathStep::Index));
    }
    steps
}

/// The line and column, both from 1, of the longest part of the path that is in the text: of the
/// key where the path ends with one, else of the value.
pub(crate) fn locate(text: &str, path: &[PathStep]) -> (usize, usize) {
    for length in (1..=path.len()).rev() {
        let follow = PathSeed(&path[..length]);
        let deserializer = yaml_serde::Deserializer::from_str(text);
        if let Err(error) = follow.deserialize(deserializer)
            && error.to_string().contains(FOUND)
            && let Some(place) = error.location()
        {
            return (place.line(), place.column());
        }
    }
    (1, 1)
}

/// Marks our own giving up among the errors that a text can have.
const FOUND: &str = "\u{1}found\u{1}";

/// Follows a path and fails where it ends.
#[derive(Clone, Copy)]
struct PathSeed<'a>(&'a [PathStep]);

impl<'de> DeserializeSeed<'de> for PathSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PathSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The default methods of a visitor refuse with these words, which is how a scalar at the
        // end of the path is found.
        formatter.write_str(if self.0.is_empty() {
            FOUND
        } else {
            "something else"
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.0.split_first() else {
            return Err(A::Error::custom(FOUND));
        };
        let wanted = KeySeed {
            name: match first {
                PathStep::Key(name) => Some(name),
                PathStep::Index(_) => None,
            },
            last: rest.is_empty(),
        };
        while let Some(found) = map.next_key_seed(wanted)? {
            if found {
                map.next_value_seed(PathSeed(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.0.split_first() else {
            return Err(A::Error::custom(FOUND));
        };
        for index in 0.. {
            let next = if *first == PathStep::Index(index) {
                list.next_element_seed(PathSeed(rest))?.is_some()
            } else {
                list.next_element::<IgnoredAny>()?.is_some()
            };
            if !next {
                break;
            }
        }
        Ok(())
    }
}

/// Says whether a key is the wanted one; fails there if the path ends with it.
#[derive(Clone, Copy)]
struct KeySeed<'a> {
    name: Option<&'a str>,
    last: bool,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        let found = self.name == Some(key);
        if found && self.last {
            return Err(E::custom(FOUND));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
log:
  level: info
listeners:
  - address: 0.0.0.0:80
  - {address: \"[::]:81\", tls: {key_file: k}}
";

    #[track_caller]
    fn check(path: &str, place: (usize, usize)) {
        assert_eq!(locate(TEXT, &steps(path)), place, "{path}");
    }

    #[test]
    fn places_are_found() {
        check("log", (1, 1));
        check("log.level", (2, 3));
        check("listeners[0]", (4, 5));
        check("listeners[0].address", (4, 5));
        check("listeners[1].tls.key_file", (5, 32));
    }

    #[test]
    fn the_nearest_place_stands_for_what_is_not_there() {
        check("log.format", (1, 1));
        check("listeners[1].tls.certificate_file", (5, 26));
        check("nothing", (1, 1));
    }
}
