//! The section `access`; `compose` hands its values to the crate that acts on them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may be done without having been granted it first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Whether public repositories can be pulled without logging in.
    pub anonymous_pull: bool,

    /// Whether an administrator's push makes a namespace that does not exist, as an organization.
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
