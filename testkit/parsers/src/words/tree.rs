//! A reader of JSON that keeps everything, repeated keys and all: what a manifest really says, to
//! judge what was made of it. It must not share code with the reader that it judges.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Any JSON.
pub(super) enum Tree {
    /// Members in their order; a key may be there twice.
    Object(Vec<(String, Tree)>),
    /// Elements.
    Array(Vec<Tree>),
    /// A string.
    Text(String),
    /// Null, a number or a truth value.
    Other,
}

impl Tree {
    /// How deep it is nested: 0 for what is neither object nor array.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Object(members) => {
                1 + members
                    .iter()
                    .map(|(_, tree)| tree.depth())
                    .max()
                    .unwrap_or(0)
            }
            Self::Array(elements) => 1 + elements.iter().map(Self::depth).max().unwrap_or(0),
            Self::Text(_) | Self::Other => 0,
        }
    }

    /// Whether an object in it has a key twice.
    pub(super) fn repeats(&self) -> bool {
        match self {
            Self::Object(members) => {
                let mut keys: Vec<_> = members.iter().map(|(key, _)| key).collect();
                keys.sort_unstable();
                keys.windows(2).any(|pair| pair[0] == pair[1])
                    || members.iter().any(|(_, tree)| tree.repeats())
            }
            Self::Array(elements) => elements.iter().any(Self::repeats),
            Self::Text(_) | Self::Other => false,
        }
    }

    /// The members that a reader which ignores case would take for `key`.
    pub(super) fn all<'t>(&'t self, key: &'t str) -> impl Iterator<Item = (&'t str, &'t Tree)> {
        let members = match self {
            Self::Object(members) => members.as_slice(),
            _ => &[],
        };
        let folded = fold(key);
        let found = members.iter().filter(move |(own, _)| fold(own) == folded);
        found.map(|(own, tree)| (own.as_str(), tree))
    }

    /// The member `key`, exactly.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        members
            .iter()
            .find(|(own, _)| own == key)
            .map(|(_, tree)| tree)
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements; none of what is no array.
    pub(super) fn elements(&self) -> &[Self] {
        match self {
            Self::Array(elements) => elements,
            _ => &[],
        }
    }
}

/// Upper and lower case as Unicode has them, which is more than any decoder folds.
fn fold(text: &str) -> String {
    text.to_uppercase().to_lowercase()
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Build)
    }
}

struct Build;

impl<'de> Visitor<'de> for Build {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Tree::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}
