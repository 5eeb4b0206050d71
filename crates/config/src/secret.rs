//! Secrets: a key `token` may be given by `token_file`, the name of a file that holds it. A secret
//! is never written out and never repeated in an error.

use std::fs;
use std::path::PathBuf;

use seawall_types::Secret;
use serde::{Serialize, Serializer};

/// A secret of a section that may come from a file.
pub struct SecretKey<'a> {
    /// The path of the key below the section; the file's is the same with `_file` behind it.
    pub path: String,
    /// The secret, if it was given itself.
    pub secret: &'a mut Option<Secret>,
    /// The file that holds it, if one was named.
    pub file: Option<PathBuf>,
}

impl<'a> SecretKey<'a> {
    /// The secret at `path`.
    pub fn new(path: &str, secret: &'a mut Option<Secret>, file: Option<&PathBuf>) -> Self {
        Self {
            path: path.to_owned(),
            secret,
            file: file.cloned(),
        }
    }

    /// The same secrets with the name of their section before the paths.
    pub fn under(section: &str, found: Vec<Self>) -> Vec<Self> {
        found
            .into_iter()
            .map(|key| Self {
                path: format!("{section}.{}", key.path),
                ..key
            })
            .collect()
    }

    /// Reads the secret from its file, if there is one; the line's end is not part of it.
    pub(crate) fn take(&mut self) -> Result<(), String> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        if self.secret.is_some() {
            let key = self.path.rsplit('.').next().unwrap_or(&self.path);
            return Err(format!("expected either {key} or {key}_file, not both"));
        }
        let text = fs::read_to_string(file).map(Secret::new);
        let text = text.map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        *self.secret = Some(Secret::new(text.expose().trim_end_matches(['\r', '\n'])));
        Ok(())
    }
}

/// Serialises a secret as the fact that there is one: `#[serde(serialize_with = "…")]` of its
/// field.
pub fn hidden<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|_| "[secret]").serialize(serializer)
}
