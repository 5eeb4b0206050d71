//! The events that accounts emit.

use seawall_kernel::events::{EventKind, EventType};
use serde::{Deserialize, Serialize};

/// A password was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordChanged {
    /// Whose it is.
    pub user: String,
}

impl EventType for PasswordChanged {
    const KIND: EventKind = EventKind::new(5, "password_changed");
}

/// Refresh tokens were revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshTokensRevoked {
    /// Whose they were.
    pub user: String,
    /// The credential, if it was one; `None` for all of the user's.
    pub credential: Option<i64>,
}

impl EventType for RefreshTokensRevoked {
    const KIND: EventKind = EventKind::new(6, "refresh_tokens_revoked");
}
