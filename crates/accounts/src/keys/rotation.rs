//! Rotation of signing keys, without a token being refused.
//!
//! A new key is known everywhere before it signs, and an old one is accepted for as long as the
//! last token that it signed lives.

use std::time::Duration;

use seawall_kernel::auth::Administer;
use seawall_kernel::changes::{ChangeKind, Single};
use seawall_kernel::jobs::Job;
use seawall_kernel::{Installation, Op};
use seawall_meta::args;
use seawall_types::Result;
use serde::{Deserialize, Serialize};

use super::ring::NewKey;
use super::{load, store};
use crate::config::Config;

/// The signing keys changed.
pub(crate) const SIGNING_KEYS: ChangeKind<Single> = ChangeKind::new(7, "signing keys");

/// A new key waits so long before it signs: replicas have read it sooner.
const NOTICE: Duration = Duration::from_secs(10);
/// What a replica's clock may be wrong by.
const SLACK: Duration = Duration::from_mins(1);

/// Replaces keys that are old and removes those past their acceptance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RotateKeys {}

impl Job for RotateKeys {
    const KIND: &'static str = "keys.rotate";
}

/// Makes a key that signs at once, unless there is one.
pub(super) async fn make_first(op: &Op) -> Result<()> {
    let draft = NewKey::make(op.kernel().secrets())?;
    op.transaction(draft, |tx, _op, draft| {
        Box::pin(async move {
            if tx.all(&store::LOAD, args![]).await?.is_empty() {
                let arguments = args![&draft.sealed, &draft.public, 0i64];
                tx.insert(&store::INSERT, arguments).await?;
                tx.change(SIGNING_KEYS.change(0, 0)).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Makes a key that signs soon, and sets an end to the others.
pub(crate) async fn rotate(
    op: &Op,
    installation: &Installation<Administer>,
    config: &Config,
) -> Result<()> {
    let draft = NewKey::make(op.kernel().secrets())?;
    let left = millis(NOTICE + config.lifetime() + SLACK);
    let input = (installation.clone(), draft, left);
    op.transaction(input, |tx, op, (installation, draft, left)| {
        Box::pin(async move {
            installation.enter(tx, op).await?;
            let arguments = args![&draft.sealed, &draft.public, millis(NOTICE)];
            let id = tx.insert(&store::INSERT, arguments).await?;
            tx.execute(&store::RETIRE, args![id, *left]).await?;
            tx.change(SIGNING_KEYS.change(0, 0)).await?;
            Ok(())
        })
    })
    .await
}

/// Replaces the newest key if it is old, and removes the keys that nothing needs.
pub(crate) async fn rotate_if_old(op: &Op, config: &Config) -> Result<()> {
    let newest = load(op).await?.newest();
    if newest.is_none_or(|key| key.created_at + config.key_rotation() <= op.now()) {
        rotate(op, &op.installation()?, config).await?;
    }
    op.transaction((), |tx, _op, ()| {
        Box::pin(async move {
            tx.execute(&store::REMOVE, args![]).await?;
            Ok(())
        })
    })
    .await
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
