//! What accounts declare to the kernel: their kind of change, and their caches.

use seawall_kernel::Declarations;

use crate::{credentials, keys};

/// Everything that this crate declares.
pub fn declarations() -> Declarations {
    Declarations::new("accounts")
        .changes(&[keys::SIGNING_KEYS.declared()])
        .caches(&[credentials::LOGINS, credentials::CREDENTIALS])
}
