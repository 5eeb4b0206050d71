//! The sections that a program has, and what can be made from knowing them: the schema of the
//! whole, the example, and values.

use std::marker::PhantomData;

use serde_json::Value as Schema;
use yaml_serde::Value;

use crate::error::{ConfigError, Problem};
use crate::load::{self, ConfigSources};
use crate::section::SectionType;
use crate::values::RootSection;
use crate::{example, schema};

/// The whole of a program's configuration: the keys of `T`, and the sections that crates declare.
pub struct Layout<T> {
    sections: Vec<SectionType>,
    schema: Schema,
    root: PhantomData<fn() -> T>,
}

impl<T: RootSection> Layout<T> {
    /// The keys of `T` and these sections. Refused if one name is used twice.
    pub fn new(sections: impl IntoIterator<Item = SectionType>) -> Result<Self, ConfigError> {
        let sections: Vec<_> = sections.into_iter().collect();
        let mut schema = schema::of::<T>();
        for section in &sections {
            if !schema::insert(&mut schema, section.name, (section.schema)()) {
                return Err(Problem {
                    place: "the program".to_owned(),
                    path: section.name.to_owned(),
                    message: "two sections of the configuration have this name".to_owned(),
                }
                .into());
            }
        }
        Ok(Self {
            sections,
            schema,
            root: PhantomData,
        })
    }

    /// The configuration when nothing is given.
    pub fn default(&self) -> T {
        self.loader().default()
    }

    /// Loads and checks a configuration. `adjust` lays what the command line says over it before
    /// the rules are checked.
    pub fn load(
        &self,
        sources: &ConfigSources,
        adjust: impl FnOnce(&mut T) -> Vec<Problem>,
    ) -> Result<T, ConfigError> {
        self.loader().load(sources, adjust)
    }

    /// Checks the text of a file alone: no environment, and nothing else is opened. `name` is what
    /// errors call it.
    pub fn parse(&self, name: &str, text: &str) -> Result<T, ConfigError> {
        self.loader().parse(name, text)
    }

    /// The shape of the whole, as a JSON Schema without references.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The commented example: `head`, then every key with its documentation and its default.
    pub fn example(&self, head: &str) -> Result<String, yaml_serde::Error> {
        let mut defaults = self.default();
        Ok(example::example(
            head,
            &self.written(&mut defaults)?,
            &self.schema,
        ))
    }

    /// The YAML that says what `whole` says. Secrets are not written.
    pub fn to_yaml(&self, whole: &T) -> Result<String, yaml_serde::Error> {
        yaml_serde::to_string(&self.written(&mut whole.clone())?)
    }

    fn written(&self, whole: &mut T) -> Result<Value, yaml_serde::Error> {
        let mut written = yaml_serde::to_value(&*whole)?;
        if let Value::Mapping(keys) = &mut written {
            for section in &self.sections {
                let value = match whole.values().find(section.name) {
                    Some(value) => value.written()?,
                    None => (section.default)().written()?,
                };
                keys.insert(Value::String(section.name.to_owned()), value);
            }
        }
        Ok(written)
    }

    fn loader(&self) -> load::Loader<'_> {
        load::Loader {
            sections: &self.sections,
            schema: &self.schema,
        }
    }
}
