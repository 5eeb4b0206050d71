//! What a section is, and the form in which a crate hands its own to a [`crate::Layout`] that does
//! not know the type.

use std::any::Any;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Schema;
use yaml_serde::Value;

use crate::read::{KeyError, Source, section_of};
use crate::rules::RuleViolation;
use crate::schema;
use crate::secret::SecretKey;

/// The configuration of one part of the program. The doc comments of the type and of its fields are
/// what operators read, so each says the unit and the range.
///
/// ```
/// use schemars::JsonSchema;
/// use seawall_config::{RuleViolation, NumberRange, Section};
/// use serde::{Deserialize, Serialize};
///
/// /// The copies of other registries.
/// #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields, default)]
/// struct Config {
///     /// How often a copy is compared, in minutes, from 1 to 1440.
///     interval_minutes: u32,
/// }
///
/// impl Default for Config {
///     fn default() -> Self {
///         Self { interval_minutes: 60 }
///     }
/// }
///
/// impl Section for Config {
///     fn validate(&self) -> Vec<RuleViolation> {
///         RuleViolation::ranges(&[NumberRange::new("interval_minutes", self.interval_minutes, 1, 1440)])
///     }
/// }
/// assert!(Config::default().validate().is_empty());
/// ```
pub trait Section:
    Clone + fmt::Debug + Default + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// What the types alone cannot say, with paths below the section.
    fn validate(&self) -> Vec<RuleViolation> {
        Vec::new()
    }

    /// The secrets that may be given by file.
    fn secrets(&mut self) -> Vec<SecretKey<'_>> {
        Vec::new()
    }
}

/// A section with its type forgotten: what a crate declares, by the name of its key.
#[derive(Clone, Copy)]
pub struct SectionType {
    pub(crate) name: &'static str,
    pub(crate) schema: fn() -> Schema,
    pub(crate) default: fn() -> Box<dyn AnySection>,
    pub(crate) read: fn(Source<'_>, &'static str) -> SectionValue,
}

/// A section that was read from the whole, if it is there.
pub(crate) type SectionValue = Result<Option<Box<dyn AnySection>>, KeyError>;

impl SectionType {
    /// The section `name`, which is of type `C`.
    pub fn of<C: Section>(name: &'static str) -> Self {
        Self {
            name,
            schema: schema::of::<C>,
            default: || Box::new(C::default()),
            read: |source, name| {
                let found = section_of::<C>(source, name)?;
                Ok(found.map(|found| Box::new(found) as Box<dyn AnySection>))
            },
        }
    }

    /// The name of its key.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// A value of a section, whatever its type.
pub(crate) trait AnySection: Any + fmt::Debug + Send + Sync {
    fn check(&self) -> Vec<RuleViolation>;
    fn keys_of_secrets(&mut self) -> Vec<SecretKey<'_>>;
    fn written(&self) -> Result<Value, yaml_serde::Error>;
    fn copied(&self) -> Box<dyn AnySection>;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<C: Section> AnySection for C {
    fn check(&self) -> Vec<RuleViolation> {
        self.validate()
    }

    fn keys_of_secrets(&mut self) -> Vec<SecretKey<'_>> {
        self.secrets()
    }

    fn written(&self) -> Result<Value, yaml_serde::Error> {
        yaml_serde::to_value(self)
    }

    fn copied(&self) -> Box<dyn AnySection> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
