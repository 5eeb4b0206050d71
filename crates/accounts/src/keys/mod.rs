//! The keys that sign tokens: in the database, sealed, the same for every replica.
//!
//! A key is trusted because it opens with the installation's secret: its public half is taken from
//! what was sealed, never from the row's column beside it, which any process could write that can
//! write to the database. Every key has one algorithm, ES256, and a name derived from itself
//! (`kid`).

mod ring;
mod rotation;
pub(crate) mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use seawall_kernel::{Kernel, Op};
use seawall_meta::args;
use seawall_types::lane::Lane;
use seawall_types::{Error, Reason, Result};
use tokio::sync::Mutex;

pub(crate) use ring::{KeyRing, SigningKey};
pub(crate) use rotation::{RotateKeys, SIGNING_KEYS, rotate, rotate_if_old};

/// Keys are read again at most so often, whatever strangers put into a token's head.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);

/// The keys as this process knows them.
pub(crate) struct SigningKeys {
    ring: RwLock<Arc<KeyRing>>,
    stale: AtomicBool,
    /// When the keys were last asked for, on the clock's `elapsed`.
    asked: Mutex<Duration>,
}

impl SigningKeys {
    /// Reads the keys, or makes the first one. Two replicas that start at once may both make one,
    /// and accept both.
    pub(crate) async fn open(kernel: &Arc<Kernel>) -> Result<Self> {
        let op = kernel.internal_op(Lane::Control, "keys");
        let mut ring = load(&op).await?;
        if ring.is_empty() {
            rotation::make_first(&op).await?;
            ring = load(&op).await?;
        }
        if ring.is_empty() {
            return Err(Error::new(Reason::Internal, "no signing key can be read"));
        }
        Ok(Self {
            ring: RwLock::new(Arc::new(ring)),
            stale: AtomicBool::new(false),
            asked: Mutex::new(kernel.clock().elapsed()),
        })
    }

    /// Notes that the keys have changed; the next use reads them again.
    pub(crate) fn expire(&self) {
        self.stale.store(true, Ordering::Release);
    }

    /// The key that signs now. Errors: `Unavailable` if there is none.
    pub(crate) async fn signing(&self, op: &Op) -> Result<Arc<SigningKey>> {
        self.refresh(op).await;
        let key = self.ring().signing(op.now());
        key.ok_or_else(|| Error::new(Reason::Unavailable, "no key signs tokens at the moment"))
    }

    /// The key called `kid`, if its tokens are accepted now. One that is not known here may have
    /// been made elsewhere a moment ago, so it is looked for once.
    pub(crate) async fn accepting(&self, op: &Op, kid: &str) -> Option<Arc<SigningKey>> {
        self.refresh(op).await;
        if let Some(key) = self.ring().named(kid) {
            return Some(key).filter(|key| key.is_accepted(op.now()));
        }
        Box::pin(self.reload(op, |ring| ring.named(kid).is_none())).await;
        self.ring()
            .named(kid)
            .filter(|key| key.is_accepted(op.now()))
    }

    fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read())
    }

    /// Reads the keys again if they have changed. When that fails, those known serve on.
    async fn refresh(&self, op: &Op) {
        if self.stale.load(Ordering::Acquire) {
            Box::pin(self.reload(op, |_| self.stale.load(Ordering::Acquire))).await;
        }
    }

    /// Reads the keys again, one caller at a time, if that is still `needed` when it is our turn
    /// and none was asked for within the last second.
    async fn reload(&self, op: &Op, needed: impl Fn(&KeyRing) -> bool) {
        let mut asked = self.asked.lock().await;
        let now = op.kernel().clock().elapsed();
        if !needed(&self.ring()) || now.saturating_sub(*asked) < RELOAD_PAUSE {
            return;
        }
        *asked = now;
        // Cleared first: what changes while we read makes it stale again.
        self.stale.store(false, Ordering::Release);
        match load(op).await {
            Ok(ring) if !ring.is_empty() => {
                *self.ring.write() = Arc::new(ring);
            }
            Ok(_) => {
                tracing::error!("no signing key can be opened with this installation's secret");
            }
            Err(error) => {
                self.expire();
                tracing::warn!(%error, "the signing keys could not be reloaded");
            }
        }
    }
}

/// Reads the keys. One that does not open is another installation's, or damaged: it is passed over.
async fn load(op: &Op) -> Result<KeyRing> {
    let mut keys = Vec::new();
    for row in op.sql().all(&store::LOAD, args![]).await? {
        match SigningKey::read(op.kernel().secrets(), &row) {
            Ok(key) => keys.push(Arc::new(key)),
            Err(error) => {
                let id = row.int(0)?;
                tracing::error!(id, cause = ?error.source, "a signing key cannot be used");
            }
        }
    }
    Ok(KeyRing::new(keys))
}
