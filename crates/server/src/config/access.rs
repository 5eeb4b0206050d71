//! The section `access`. The kernel's catalog, which decides on access, will take this struct.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may be done without having been granted it first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Whether public repositories can be pulled without logging in.
    pub anonymous_pull: bool,

    /// Whether a user's first push makes the namespace that bears the user's name.
    pub create_namespace_on_push: bool,

    /// Whether a push makes the repository if it does not exist. What a push makes is private.
    pub create_repository_on_push: bool,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            anonymous_pull: true,
            create_namespace_on_push: true,
            create_repository_on_push: true,
        }
    }
}
