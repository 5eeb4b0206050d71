//! Loading: the file, over it the environment, over that what the program lays over it; then the
//! secrets from their files; then the rules.
//!
//! The file is checked alone first, against the text, since only so an error has a line. What is
//! wrong after the environment was laid over it is then the environment's.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Schema;
use yaml_serde::Value;

use crate::environment::{self, EnvironmentVariable};
use crate::error::{ConfigError, Problem, unknown};
use crate::locate::{locate, steps};
use crate::read::{KeyError, Source, all_but};
use crate::rules::RuleViolation;
use crate::schema;
use crate::secret::SecretKey;
use crate::section::SectionType;
use crate::values::RootSection;

/// Where a configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct ConfigSources {
    /// The YAML file.
    pub file: Option<PathBuf>,
    /// All environment variables, or those that matter.
    pub environment: Vec<(String, String)>,
}

/// The text of the file, under the name by which it was given.
struct ConfigFile {
    name: String,
    text: String,
}

/// Where each value came from: what errors name.
#[derive(Clone, Copy)]
struct Origins<'a> {
    file: Option<&'a ConfigFile>,
    variables: &'a [EnvironmentVariable],
}

/// What is loaded: the sections of a layout and the schema of the whole.
#[derive(Clone, Copy)]
pub(crate) struct Loader<'l> {
    pub(crate) sections: &'l [SectionType],
    pub(crate) schema: &'l Schema,
}

impl Loader<'_> {
    /// The configuration when nothing is given.
    pub(crate) fn default<T: RootSection>(self) -> T {
        let mut whole = T::default();
        for section in self.sections {
            whole.values().insert(section.name, (section.default)());
        }
        whole
    }

    /// Loads and checks a configuration.
    pub(crate) fn load<T: RootSection>(
        self,
        sources: &ConfigSources,
        adjust: impl FnOnce(&mut T) -> Vec<Problem>,
    ) -> Result<T, ConfigError> {
        let file = sources.file.as_deref().map(read).transpose()?;
        let (base, from_file) = match &file {
            Some(file) => self.parse_file(file)?,
            None => (Value::Null, self.default()),
        };
        let variables = environment::read(&sources.environment, self.schema)
            .map_err(|problems| ConfigError { problems })?;
        let mut whole: T = if variables.is_empty() {
            from_file
        } else {
            self.parse_layered(base, &variables)?
        };
        let origins = Origins {
            file: file.as_ref(),
            variables: &variables,
        };
        let mut problems = origins.take_secrets(&mut whole);
        problems.extend(adjust(&mut whole));
        problems.extend(origins.broken_rules(&mut whole));
        finished(whole, problems)
    }

    /// Checks the text of a file alone.
    pub(crate) fn parse<T: RootSection>(self, name: &str, text: &str) -> Result<T, ConfigError> {
        let file = ConfigFile {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let (_, mut whole) = self.parse_file(&file)?;
        let origins = Origins {
            file: Some(&file),
            variables: &[],
        };
        let problems = origins.broken_rules(&mut whole);
        finished(whole, problems)
    }

    /// Reads the file as a value, to be merged, and as a configuration, to be checked.
    fn parse_file<T: RootSection>(self, file: &ConfigFile) -> Result<(Value, T), ConfigError> {
        let value: Value =
            yaml_serde::from_str(&file.text).map_err(|error| syntax(file, &error))?;
        if value.is_null() {
            return Ok((value, self.default()));
        }
        let problem = |(path, message): KeyError| Problem {
            place: file.place(&path),
            path,
            message,
        };
        let whole = self
            .typed(&value, Source::Text(&file.text))
            .map_err(|found| ConfigError {
                problems: found.into_iter().map(problem).collect(),
            })?;
        Ok((value, whole))
    }

    fn parse_layered<T: RootSection>(
        self,
        mut base: Value,
        variables: &[EnvironmentVariable],
    ) -> Result<T, ConfigError> {
        environment::overlay(&mut base, variables);
        // The file was checked by itself, so what is wrong now came from a variable.
        let origins = Origins {
            file: None,
            variables,
        };
        let problem = |(path, message): KeyError| Problem {
            place: origins.place(&path),
            path,
            message,
        };
        self.typed(&base, Source::Merged(&base))
            .map_err(|found| ConfigError {
                problems: found.into_iter().map(problem).collect(),
            })
    }

    /// Reads the whole with the types of its sections; of each section, the first error is found.
    fn typed<T: RootSection>(self, value: &Value, source: Source<'_>) -> Result<T, Vec<KeyError>> {
        let mut wrong = self.unknown_keys(value);
        let mut names: Vec<&str> = self.sections.iter().map(|section| section.name).collect();
        // Said already, with the names of all sections to choose from.
        names.extend(wrong.iter().map(|(path, _)| path.as_str()));
        let whole = all_but::<T>(source, &names);
        let mut values = Vec::new();
        let mut refused = Vec::new();
        for section in self.sections {
            match (section.read)(source, section.name) {
                Ok(Some(value)) => values.push((section.name, value)),
                Ok(None) => values.push((section.name, (section.default)())),
                Err(error) => refused.push(error),
            }
        }
        match whole {
            Ok(mut whole) if wrong.is_empty() && refused.is_empty() => {
                for (name, value) in values {
                    whole.values().insert(name, value);
                }
                Ok(whole)
            }
            whole => {
                let whole_is_wrong = whole.is_err();
                wrong.extend(whole.err());
                // What is not a mapping at all is so for every section; it is said once.
                let said = |(path, _): &KeyError| whole_is_wrong && path.is_empty();
                wrong.extend(refused.into_iter().filter(|error| !said(error)));
                Err(wrong)
            }
        }
    }

    /// The keys at the top that no section has.
    fn unknown_keys(self, value: &Value) -> Vec<KeyError> {
        let known = schema::keys(self.schema);
        let Value::Mapping(keys) = value else {
            return Vec::new();
        };
        keys.keys()
            .filter_map(Value::as_str)
            .filter(|key| !known.contains(key))
            .map(|key| (key.to_owned(), unknown(key, &known)))
            .collect()
    }
}

