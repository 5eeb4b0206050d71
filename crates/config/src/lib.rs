//! Configuration: one YAML file, every key also by an environment variable, secrets by file.
//!
//! A *section* is one key of the file with all that stands below it. It is a type of the crate that
//! acts on it: the documentation is in the doc comments, the defaults in `Default`, the rules in
//! [`Section::validate`]. A [`Layout`] names the sections that a program has; reading, checking,
//! the schema and the commented example are made from it, so that none of them can go stale.
//!
//! This is a small layer of our own over `yaml_serde` and `serde_path_to_error`, and not the crate
//! `config`, because that one knows neither the line and column of a value nor the environment
//! variable it came from once the sources are merged. Both are what an operator needs to read when
//! the server refuses to start.
//!
//! This crate must never open anything but the files that hold the configuration and its secrets: a
//! configuration can be checked on any machine. It knows no section by name.

mod environment;
mod error;
mod example;
mod layout;
mod load;
mod locate;
mod read;
mod rules;
mod schema;
mod secret;
mod section;
#[cfg(test)]
mod tests;
mod values;

pub use error::{ConfigError, Problem};
pub use layout::Layout;
pub use load::ConfigSources;
pub use rules::{NumberRange, RuleViolation};
pub use secret::{SecretKey, hidden};
pub use section::{Section, SectionType};
pub use values::{RootSection, SectionValues};
