//! Principals as they prove themselves: passwords, refresh tokens, bearer tokens, and the token
//! service at `/v2/auth` (protocol §13).
//!
//! [`Directory`] is what the rest of the program knows of this crate: it tells who asks (as the
//! kernel's [`Verifier`](seawall_kernel::auth::Verifier)), and it makes and changes users for the
//! command line. [`feature`] brings the routes and the jobs.
//!
//! A token is never proof: it names a principal and a credential, whose state is read at each use,
//! and a ceiling. What may be done is decided by the kernel and nowhere here. No secret is ever
//! logged, and none is stored in a form that lets it be used: passwords as argon2id, refresh tokens
//! as SHA-256, signing keys sealed with the installation's secret.

mod api;
mod challenge;
mod config;
mod cpu_limiter;
mod credentials;
mod declare;
mod directory;
pub mod events;
mod expiring_cache;
mod feature;
#[cfg(feature = "test-fixture")]
pub mod fixture;
mod keys;
mod passwords;
mod tokens;
mod verifier;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use declare::declarations;
pub use directory::{Directory, NewUser, RefreshToken};
pub use feature::{feature, plan};

/// The tables of this crate; they refer to the kernel's.
pub const MIGRATIONS: seawall_meta::Migrations = seawall_meta::migrations!(
    "accounts",
    [
        "0001_create_credential",
        "0002_index_credential_by_principal",
        "0003_index_credential_by_expiry",
        "0004_add_credential_last_used",
    ]
);

/// Every statement of this crate, for the test that prepares them on each database.
pub fn statements() -> Vec<&'static seawall_meta::Statement> {
    [credentials::store::ALL, keys::store::ALL].concat()
}
