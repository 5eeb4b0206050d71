//! Passwords: hashed and verified on few threads, so that a flood of logins costs its own permits
//! and nothing else.
//!
//! An unknown name costs as much time as a wrong password. What was verified is remembered for an
//! hour after its last use, and what was refused for a minute, under a key that nothing outside
//! this process can compute, and which depends on the name and the stored hash: a changed password
//! is another key, so a memory can be useless but never wrong. A client that sends the same login
//! many times, all at once or one by one, makes us hash once.

mod generate;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use seawall_cache::{FlightRole, Leader, SingleFlight};
use seawall_kernel::{Kernel, MemorySize, Op};
use seawall_limit::Permit;
use seawall_types::{Error, PrincipalId, Reason, Result, Secret};
use tokio::sync::oneshot;

use crate::cpu_limiter::{CpuLimiter, busy};
use crate::expiring_cache::{CacheKey, ExpiringCache};

pub(crate) use generate::provided_or_generated;

/// The longest password, in bytes.
pub(crate) const MAX_BYTES: usize = 1024;

/// Programs that pull send the same login again and again, some of them only now and then: they
/// should need no permit while another client's guesses take them all.
const RIGHT: Duration = Duration::from_hours(1);
const WRONG: Duration = Duration::from_mins(1);
/// Some 10,000 logins of each kind.
const MOST_BYTES: u64 = 2 << 20;
const SALT_BYTES: usize = 16;

/// How much less pressing hashing is than serving, in steps of `nice`: a quarter of the CPU, where
/// both want it.
const STEPS_BACK: i32 = 5;

/// Hashes and verifies passwords.
pub(crate) struct Passwords {
    seats: CpuLimiter,
    /// Verifications under way: of many callers with the same login one computes (single flight).
    checks: SingleFlight<CacheKey, bool>,
    /// The hash of an unknown password, for names that no user has.
    dummy: String,
    key: hmac::Key,
    verified: ExpiringCache<PasswordMatch>,
    /// Apart, so that a flood of what is wrong does not push out what is right.
    refused: ExpiringCache<PasswordMismatch>,
}

/// Whose password was right.
#[derive(Clone, Copy)]
struct PasswordMatch(PrincipalId);

/// That one was wrong.
#[derive(Clone, Copy)]
struct PasswordMismatch;

impl MemorySize for PasswordMatch {
    fn weight(&self) -> usize {
        0
    }
}

impl MemorySize for PasswordMismatch {
    fn weight(&self) -> usize {
        0
    }
}

/// A login with its password, and what is known of the user.
pub(crate) struct PasswordClaim<'a> {
    /// The name, as it was sent.
    pub(crate) name: &'a str,
    /// The password.
    pub(crate) password: &'a Secret,
    /// What is stored; nothing for an unknown name.
    pub(crate) stored: Option<StoredPassword<'a>>,
}

/// What is stored of a user's password.
pub(crate) struct StoredPassword<'a> {
    /// Whose it is.
    pub(crate) principal: PrincipalId,
    /// The argon2id string.
    pub(crate) phc: &'a str,
}

/// What a caller's wait has come to.
enum VerificationTurn<'a> {
    /// It is to compute the answer.
    Ours(Leader<'a, CacheKey, bool>, Permit),
    /// Another has found the answer.
    Known(bool),
}

impl Passwords {
    /// As many permits as half the cores, and a dummy hash of this start's own.
    pub(crate) fn new(kernel: &Kernel) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut secret = [0; 32];
        kernel.random().fill(&mut secret);
        let mut salt = [0; SALT_BYTES];
        kernel.random().fill(&mut salt);
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        kernel.random().fill(&mut output);
        Self {
            seats: CpuLimiter::new("passwords", cores),
            checks: SingleFlight::default(),
            dummy: nobodys(&output, &salt),
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            verified: ExpiringCache::new(MOST_BYTES),
            refused: ExpiringCache::new(MOST_BYTES),
        }
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

    /// Whether the password is the stored one. Without a stored one the answer is no, and takes as
    /// long. Errors: `TooMany` when too many log in at once.
    pub(crate) async fn is_right(&self, op: &Op, claim: PasswordClaim<'_>) -> Result<bool> {
        let key = self.memory(&claim);
        if let Some(right) = self.remembered(op, &key) {
            return Ok(right);
        }
        let line = self.seats.line_up();
        let line = line.inspect_err(|_| checked("refused"))?;
        let turn = line.wait(self.turn(op, &key)).await;
        let turn = turn.map_err(busy).flatten();
        let (leader, seat) = match turn.inspect_err(|_| checked("refused"))? {
            VerificationTurn::Ours(leader, seat) => (leader, seat),
            VerificationTurn::Known(right) => return Ok(right),
        };
        checked("hashed");
        let stored = claim.stored.as_ref();
        let phc = stored.map_or_else(|| self.dummy.clone(), |stored| stored.phc.to_owned());
        let password = claim.password.clone();
        let right = work(op, seat, move || verify(&password, &phc)).await?;
        let now = op.kernel().clock().elapsed();
        let right = match claim.stored {
            Some(stored) if right => {
                self.verified
                    .put(key, PasswordMatch(stored.principal), now, RIGHT);
                true
            }
            _ => {
                self.refused.put(key, PasswordMismatch, now, WRONG);
                false
            }
        };
        leader.complete(right);
        Ok(right)
    }

