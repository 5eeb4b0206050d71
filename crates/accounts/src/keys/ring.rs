//! One signing key, and the set of those known.

use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use seawall_kernel::secrets::Secrets;
use seawall_meta::Row;
use seawall_types::time::Millis;
use seawall_types::{Error, Result};
use zeroize::Zeroizing;

/// What a key is sealed for.
const SEAL: &str = "signing-key";

/// A key that signs and verifies tokens by ES256.
pub(crate) struct SigningKey {
    id: i64,
    /// The name that tokens select it by: derived from the public key.
    pub(crate) kid: String,
    /// Its private half.
    pub(crate) signer: EncodingKey,
    /// Its public half.
    pub(crate) verifier: DecodingKey,
    /// When it was made.
    pub(crate) created_at: Millis,
    signs_from: Millis,
    accepted_until: Option<Millis>,
}

/// A key that is not stored yet.
pub(crate) struct NewKey {
    /// The private key in PKCS #8, sealed.
    pub(crate) sealed: Vec<u8>,
    /// The public key as an uncompressed point; for people who read the table.
    pub(crate) public: Vec<u8>,
}

impl NewKey {
    /// Makes a new key.
    pub(crate) fn make(secrets: &Secrets) -> Result<Self> {
        let failed = |_| Error::internal("a signing key could not be made");
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(failed)?;
        let pkcs8 = Zeroizing::new(document.as_ref().to_vec());
        let pair = pair(&pkcs8)?;
        let sealed = secrets.seal(SEAL, &pkcs8).map_err(Error::internal)?;
        Ok(Self {
            sealed,
            public: pair.public_key().as_ref().to_vec(),
        })
    }
}

impl SigningKey {
    /// Reads the columns of `store::LOAD`. Errors: `Internal` for one that does not open.
    pub(crate) fn read(secrets: &Secrets, row: &Row) -> Result<Self> {
        let pkcs8 = secrets.open(SEAL, row.bytes(1)?).map_err(Error::internal)?;
        let pair = pair(&pkcs8)?;
        let public = pair.public_key().as_ref();
        Ok(Self {
            id: row.int(0)?,
            kid: kid(public),
            signer: EncodingKey::from_ec_der(&pkcs8),
            verifier: DecodingKey::from_ec_der(public),
            created_at: row.millis(2)?,
            signs_from: row.millis(3)?,
            accepted_until: row.opt_millis(4)?,
        })
    }

    /// Whether a token that it signed is good at `now`.
    pub(crate) fn is_accepted(&self, now: Millis) -> bool {
        self.accepted_until.is_none_or(|end| now < end)
    }
}

fn pair(pkcs8: &[u8]) -> Result<EcdsaKeyPair> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
        .map_err(|_| Error::internal("a signing key is damaged"))
}

/// The first 128 bits of the public key's SHA-256.
fn kid(public: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, public);
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])
}

/// The keys that are known, by age.
pub(crate) struct KeyRing(Vec<Arc<SigningKey>>);

impl KeyRing {
    pub(crate) fn new(keys: Vec<Arc<SigningKey>>) -> Self {
        Self(keys)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key with this name.
    pub(crate) fn named(&self, kid: &str) -> Option<Arc<SigningKey>> {
        self.0.iter().find(|key| key.kid == kid).map(Arc::clone)
    }

    /// The key that signs at `now`: the newest whose time has come. If none's has (our notion of
    /// time is a little behind the database's), the one whose time comes first.
    pub(crate) fn signing(&self, now: Millis) -> Option<Arc<SigningKey>> {
        let accepted = || self.0.iter().filter(|key| key.is_accepted(now));
        let current = accepted().filter(|key| key.signs_from <= now);
        let current = current.max_by_key(|key| (key.signs_from, key.id));
        current
            .or_else(|| accepted().min_by_key(|key| (key.signs_from, key.id)))
            .map(Arc::clone)
    }

    /// The newest key, whether it signs already or not.
    pub(crate) fn newest(&self) -> Option<Arc<SigningKey>> {
        self.0.iter().max_by_key(|key| key.id).map(Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: i64, signs_from: i64, accepted_until: Option<i64>) -> Arc<SigningKey> {
        Arc::new(SigningKey {
            id,
            kid: id.to_string(),
            signer: EncodingKey::from_ec_der(&[]),
            verifier: DecodingKey::from_ec_der(&[]),
            created_at: Millis(signs_from),
            signs_from: Millis(signs_from),
            accepted_until: accepted_until.map(Millis),
        })
    }

    fn signing(ring: &KeyRing, now: i64) -> Option<i64> {
        ring.signing(Millis(now)).map(|key| key.id)
    }

    #[test]
    fn a_new_key_signs_only_when_its_time_has_come() {
        let ring = KeyRing::new(vec![key(1, 0, Some(500)), key(2, 100, None)]);
        assert_eq!(signing(&ring, 99), Some(1));
        assert_eq!(signing(&ring, 100), Some(2));
        assert_eq!(signing(&ring, 600), Some(2));
        assert_eq!(ring.newest().unwrap().id, 2);
        assert!(ring.named("1").unwrap().is_accepted(Millis(499)));
        assert!(!ring.named("1").unwrap().is_accepted(Millis(500)));
        assert!(ring.named("3").is_none());
    }

    #[test]
    fn a_clock_that_is_behind_finds_a_key() {
        let ring = KeyRing::new(vec![key(1, 100, None), key(2, 100, None)]);
        assert_eq!(signing(&ring, 99), Some(1));
        assert_eq!(signing(&ring, 100), Some(2));
        assert_eq!(signing(&KeyRing::new(Vec::new()), 0), None);
    }

    #[test]
    fn a_key_is_sealed_and_named_after_itself() {
        let secrets = Secrets::from_bytes(&[7; 32]);
        let draft = NewKey::make(&secrets).unwrap();
        let pkcs8 = secrets.open(SEAL, &draft.sealed).unwrap();
        assert_eq!(pair(&pkcs8).unwrap().public_key().as_ref(), draft.public);
        assert_eq!(draft.public.len(), 65);
        assert_eq!(kid(&draft.public).len(), 22);
    }
}
