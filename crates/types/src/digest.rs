//! Digests (protocol §2.6–2.8): an algorithm and a hash, as text outside and as one algorithm
//! byte and the raw hash inside.
//!
//! Only algorithms that this server can compute are digests here; `sha384` or `blake3` are
//! [`DigestError::Unsupported`]. Hex is lower case: an upper-case digest would be a second name of
//! the same bytes.

mod hasher;

use std::fmt;

use sha2::Digest as _;

pub use hasher::{AlgorithmSet, Hasher, StateError};

use crate::error::{Error, Reason};
use crate::text::text_form;

/// The longest digest as text: `sha512:` and 128 hexadecimal digits.
pub const MAX_DIGEST_BYTES: usize = 7 + 128;

/// The longest hash in bytes.
const MAX_HASH_BYTES: usize = 64;

/// A hash function. Its number is stored in databases and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Algorithm {
    /// SHA-256, which every client knows.
    Sha256 = 1,
    /// SHA-512.
    Sha512 = 2,
}

impl Algorithm {
    /// All that this server can compute.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The name before the colon.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm with this name; [`DigestError::Unsupported`] for any other.
    pub fn parse(name: &str) -> Result<Self, DigestError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or(DigestError::Unsupported)
    }

    /// The length of a hash in bytes.
    pub const fn hash_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The byte under which it is stored.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The algorithm stored as `code`.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.code() == code)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why something is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not `algorithm:hex`, or hex of the wrong length or case.
    #[error("a digest is an algorithm, a colon and the hash in lower-case hexadecimal digits")]
    Malformed,
    /// A well-formed digest of an algorithm that this server does not compute.
    #[error("the digest algorithm is not supported: use sha256 or sha512")]
    Unsupported,
}

impl From<DigestError> for Error {
    fn from(error: DigestError) -> Self {
        Self::new(Reason::DigestInvalid, error.to_string())
    }
}

/// The name of some bytes: what they hash to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    /// The hash, then zeros: so the derived comparisons are those of the hash alone.
    padded: [u8; MAX_HASH_BYTES],
}

impl Digest {
    /// Parses `algorithm:hex`.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        // A digest of an algorithm not known here may be longer than any of ours, but not without
        // bound.
        if text.len() > 2 * MAX_DIGEST_BYTES {
            return Err(DigestError::Malformed);
        }
        let (name, encoded) = text.split_once(':').ok_or(DigestError::Malformed)?;
        if !is_algorithm_name(name) || !is_encoded(encoded) {
            return Err(DigestError::Malformed);
        }
        let algorithm = Algorithm::parse(name)?;
        if encoded.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(DigestError::Malformed);
        }
        let mut padded = [0; MAX_HASH_BYTES];
        let hash = padded
            .get_mut(..algorithm.hash_len())
            .ok_or(DigestError::Malformed)?;
        hex::decode_to_slice(encoded, hash).map_err(|_| DigestError::Malformed)?;
        Ok(Self { algorithm, padded })
    }

    /// The digest of these bytes.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::pad(algorithm, &sha2::Sha256::digest(bytes)),
            Algorithm::Sha512 => Self::pad(algorithm, &sha2::Sha512::digest(bytes)),
        }
    }

    /// A digest with this raw hash, whose length must be the algorithm's.
    pub fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Result<Self, DigestError> {
        if hash.len() == algorithm.hash_len() {
            Ok(Self::pad(algorithm, hash))
        } else {
            Err(DigestError::Malformed)
        }
    }

    /// Reads the stored form: one algorithm byte and the raw hash.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DigestError> {
        let (code, hash) = bytes.split_first().ok_or(DigestError::Malformed)?;
        let algorithm = Algorithm::from_code(*code).ok_or(DigestError::Unsupported)?;
        Self::from_hash(algorithm, hash)
    }

    /// The stored form: one algorithm byte and the raw hash.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.hash().len());
        bytes.push(self.algorithm.code());
        bytes.extend_from_slice(self.hash());
        bytes
    }

    /// The hash function.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw hash.
    pub fn hash(&self) -> &[u8] {
        self.padded
            .get(..self.algorithm.hash_len())
            .unwrap_or_default()
    }

    /// The hash in lower-case hexadecimal digits, without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.hash())
    }

    /// Copies a hash whose length the caller knows to be right.
    fn pad(algorithm: Algorithm, hash: &[u8]) -> Self {
        let mut padded = [0; MAX_HASH_BYTES];
        for (to, from) in padded.iter_mut().zip(hash) {
            *to = *from;
        }
        Self { algorithm, padded }
    }
}

