//! `Directory`: what the rest of the program knows of accounts.
//!
//! Users are made and changed here, by who has opened the installation or the user for it. Every
//! change is one transaction with its event and its change, after which no replica accepts what was
//! good before.
//!
//! ```compile_fail
//! # async fn forgets(directory: &seawall_accounts::Directory, op: &seawall_kernel::Op) {
//! // No operation by itself sees the users.
//! directory.list_users(op).await;
//! # }
//! ```
//!
//! ```
//! # async fn remembers(directory: &seawall_accounts::Directory, op: &seawall_kernel::Op) {
//! use seawall_kernel::auth::Inspect;
//! if let Ok(installation) = op.installation::<Inspect>() {
//!     directory.list_users(op, &installation).await;
//! }
//! # }
//! ```

mod admin;
mod refresh;
mod users;

use std::sync::{Arc, Weak};

use seawall_kernel::auth::Administer;
use seawall_kernel::changes::{ChangeNotice, PRINCIPAL};
use seawall_kernel::{Installation, Kernel, Op};
use seawall_types::{PrincipalId, Result};

use crate::config::Config;
use crate::credentials::CredentialCache;
use crate::keys::{SIGNING_KEYS, SigningKeys};
use crate::passwords::Passwords;
use crate::tokens::Tokens;

pub use refresh::RefreshToken;
pub use users::NewUser;

/// The accounts of an installation.
pub struct Directory {
    passwords: Passwords,
    tokens: Tokens,
    known: CredentialCache,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

impl Directory {
    /// Opens the directory over a migrated database; makes the first signing key at the very first
    /// start. From then on it is subscribed to the kernel's changes.
    pub async fn new(kernel: &Arc<Kernel>, config: Config) -> Result<Arc<Self>> {
        let keys = SigningKeys::open(kernel).await?;
        let directory = Arc::new(Self {
            passwords: Passwords::new(kernel),
            tokens: Tokens::new(kernel, keys, config),
            known: CredentialCache::new(kernel)?,
        });
        let weak: Weak<Self> = Arc::downgrade(&directory);
        kernel.changes().subscribe(move |notice| {
            if let Some(directory) = weak.upgrade() {
                directory.follow(notice);
            }
        });
        Ok(directory)
    }

    /// Makes a new signing key, which signs from 10 seconds on, so that every replica knows it by
    /// then. The old ones are accepted until the last token that they signed has ended.
    pub async fn rotate_keys(
        &self,
        op: &Op,
        installation: &Installation<Administer>,
    ) -> Result<()> {
        self.tokens.rotate_keys(op, installation).await
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// What was read of principals and credentials before.
    pub(crate) fn known(&self) -> &CredentialCache {
        &self.known
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Drops what a change may have made wrong.
    fn follow(&self, notice: ChangeNotice<'_>) {
        match notice {
            // One refresh token less says nothing of the password.
            ChangeNotice::Change { kind, a, b: 0, .. } if kind == PRINCIPAL.number() => {
                self.passwords.forget(PrincipalId::from(a));
            }
            ChangeNotice::Change { kind, .. } if kind == SIGNING_KEYS.number() => {
                self.tokens.expire();
            }
            ChangeNotice::Change { .. } => {}
            ChangeNotice::Everything => {
                self.passwords.forget_all();
                self.tokens.expire();
            }
        }
    }
}