    /// Waits for the outcome of a verification under way, or else for a permit to compute it. A
    /// caller that gives up leaves its turn to the next.
    async fn turn(&self, op: &Op, key: &CacheKey) -> Result<VerificationTurn<'_>> {
        loop {
            match self.checks.join(key) {
                FlightRole::Leader(leader) => {
                    // The leader before may have found out.
                    if let Some(right) = self.remembered(op, key) {
                        leader.complete(right);
                        return Ok(VerificationTurn::Known(right));
                    }
                    return Ok(VerificationTurn::Ours(leader, self.seats.next().await?));
                }
                FlightRole::Waiter(flight) => {
                    if let Some(right) = flight.outcome().await {
                        checked("remembered");
                        return Ok(VerificationTurn::Known(right));
                    }
                }
            }
        }
    }

    /// What was found out a moment ago.
    fn remembered(&self, op: &Op, key: &CacheKey) -> Option<bool> {
        let now = op.kernel().clock().elapsed();
        let right = if self.verified.renew(key, now, RIGHT).is_some() {
            true
        } else {
            self.refused.get(key, now)?;
            false
        };
        checked("remembered");
        Some(right)
    }

    /// How many permits were ever in use at once, and how often one was taken.
    #[cfg(test)]
    pub(crate) fn load(&self) -> (usize, usize) {
        self.seats.load()
    }

    /// Forgets what was verified of one principal.
    pub(crate) fn forget(&self, principal: PrincipalId) {
        self.verified.retain(|right| right.0 != principal);
    }

    /// Forgets everything that was verified.
    pub(crate) fn forget_all(&self) {
        self.verified.clear();
    }

    fn memory(&self, claim: &PasswordClaim<'_>) -> CacheKey {
        let mut context = hmac::Context::with_key(&self.key);
        let stored = claim.stored.as_ref();
        let principal = stored.map_or(0, |stored| stored.principal.get());
        context.update(&principal.to_be_bytes());
        for part in [claim.name, stored.map_or("", |stored| stored.phc)] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.update(claim.password.expose().as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        key
    }

    /// Runs `hashing` once a permit is free.
    async fn seated<T: Send + 'static>(
        &self,
        op: &Op,
        hashing: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let seat = self.seats.take().await;
        let seat = seat.inspect_err(|_| checked("refused"))?;
        work(op, seat, hashing).await
    }
}

/// Runs `hashing` on a thread of its own, where it may take its time.
///
/// A hash takes tens of milliseconds without a pause. On equal terms with the threads that serve,
/// it would hold up each of their answers by a slice of time; so it steps back behind them.
async fn work<T: Send + 'static>(
    op: &Op,
    seat: Permit,
    hashing: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let clock = Arc::clone(op.kernel().clock());
    let (answer, answered) = oneshot::channel();
    let hash = move || {
        // The permit is given back when the work is done, even if its caller has gone.
        let _seat = seat;
        // Only of this thread. Where it is not granted, hashing is as pressing as serving.
        let _ = rustix::process::nice(STEPS_BACK);
        let begun = clock.elapsed();
        let value = hashing();
        // The caller may have gone.
        let _ = answer.send((value, clock.elapsed().saturating_sub(begun)));
    };
    let thread = thread::Builder::new().name("hashing".to_owned());
    thread.spawn(hash).map_err(Error::internal)?;
    let (value, took) = answered.await.map_err(Error::internal)?;
    op.cost().charge_cpu(took);
    Ok(value)
}

fn checked(how: &'static str) {
    metrics::counter!("seawall_password_checks_total", "how" => how).increment(1);
}

/// Whether a password has a length that one can have.
pub(crate) fn is_fit(password: &Secret) -> bool {
    (1..=MAX_BYTES).contains(&password.expose().len())
}

fn hash(password: &[u8], salt: &[u8]) -> Result<String> {
    let hashed: std::result::Result<PasswordHash, _> =
        Argon2::default().hash_password_with_salt(password, salt);
    hashed
        .map(|hash| hash.to_string())
        .map_err(|error| Error::internal(error.to_string()))
}

/// A string that costs what [`hash`]'s do to compare with, and that no password is known to have.
/// It is written and not computed, since computing it would cost every start 19 MiB.
fn nobodys(output: &[u8], salt: &[u8]) -> String {
    let (m, t, p) = (
        Params::DEFAULT_M_COST,
        Params::DEFAULT_T_COST,
        Params::DEFAULT_P_COST,
    );
    let (salt, output) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output));
    format!("$argon2id$v=19$m={m},t={t},p={p}${salt}${output}")
}

/// Compares in constant time; a string that is no argon2id hash matches no password.
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
    fn nobodys_hash_costs_what_a_real_one_does() {
        let real = hash(b"open sesame", &[7; SALT_BYTES]).unwrap();
        let nobodys = nobodys(&[9; Params::DEFAULT_OUTPUT_LEN], &[7; SALT_BYTES]);
        let cost = |phc: &str| phc.rsplit_once('$').unwrap().0.to_owned();
        assert_eq!(cost(&nobodys), cost(&real));
        assert_eq!(nobodys.len(), real.len());
        assert!(PasswordHash::new(&nobodys).is_ok());
        assert!(!verify(&Secret::new("open sesame"), &nobodys));
    }

    #[test]
    fn lengths_are_limited() {
        assert!(!is_fit(&Secret::new("")));
        assert!(is_fit(&Secret::new("x".repeat(MAX_BYTES))));
        assert!(!is_fit(&Secret::new("x".repeat(MAX_BYTES + 1))));
    }
}
