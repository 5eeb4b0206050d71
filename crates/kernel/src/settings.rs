//! What an installation is set to, as the kernel and all above it read it.

use std::time::Duration;

/// How slowly a body may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long it may stand still.
    pub idle: Duration,
    /// How many bytes a second must come on average, over each `idle` of waiting for them; 0 for any.
    pub bytes_per_second: u32,
}

/// What the whole installation is set to; the same on every replica.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether nobody in particular may pull what is public.
    pub anonymous_pull: bool,
    /// Whether an administrator's first push makes a namespace that does not exist.
    pub create_namespace_on_push: bool,
    /// Whether a push makes a repository that does not exist.
    pub create_repository_on_push: bool,
    /// The address under which clients reach us, without a path; the request's host otherwise.
    pub public_url: Option<String>,
    /// How slowly a body may come before the request ends.
    pub patience: Patience,
    /// How long a blob stays without a manifest that refers to it.
    pub blob_lease: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            anonymous_pull: true,
            create_namespace_on_push: true,
            create_repository_on_push: true,
            public_url: None,
            patience: Patience {
                idle: Duration::from_mins(1),
                bytes_per_second: 1024,
            },
            blob_lease: Duration::from_hours(24),
        }
    }
}
