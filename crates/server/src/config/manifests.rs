//! The section `manifests`; `compose` hands its values to the crate that acts on them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Manifests that say what is not so here.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Manifests {
    /// A manifest that gives another size than content that is here has: accept takes it, with a Warning in the answer, since
    /// older programs made many of them; refuse does not.
    pub sizes: Policy,

    /// An index that names what is not in its repository, such as a mirror's of some platforms: accept or refuse.
    pub sparse_indexes: Policy,
}

/// What becomes of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// It is taken.
    Accept,
    /// It is not.
    Refuse,
}

impl Default for Manifests {
    fn default() -> Self {
        Self {
            sizes: Policy::Accept,
            sparse_indexes: Policy::Refuse,
        }
    }
}
