//! Credentials: one table and one id space for passwords, refresh tokens, and what comes later.
//!
//! Reading one always reads its principal's state beside it. Every change of a principal's
//! credentials locks the principal first, so that a refresh token cannot slip in behind the
//! password change that was to revoke it.

pub(crate) mod store;

use std::sync::Arc;
use std::time::Duration;

use seawall_kernel::auth::{CredentialKind, Identity, UserAct};
use seawall_kernel::catalog::principals;
use seawall_kernel::changes::{NAMESPACE_MADE, PRINCIPAL};
use seawall_kernel::{CacheShare, Kernel, LoadedValue, MemorySize, Op, ReadCache, User};
use seawall_meta::{Row, Tx, args};
use seawall_types::permission::AccountState;
use seawall_types::permission::PrincipalKind;
use seawall_types::time::Millis;
use seawall_types::{CredentialId, Error, PrincipalId, Reason, Result};

/// The cache of passwords by the name of their user.
pub(crate) const LOGINS: CacheShare = CacheShare::new("logins", 4);
/// The cache of credentials by their id.
pub(crate) const CREDENTIALS: CacheShare = CacheShare::new("credentials", 4);

/// What was read before: a credential that is used again and again costs no read.
pub(crate) struct CredentialCache {
    by_name: ReadCache<Box<str>, Option<Arc<CredentialState>>>,
    by_id: ReadCache<i64, Option<Arc<CredentialState>>>,
}

impl CredentialCache {
    pub(crate) fn new(kernel: &Kernel) -> Result<Self> {
        Ok(Self {
            by_name: kernel.cache(LOGINS)?,
            by_id: kernel.cache(CREDENTIALS)?,
        })
    }
}

/// A principal and one of its credentials, as they stand at this moment.
pub(crate) struct CredentialState {
    principal: PrincipalId,
    name: Arc<str>,
    kind: PrincipalKind,
    superuser: bool,
    active: bool,
    generation: i64,
    credential: CredentialId,
    credential_kind: i64,
    usable: bool,
    expires_at: Option<Millis>,
    /// When it was used last, about, as far as that was read with the secret.
    pub(crate) last_used_at: Option<Millis>,
    /// What is stored of the secret; empty when it was not read.
    pub(crate) secret: Vec<u8>,
}

impl CredentialState {
    fn read(row: &Row, secret: Vec<u8>) -> Result<Self> {
        let unknown = || Error::new(Reason::Internal, "a principal of an unknown kind");
        Ok(Self {
            principal: row.id(0)?,
            name: row.text(1)?.into(),
            kind: PrincipalKind::from_code(row.int(2)?).ok_or_else(unknown)?,
            superuser: row.bool(3)?,
            active: row.int(4)? == AccountState::Active.code(),
            credential: row.id(5)?,
            credential_kind: row.int(6)?,
            usable: row.int(7)? == store::USABLE,
            expires_at: row.opt_millis(8)?,
            generation: row.int(9)?,
            last_used_at: None,
            secret,
        })
    }

    fn read_whole(mut row: Row) -> Result<Self> {
        let secret = row.take_bytes(10)?;
        let last_used_at = row.opt_millis(11)?;
        Ok(Self {
            last_used_at,
            ..Self::read(&row, secret)?
        })
    }

    /// Whose it is.
    pub(crate) fn principal(&self) -> PrincipalId {
        self.principal
    }

    /// Whether it is a refresh token.
    pub(crate) fn is_refresh(&self) -> bool {
        self.credential_kind == store::REFRESH
    }

    /// Whether principal and credential may be used at `now`.
    pub(crate) fn holds(&self, now: Millis) -> bool {
        self.active && self.usable && self.expires_at.is_none_or(|end| now < end)
    }

    /// Its id.
    pub(crate) fn credential(&self) -> CredentialId {
        self.credential
    }

    /// The identity that was proved by a credential of `kind`.
    pub(crate) fn identity(&self, kind: CredentialKind) -> Identity {
        Identity {
            id: self.principal,
            name: Arc::clone(&self.name),
            kind: self.kind,
            superuser: self.superuser,
            generation: self.generation,
            credential: self.credential,
            credential_kind: kind,
        }
    }
}

impl MemorySize for CredentialState {
    fn weight(&self) -> usize {
        self.name.len() + self.secret.len()
    }
}

