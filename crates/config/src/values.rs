//! The values of the sections that crates declare, found by the name and the type of a section.

use std::collections::BTreeMap;

use crate::section::{AnySection, Section};

/// The whole of a program: a section whose keys stand at the top of the file, and which carries the
/// values of the sections that other crates declare.
pub trait RootSection: Section {
    /// The values of the declared sections; a field that serde skips.
    fn values(&mut self) -> &mut SectionValues;
}

/// The values of the sections that a layout names.
#[derive(Debug, Default)]
pub struct SectionValues(BTreeMap<&'static str, Box<dyn AnySection>>);

impl Clone for SectionValues {
    fn clone(&self) -> Self {
        let copies = self.0.iter().map(|(name, value)| (*name, value.copied()));
        Self(copies.collect())
    }
}

impl SectionValues {
    /// The section `name`, or its default where it was not read or is of another type.
    pub fn get<C: Section>(&self, name: &str) -> C {
        let found = self.0.get(name).map(|value| (**value).as_any());
        found
            .and_then(|value| value.downcast_ref::<C>())
            .cloned()
            .unwrap_or_default()
    }

    /// Gives the section `name` a value.
    pub fn set<C: Section>(&mut self, name: &'static str, value: C) {
        self.0.insert(name, Box::new(value));
    }

    /// Changes the section `name`, beginning with its default where it was not read.
    pub fn edit<C: Section>(&mut self, name: &'static str, change: impl FnOnce(&mut C)) {
        let value = self.0.entry(name).or_insert_with(|| Box::new(C::default()));
        if let Some(value) = (**value).as_any_mut().downcast_mut::<C>() {
            change(value);
        }
    }

    pub(crate) fn insert(&mut self, name: &'static str, value: Box<dyn AnySection>) {
        self.0.insert(name, value);
    }

    pub(crate) fn find(&self, name: &str) -> Option<&dyn AnySection> {
        self.0.get(name).map(|value| &**value)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut dyn AnySection)> {
        self.0.iter_mut().map(|(name, value)| (*name, &mut **value))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &dyn AnySection)> {
        self.0.iter().map(|(name, value)| (*name, &**value))
    }
}
