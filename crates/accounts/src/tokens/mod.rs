//! Bearer tokens: issued here, verified here, opaque to clients (protocol §13.5).
//!
//! A token is checked against keys that are pinned in the database and one algorithm. Nothing that
//! a token's head says of keys is believed but the name of one of ours.

mod claims;
pub(crate) mod grant;
pub(crate) mod refresh;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use seawall_kernel::auth::{Administer, Identity};
use seawall_kernel::{Installation, Kernel, MemorySize, Op};
use seawall_types::basic::MAX_BEARER_BYTES;
use seawall_types::scope::Scopes;
use seawall_types::time::{Millis, uuid};
use seawall_types::{CredentialId, Error, PrincipalId, Reason, Result, Secret};

use crate::config::Config;
use crate::cpu_limiter::CpuLimiter;
use crate::expiring_cache::{self, ExpiringCache};
use crate::keys::SigningKeys;
use claims::{Claims, VERSION};

/// A replica's clock may be ahead of another's by so much.
const NOT_BEFORE_LEEWAY: Duration = Duration::from_mins(1);
/// A request may be under way for so long.
const EXPIRY_LEEWAY: Duration = Duration::from_secs(5);

/// For some 20,000 tokens for one repository each, or 500 for sixty-four.
const MOST_BYTES: u64 = 8 << 20;
const REMEMBERED: Duration = Duration::from_mins(5);

/// Issues and verifies bearer tokens.
pub(crate) struct Tokens {
    keys: SigningKeys,
    config: Config,
    issuer: String,
    validation: Validation,
    verified: ExpiringCache<Arc<VerifiedToken>>,
    /// A signature takes a tenth of a millisecond to check, even a forged one.
    seats: CpuLimiter,
}

/// What a good token says.
#[derive(Debug)]
pub(crate) struct VerifiedToken {
    /// The principal and the credential it was issued to; `None` for an anonymous caller.
    pub(crate) subject: Option<(PrincipalId, CredentialId)>,
    /// What it may be used for.
    pub(crate) access: Arc<Scopes>,
    kid: String,
    from: Millis,
    until: Millis,
}

impl MemorySize for VerifiedToken {
    fn weight(&self) -> usize {
        size_of::<Scopes>() + self.kid.len() + self.access.bytes()
    }
}

/// A token just issued.
pub(crate) struct IssuedToken {
    /// The token.
    pub(crate) token: String,
    /// How long it may be used.
    pub(crate) lifetime: Duration,
    /// Since when.
    pub(crate) at: Millis,
}

impl Tokens {
    pub(crate) fn new(kernel: &Kernel, keys: SigningKeys, config: Config) -> Self {
        let issuer = kernel.installation().to_string();
        Self {
            keys,
            config,
            validation: validation(&issuer),
            issuer,
            verified: ExpiringCache::new(MOST_BYTES),
            seats: CpuLimiter::new(
                "signatures",
                std::thread::available_parallelism().map_or(1, usize::from),
            ),
        }
    }

    /// The keys have changed: what they once proved is proved again.
    pub(crate) fn expire(&self) {
        self.keys.expire();
        self.verified.clear();
    }