fn finished<T>(whole: T, problems: Vec<Problem>) -> Result<T, ConfigError> {
    if problems.is_empty() {
        Ok(whole)
    } else {
        Err(ConfigError { problems })
    }
}

fn read(path: &Path) -> Result<ConfigFile, ConfigError> {
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => Ok(ConfigFile { name, text }),
        Err(error) => Err(Problem {
            place: name,
            path: String::new(),
            message: format!("cannot be read: {error}"),
        }
        .into()),
    }
}

impl ConfigFile {
    /// The place of a key, or of the nearest one above it that is there.
    fn place(&self, path: &str) -> String {
        let (line, column) = locate(&self.text, &steps(path));
        format!("{}:{line}:{column}", self.name)
    }
}

fn syntax(file: &ConfigFile, error: &yaml_serde::Error) -> ConfigError {
    let (line, column) = error
        .location()
        .map_or((1, 1), |at| (at.line(), at.column()));
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or_default();
    Problem {
        place: format!("{}:{line}:{column}", file.name),
        path: String::new(),
        message: format!("is not valid YAML: {message}"),
    }
    .into()
}

impl Origins<'_> {
    /// The place of a key: the variable that set it, else its place in the file, else the default
    /// that was not changed.
    fn place(self, path: &str) -> String {
        let variable = self
            .variables
            .iter()
            .rev()
            .find(|variable| variable.covers(path));
        match (variable, self.file) {
            (Some(variable), _) => variable.name.clone(),
            (None, Some(file)) => file.place(path),
            (None, None) if path.is_empty() => "environment".to_owned(),
            (None, None) => "default".to_owned(),
        }
    }

    /// Reads the secrets that are given by file.
    fn take_secrets<T: RootSection>(self, whole: &mut T) -> Vec<Problem> {
        let mut problems = self.taken(whole.secrets());
        for (name, value) in whole.values().iter_mut() {
            problems.extend(self.taken(SecretKey::under(name, value.keys_of_secrets())));
        }
        problems
    }

    fn taken(self, secrets: Vec<SecretKey<'_>>) -> Vec<Problem> {
        let taken = secrets.into_iter().filter_map(|mut key| {
            let message = key.take().err()?;
            let path = format!("{}_file", key.path);
            Some(Problem {
                place: self.place(&path),
                path,
                message,
            })
        });
        taken.collect()
    }

    /// What the types alone cannot say, each with the place of its key.
    fn broken_rules<T: RootSection>(self, whole: &mut T) -> Vec<Problem> {
        let mut found = whole.validate();
        for (name, value) in whole.values().iter() {
            found.extend(RuleViolation::under(name, value.check()));
        }
        let problem = |invalid: RuleViolation| Problem {
            place: self.place(&invalid.path),
            path: invalid.path,
            message: invalid.expected,
        };
        found.into_iter().map(problem).collect()
    }
}