/// `component (sep component)*` with component `[a-z0-9]+` and sep `[+._-]` (protocol §2.6).
fn is_algorithm_name(name: &str) -> bool {
    name.split(['+', '.', '_', '-']).all(|component| {
        !component.is_empty()
            && component
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

/// `[a-zA-Z0-9=_-]+` (protocol §2.6).
fn is_encoded(encoded: &str) -> bool {
    !encoded.is_empty()
        && encoded
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

text_form!(Digest, DigestError);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_digest_of_nothing() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), digest);
        assert_eq!(digest.to_bytes().len(), 33);
        assert_eq!(Digest::of(Algorithm::Sha512, b"").to_bytes().len(), 65);
        assert_eq!(format!("{digest:?}"), format!("Digest({EMPTY})"));
    }

    #[test]
    fn malformed_and_unsupported_are_told_apart() {
        let (upper, short, long) = (EMPTY.to_uppercase(), &EMPTY[..70], format!("{EMPTY}0"));
        let upper_hex = format!("sha256:{}", &upper[7..]);
        for text in [
            "",
            ":",
            "sha256",
            "sha256:",
            "sha256:baddigeststring",
            ":00",
            "SHA256:00",
            "sha256:zz",
            "sha256:00\n",
            "sha256: 00",
            "sha+:00",
            "../x:00",
            upper.as_str(),
            upper_hex.as_str(),
            short,
            long.as_str(),
        ] {
            assert_eq!(Digest::parse(text), Err(DigestError::Malformed), "{text:?}");
        }
        let sha384 = format!("sha384:{}", "0".repeat(96));
        for text in [
            sha384.as_str(),
            "blake3:00",
            "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
        ] {
            assert_eq!(
                Digest::parse(text),
                Err(DigestError::Unsupported),
                "{text:?}"
            );
        }
        let endless = format!("blake3:{}", "0".repeat(1000));
        assert_eq!(Digest::parse(&endless), Err(DigestError::Malformed));
    }

    #[test]
    fn stored_forms_are_checked() {
        assert_eq!(Digest::from_bytes(&[]), Err(DigestError::Malformed));
        assert_eq!(Digest::from_bytes(&[1; 32]), Err(DigestError::Malformed));
        assert_eq!(Digest::from_bytes(&[9; 33]), Err(DigestError::Unsupported));
        assert!(Digest::from_bytes(&[2; 65]).is_ok());
    }

    proptest! {
        #[test]
        fn digests_lead_back(bytes in proptest::collection::vec(any::<u8>(), 0..200), wide: bool) {
            let algorithm = if wide { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let digest = Digest::of(algorithm, &bytes);
            prop_assert_eq!(Digest::parse(&digest.to_string()).unwrap(), digest);
            prop_assert_eq!(Digest::from_bytes(&digest.to_bytes()).unwrap(), digest);
            prop_assert_eq!(Digest::from_hash(algorithm, digest.hash()).unwrap(), digest);
            let json = serde_json::to_string(&digest).unwrap();
            prop_assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        }

        #[test]
        fn nothing_panics(
            text in "\\PC{0,300}",
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let _ = Digest::parse(&text);
            let _ = Digest::from_bytes(&bytes);
        }

        #[test]
        fn the_order_is_of_the_stored_bytes(a: [u8; 32], b: [u8; 32], c: [u8; 64]) {
            let [a, b] = [a, b].map(|hash| Digest::from_hash(Algorithm::Sha256, &hash).unwrap());
            let c = Digest::from_hash(Algorithm::Sha512, &c).unwrap();
            prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
            prop_assert_eq!(a.cmp(&c), a.to_bytes().cmp(&c.to_bytes()));
        }
    }
}