    /// What this was set to.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// A token for `identity` (anonymous without one) that may be used for `access`.
    /// Errors: `BadRequest` if it would be longer than a header may be.
    pub(crate) async fn issue(
        &self,
        op: &Op,
        identity: Option<&Identity>,
        access: Scopes,
    ) -> Result<IssuedToken> {
        let (at, lifetime) = (op.now(), self.config.lifetime());
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: identity
                .map(|identity| identity.name.to_string())
                .unwrap_or_default(),
            exp: (at + lifetime).seconds(),
            nbf: at.seconds(),
            iat: at.seconds(),
            jti: uuid(op.kernel().random()).to_string(),
            v: VERSION,
            pid: identity.map(|identity| identity.id),
            cid: identity.map(|identity| identity.credential),
            access,
        };
        let key = self.keys.signing(op).await?;
        let head = Header {
            kid: Some(key.kid.clone()),
            ..Header::new(Algorithm::ES256)
        };
        let token = jsonwebtoken::encode(&head, &claims, &key.signer).map_err(Error::internal)?;
        if token.len() > MAX_BEARER_BYTES {
            let words = "so many scopes do not fit into one token; ask for fewer at once";
            return Err(Error::new(Reason::BadRequest, words));
        }
        // What we have just signed need not be checked, so that its bearer depends on no seat here.
        let verified = understood(claims, key.kid.clone())?;
        let elapsed = op.kernel().clock().elapsed();
        let memory = memory(&token);
        self.verified
            .put(memory, Arc::new(verified), elapsed, REMEMBERED);
        metrics::counter!("seawall_tokens_issued_total").increment(1);
        Ok(IssuedToken {
            token,
            lifetime,
            at,
        })
    }

    /// What `token` says, if it is one of ours and good now. Errors: `InvalidToken`, `TooMany`.
    ///
    /// The signature is cached, the rest is checked each time. Whether its principal and its
    /// credential still hold is for the caller to check.
    pub(crate) async fn verify(&self, op: &Op, token: &Secret) -> Result<Arc<VerifiedToken>> {
        let memory = memory(token.expose());
        let elapsed = op.kernel().clock().elapsed();
        let verified = if let Some(verified) = self.verified.get(&memory, elapsed) {
            // The key may have been taken away since.
            self.keys
                .accepting(op, &verified.kid)
                .await
                .ok_or_else(refusal)?;
            verified
        } else {
            Box::pin(self.check(op, token, memory)).await?
        };
        let now = op.now();
        if now + NOT_BEFORE_LEEWAY < verified.from || verified.until + EXPIRY_LEEWAY <= now {
            return Err(refusal());
        }
        Ok(verified)
    }

    /// Checks a signature, with a seat.
    async fn check(
        &self,
        op: &Op,
        token: &Secret,
        memory: expiring_cache::CacheKey,
    ) -> Result<Arc<VerifiedToken>> {
        let kid = key_named_in(token.expose()).ok_or_else(refusal)?;
        let key = self.keys.accepting(op, &kid).await.ok_or_else(refusal)?;
        let _seat = self.seats.take().await?;
        let begun = op.kernel().clock().elapsed();
        // The same token may have been checked during the wait.
        if let Some(verified) = self.verified.get(&memory, begun) {
            return Ok(verified);
        }
        let proved = prove(token.expose(), kid, &key.verifier, &self.validation);
        let ended = op.kernel().clock().elapsed();
        op.cost().charge_cpu(ended.saturating_sub(begun));
        let verified = Arc::new(proved?);
        self.verified
            .put(memory, Arc::clone(&verified), ended, REMEMBERED);
        Ok(verified)
    }

    /// How many signatures were ever checked at once, and how many in all.
    #[cfg(test)]
    pub(crate) fn load(&self) -> (usize, usize) {
        self.seats.load()
    }

    /// Makes a key that signs from soon on. See [`crate::Directory::rotate_keys`].
    pub(crate) async fn rotate_keys(
        &self,
        op: &Op,
        installation: &Installation<Administer>,
    ) -> Result<()> {
        crate::keys::rotate(op, installation, &self.config).await?;
        self.expire();
        Ok(())
    }
}

/// What a token of this issuer has to be, whenever it is.
pub(crate) fn validation(issuer: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[issuer]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
    // The library asks the machine's clock; the database's time counts, and is checked at each use.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

/// Whether a text has the form of our tokens: three parts.
pub(crate) fn may_be(token: &str) -> bool {
    token.split('.').count() == 3 && token.split('.').all(|part| !part.is_empty())
}

/// The name of the key that a token's head asks for, if the head is one of ours. Nothing else in it
/// is believed.
pub(crate) fn key_named_in(token: &str) -> Option<String> {
    let head = jsonwebtoken::decode_header(token).ok()?;
    // A critical extension is one that must be understood, and none is.
    let is_ours =
        head.alg == Algorithm::ES256 && head.typ.as_deref() == Some("JWT") && head.crit.is_none();
    head.kid.filter(|_| is_ours)
}

/// What `token` says, if this key signed it. Errors: `InvalidToken`.
pub(crate) fn prove(
    token: &str,
    kid: String,
    verifier: &DecodingKey,
    validation: &Validation,
) -> Result<VerifiedToken> {
    let data =
        jsonwebtoken::decode::<Claims>(token, verifier, validation).map_err(|_| refusal())?;
    understood(data.claims, kid)
}

/// What claims say that `kid` has signed. Errors: `InvalidToken`.
fn understood(claims: Claims, kid: String) -> Result<VerifiedToken> {
    if claims.v != VERSION {
        return Err(refusal());
    }
    let subject = match (claims.pid, claims.cid) {
        (Some(principal), Some(credential)) if !claims.sub.is_empty() => {
            Some((principal, credential))
        }
        (None, None) if claims.sub.is_empty() => None,
        _ => return Err(refusal()),
    };
    Ok(VerifiedToken {
        subject,
        access: Arc::new(claims.access),
        kid,
        from: Millis::from_seconds(claims.nbf),
        until: Millis::from_seconds(claims.exp),
    })
}

/// Under what a token is remembered.
fn memory(token: &str) -> expiring_cache::CacheKey {
    let mut memory = [0; 32];
    memory.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    memory
}

/// The answer to any token that is not good; which rule it broke is not told.
pub(crate) fn refusal() -> Error {
    Error::new(Reason::InvalidToken, "the token is not valid (any more)")
}
