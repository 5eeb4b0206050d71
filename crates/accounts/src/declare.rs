//! The declarations of this crate: its kind of change, its events, its caches.

use seawall_kernel::Declarations;
use seawall_kernel::events::EventDeclaration;

use crate::events::{PasswordChanged, RefreshTokensRevoked};
use crate::{credentials, keys};

/// Everything that this crate declares.
pub fn declarations() -> Declarations {
    Declarations::new("accounts")
        .changes(&[keys::SIGNING_KEYS.declared()])
        .events(&[
            EventDeclaration::of::<PasswordChanged>(),
            EventDeclaration::of::<RefreshTokensRevoked>(),
        ])
        .caches(&[credentials::LOGINS, credentials::CREDENTIALS])
}