/// A user that exists depends on that user's changes only.
fn remembered(op: &Op, standing: CredentialState) -> LoadedValue<Option<Arc<CredentialState>>> {
    let subject = PRINCIPAL.subject(standing.principal.get());
    LoadedValue::new(Some(Arc::new(standing)), [op.mark(&subject)])
}

/// The principal called `name` with its password. One read, or none if it was read before.
///
/// That no user has the name is kept as well, until a user of that name is made: else a name would
/// be known by what asking for it costs. Users are made with a password, and keep one.
pub(crate) async fn by_name(
    op: &Op,
    known: &CredentialCache,
    name: &str,
) -> Result<Option<Arc<CredentialState>>> {
    let read = || async move {
        let row = op.sql().optional(&store::LOGIN, args![name]).await?;
        let Some(row) = row else {
            let absent = NAMESPACE_MADE.subject(name);
            return Ok(LoadedValue::new(None, [op.mark(&absent)]));
        };
        Ok(remembered(op, CredentialState::read_whole(row)?))
    };
    op.recall(&known.by_name, name.into(), read).await
}

/// A credential with its secret and its principal. One read.
pub(crate) async fn by_id(op: &Op, id: CredentialId) -> Result<Option<CredentialState>> {
    let row = op.sql().optional(&store::CREDENTIAL, args![id]).await?;
    row.map(CredentialState::read_whole).transpose()
}

/// A credential and its principal without the secret, if they belong together. One read, or none
/// if it was read before.
pub(crate) async fn standing(
    op: &Op,
    known: &CredentialCache,
    (principal, credential): (PrincipalId, CredentialId),
) -> Result<Option<Arc<CredentialState>>> {
    let read = || async move {
        let arguments = args![credential];
        let row = op.sql().optional(&store::STANDING, arguments).await?;
        let Some(row) = row else {
            return Ok(LoadedValue::passing(None));
        };
        Ok(remembered(op, CredentialState::read(&row, Vec::new())?))
    };
    let standing = op.recall(&known.by_id, credential.get(), read).await?;
    Ok(standing.filter(|standing| standing.principal == principal))
}

/// The same as `tx` reads it, whatever was read before.
pub(crate) async fn standing_in(
    tx: &mut Tx,
    (principal, credential): (PrincipalId, CredentialId),
) -> Result<Option<CredentialState>> {
    let row = tx.optional(&store::STANDING, args![credential]).await?;
    let read = |row: Row| CredentialState::read(&row, Vec::new());
    let standing = row.map(read).transpose()?;
    Ok(standing.filter(|standing| standing.principal == principal))
}

/// Stores a password's hash; passwords and refresh tokens before it cease to be good.
pub(crate) async fn replace_password<A: UserAct>(
    tx: &mut Tx,
    user: &User<A>,
    phc: &str,
) -> Result<()> {
    revoke_all(tx, user).await?;
    let arguments = args![
        user.id(),
        store::PASSWORD,
        phc.as_bytes(),
        None::<&str>,
        None::<i64>
    ];
    tx.insert(&store::INSERT, arguments).await?;
    Ok(())
}

/// Revokes every credential of a user, and with them every token made by one, and locks the
/// principal.
pub(crate) async fn revoke_all<A: UserAct>(tx: &mut Tx, user: &User<A>) -> Result<()> {
    principals::alter(tx, user, None).await?;
    tx.execute(&store::REVOKE, args![user.id(), store::PASSWORD])
        .await?;
    revoke_refresh(tx, user.id()).await
}

/// Revokes every refresh token of a principal, whose row the transaction has locked.
pub(crate) async fn revoke_refresh(tx: &mut Tx, principal: PrincipalId) -> Result<()> {
    tx.execute(&store::REVOKE, args![principal, store::REFRESH])
        .await?;
    Ok(())
}

/// Rows go when they ended so long ago.
const KEPT: Duration = Duration::from_hours(168);
const BATCH: i64 = 500;
/// Removes what ended long ago. Says whether there is more to do.
pub(crate) async fn sweep(op: &Op) -> Result<bool> {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX / 4);
    op.transaction(kept, |tx, _op, &kept| {
        Box::pin(async move { Ok(tx.execute(&store::SWEEP, args![kept, BATCH]).await? > 0) })
    })
    .await
}
