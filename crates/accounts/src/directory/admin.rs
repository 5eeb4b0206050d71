//! The first administrator: made at the first start if the installation has none.

use seawall_kernel::auth::Administer;
use seawall_kernel::catalog::principals;
use seawall_kernel::{Installation, Op};
use seawall_meta::args;
use seawall_types::{NamespaceName, Reason, Result, Secret};

use super::Directory;
use crate::credentials::{self, store};
use crate::passwords::provided_or_generated;

/// The name of the first administrator.
pub(super) const ADMIN: &str = "admin";

impl Directory {
    /// Makes the user `admin` if the installation has no administrator. Returns the password if it
    /// was made here and now, to be shown once; of two replicas that start together one makes it.
    ///
    /// `keep` is given the password before the user is made, so that no crash in between makes a
    /// user whose password is unknown; what it kept is void if `None` is returned.
    /// Costs one read when there is an administrator.
    pub async fn ensure_admin(
        &self,
        op: &Op,
        installation: &Installation<Administer>,
        keep: impl FnOnce(&Secret) -> Result<()>,
    ) -> Result<Option<Secret>> {
        if op
            .sql()
            .optional(&store::SUPERUSER, args![])
            .await?
            .is_some()
        {
            return Ok(None);
        }
        let (password, generated) = provided_or_generated(None, op.kernel().random());
        keep(&password)?;
        let phc = self.passwords().hash(op, &password).await?;
        let name = NamespaceName::parse(ADMIN)?;
        let input = (installation.clone(), name, phc);
        let made = op.transaction(input, |tx, op, (installation, name, phc)| {
            Box::pin(async move {
                if tx.optional(&store::SUPERUSER, args![]).await?.is_some() {
                    return Ok(false);
                }
                let user = principals::create_user(tx, op, installation, name, true).await?;
                credentials::replace_password(tx, &user, phc).await?;
                Ok(true)
            })
        });
        match made.await {
            Ok(made) => Ok(generated.filter(|_| made)),
            Err(error) if error.reason == Reason::Conflict => {
                // Another replica was first, or a user who is no administrator has the name.
                if op
                    .sql()
                    .optional(&store::SUPERUSER, args![])
                    .await?
                    .is_none()
                {
                    tracing::warn!(
                        "the installation has no administrator, and the name admin is taken"
                    );
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
