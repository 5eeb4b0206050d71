//! Passwords: hashed and verified on few threads, so that a flood of logins costs its own seats and
//! nothing else.
//!
//! An unknown name costs as much time as a wrong password. What was verified is remembered for a
//! minute under a key that nobody outside this process can compute, and which depends on the stored
//! hash: a changed password is another key, so a memory can be useless but never wrong.

mod generate;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use aws_lc_rs::hmac;
use seawall_kernel::{Kernel, Op};
use seawall_types::{Error, PrincipalId, Reason, Result, Secret};
use tokio::sync::Semaphore;

use crate::recent::Recent;

pub(crate) use generate::generate;

/// The longest password, in bytes.
pub(crate) const MAX_BYTES: usize = 1024;

/// How long a login waits for a seat.
const WAIT: Duration = Duration::from_secs(3);
/// So many wait at most; whoever comes then is told at once.
const MOST_WAITING: usize = 256;
const RETRY_SECONDS: u32 = 3;
const REMEMBERED: Duration = Duration::from_mins(1);
const MOST_REMEMBERED: usize = 10_000;
const SALT_BYTES: usize = 16;

/// Hashes and verifies passwords.
pub(crate) struct Passwords {
    seats: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// The hash of a password that nobody knows, for names that nobody has.
    dummy: String,
    key: hmac::Key,
    verified: Recent<PrincipalId>,
}

/// What is stored of somebody's password.
pub(crate) struct Stored<'a> {
    /// Whose it is.
    pub(crate) principal: PrincipalId,
    /// The argon2id string.
    pub(crate) phc: &'a str,
}

impl Passwords {
    /// As many seats as half the cores, and a dummy hash of this start's own.
    pub(crate) fn new(kernel: &Kernel) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut secret = [0; 32];
        kernel.random().fill(&mut secret);
        let mut salt = [0; SALT_BYTES];
        kernel.random().fill(&mut salt);
        Ok(Self {
            seats: Arc::new(Semaphore::new((cores / 2).max(1))),
            waiting: AtomicUsize::new(0),
            dummy: hash(&secret, &salt)?,
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            verified: Recent::new(MOST_REMEMBERED),
        })
    }

    /// The argon2id string of a new password. Errors: `BadRequest` for one of a forbidden length,
    /// `TooMany`.
    pub(crate) async fn hash(&self, op: &Op, password: &Secret) -> Result<String> {
        if !is_fit(password) {
            let words = format!("a password has 1 to {MAX_BYTES} bytes");
            return Err(Error::new(Reason::BadRequest, words));
        }
        let mut salt = [0; SALT_BYTES];
        op.kernel().random().fill(&mut salt);
        let password = password.clone();
        self.seated(op, move || hash(password.expose().as_bytes(), &salt))
            .await?
    }

    /// Whether `password` is the stored one. Without a stored one the answer is no, and takes as
    /// long. Errors: `TooMany` when too many log in at once.
    pub(crate) async fn is_right(
        &self,
        op: &Op,
        password: &Secret,
        stored: Option<Stored<'_>>,
    ) -> Result<bool> {
        if !is_fit(password) {
            return Ok(false);
        }
        let now = op.kernel().clock().elapsed();
        let known = stored
            .as_ref()
            .map(|stored| (self.memory(stored, password), stored.principal));
        if known.is_some_and(|(key, _)| self.verified.get(&key, now).is_some()) {
            metrics::counter!("seawall_password_checks_total", "how" => "remembered").increment(1);
            return Ok(true);
        }
        metrics::counter!("seawall_password_checks_total", "how" => "hashed").increment(1);
        let phc = stored.map_or_else(|| self.dummy.clone(), |stored| stored.phc.to_owned());
        let password = password.clone();
        let right = self.seated(op, move || verify(&password, &phc)).await?;
        match known {
            Some((key, principal)) if right => {
                self.verified.put(key, principal, now, REMEMBERED);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Forgets what was verified of one principal.
    pub(crate) fn forget(&self, principal: PrincipalId) {
        self.verified.retain(|whose| *whose != principal);
    }

    /// Forgets everything that was verified.
    pub(crate) fn forget_all(&self) {
        self.verified.clear();
    }

    fn memory(&self, stored: &Stored<'_>, password: &Secret) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&stored.principal.get().to_be_bytes());
        context.update(&(stored.phc.len() as u64).to_be_bytes());
        context.update(stored.phc.as_bytes());
        context.update(password.expose().as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        key
    }

    /// Runs `work` on a thread where it may take its time, once a seat is free.
    async fn seated<T: Send + 'static>(
        &self,
        op: &Op,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let busy = || {
            metrics::counter!("seawall_password_checks_total", "how" => "refused").increment(1);
            Error::new(Reason::TooMany, "too many logins at the moment").retry_after(RETRY_SECONDS)
        };
        let waiting = Waiting::join(&self.waiting).ok_or_else(busy)?;
        let seat = tokio::time::timeout(WAIT, Arc::clone(&self.seats).acquire_owned());
        let seat = seat
            .await
            .ok()
            .and_then(std::result::Result::ok)
            .ok_or_else(busy)?;
        drop(waiting);
        let clock = Arc::clone(op.kernel().clock());
        let running = tokio::task::spawn_blocking(move || {
            // The seat is given back when the work is done, even if nobody waits for it any more.
            let _seat = seat;
            let begun = clock.elapsed();
            let value = work();
            (value, clock.elapsed().saturating_sub(begun))
        });
        let (value, took) = running.await.map_err(Error::internal)?;
        op.cost().charge_cpu(took);
        Ok(value)
    }
}

/// One of those who wait for a seat.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize) -> Option<Self> {
        let joined = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < MOST_WAITING).then_some(joined)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn is_fit(password: &Secret) -> bool {
    (1..=MAX_BYTES).contains(&password.expose().len())
}

fn hash(password: &[u8], salt: &[u8]) -> Result<String> {
    let hashed: std::result::Result<PasswordHash, _> =
        Argon2::default().hash_password_with_salt(password, salt);
    hashed
        .map(|hash| hash.to_string())
        .map_err(|error| Error::internal(error.to_string()))
}

/// Compares in constant time; a string that is no argon2id hash is nobody's password.
fn verify(password: &Secret, phc: &str) -> bool {
    PasswordHash::new(phc).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.expose().as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_and_tells_right_from_wrong() {
        let phc = hash(b"open sesame", &[7; SALT_BYTES]).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$"), "{phc}");
        assert!(verify(&Secret::new("open sesame"), &phc));
        assert!(!verify(&Secret::new("open sesam"), &phc));
        assert!(!verify(&Secret::new("open sesame"), "plain"));
    }

    #[test]
    fn lengths_are_limited() {
        assert!(!is_fit(&Secret::new("")));
        assert!(is_fit(&Secret::new("x".repeat(MAX_BYTES))));
        assert!(!is_fit(&Secret::new("x".repeat(MAX_BYTES + 1))));
    }

    #[test]
    fn the_queue_is_bounded() {
        let count = AtomicUsize::new(MOST_WAITING - 1);
        let last = Waiting::join(&count);
        assert!(last.is_some());
        assert!(Waiting::join(&count).is_none());
        drop(last);
        assert_eq!(count.load(Ordering::Relaxed), MOST_WAITING - 1);
    }
}
