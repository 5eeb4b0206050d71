//! Hashing bytes as they stream by, in one pass for one or both algorithms, with a state that can
//! be saved and taken up by another process (decision 13).
//!
//! The saved state holds the unhashed tail of the input (less than one block), so it is as
//! confidential as the content.

use std::ops::Range;

use sha2::Digest as _;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Sha256, Sha512};

use super::{Algorithm, Digest};

/// The first byte of a saved state; a release that changes the layout changes it, and unknown ones
/// are refused.
const STATE_VERSION: u8 = 1;

/// Which algorithms are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlgorithmSet(u8);

impl AlgorithmSet {
    /// SHA-256 only.
    pub const SHA256: Self = Self(1);
    /// SHA-512 only.
    pub const SHA512: Self = Self(2);
    /// Both, at the price of both.
    pub const BOTH: Self = Self(3);

    /// Whether the algorithm is computed.
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & Self::bit(algorithm) != 0
    }

    const fn bit(algorithm: Algorithm) -> u8 {
        match algorithm {
            Algorithm::Sha256 => 1,
            Algorithm::Sha512 => 2,
        }
    }
}

impl From<Algorithm> for AlgorithmSet {
    fn from(algorithm: Algorithm) -> Self {
        Self(Self::bit(algorithm))
    }
}

/// A saved state that is damaged or of another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the saved state of a hash is damaged or of an unknown version")]
pub struct StateError;

/// Hashes a stream of bytes.
#[derive(Clone, Debug)]
pub struct Hasher {
    sha256: Option<Sha256>,
    sha512: Option<Sha512>,
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    pub fn new(set: AlgorithmSet) -> Self {
        Self {
            sha256: set.contains(Algorithm::Sha256).then(Sha256::new),
            sha512: set.contains(Algorithm::Sha512).then(Sha512::new),
        }
    }

    /// Which algorithms it computes.
    pub fn set(&self) -> AlgorithmSet {
        let first = if self.sha256.is_some() {
            AlgorithmSet::SHA256.0
        } else {
            0
        };
        let second = if self.sha512.is_some() {
            AlgorithmSet::SHA512.0
        } else {
            0
        };
        AlgorithmSet(first | second)
    }

    /// Takes in the next bytes. This is CPU work: half a nanosecond for each byte and algorithm at
    /// best.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(bytes);
        }
    }

    /// The digest of all bytes so far; `None` if the algorithm is not computed. More bytes may
    /// follow.
    pub fn finish(&self, algorithm: Algorithm) -> Option<Digest> {
        match algorithm {
            Algorithm::Sha256 => self
                .sha256
                .as_ref()
                .map(|h| Digest::pad(algorithm, &h.clone().finalize())),
            Algorithm::Sha512 => self
                .sha512
                .as_ref()
                .map(|h| Digest::pad(algorithm, &h.clone().finalize())),
        }
    }

    /// The state, to be taken up by [`Hasher::resume`]: a version byte, the set, and the state of
    /// each algorithm in the set.
    pub fn state(&self) -> Vec<u8> {
        let mut bytes = vec![STATE_VERSION, self.set().0];
        if let Some(sha256) = &self.sha256 {
            bytes.extend_from_slice(&SerializableState::serialize(sha256));
        }
        if let Some(sha512) = &self.sha512 {
            bytes.extend_from_slice(&SerializableState::serialize(sha512));
        }
        bytes
    }

    /// Takes up a saved state.
    pub fn resume(state: &[u8]) -> Result<Self, StateError> {
        let [version, set, rest @ ..] = state else {
            return Err(StateError);
        };
        if *version != STATE_VERSION || !(1..=3).contains(set) {
            return Err(StateError);
        }
        let set = AlgorithmSet(*set);
        let (sha256, rest) = resume_one(set.contains(Algorithm::Sha256), rest, 32..40)?;
        let (sha512, rest) = resume_one(set.contains(Algorithm::Sha512), rest, 64..80)?;
        if rest.is_empty() {
            Ok(Self { sha256, sha512 })
        } else {
            Err(StateError)
        }
    }
}

/// No stream is so long: more blocks are damage, and the hash function would overflow counting
/// their bits.
const MAX_BLOCKS: u128 = 1 << 53;

/// Reads the state of one algorithm off the front, if it is there at all. The number of blocks that
/// it has seen is at `count`, little-endian.
fn resume_one<H: SerializableState>(
    present: bool,
    bytes: &[u8],
    count: Range<usize>,
) -> Result<(Option<H>, &[u8]), StateError> {
    if !present {
        return Ok((None, bytes));
    }
    let mut state = SerializedState::<H>::default();
    let (own, rest) = bytes.split_at_checked(state.len()).ok_or(StateError)?;
    let blocks = own.get(count).ok_or(StateError)?;
    let blocks = blocks
        .iter()
        .rev()
        .fold(0, |number, byte| (number << 8) | u128::from(*byte));
    if blocks > MAX_BLOCKS {
        return Err(StateError);
    }
    state.copy_from_slice(own);
    let hasher = H::deserialize(&state).map_err(|_| StateError)?;
    Ok((Some(hasher), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_was_asked_for_is_computed() {
        let hasher = Hasher::new(AlgorithmSet::SHA256);
        assert!(hasher.finish(Algorithm::Sha256).is_some());
        assert!(hasher.finish(Algorithm::Sha512).is_none());
        assert_eq!(
            Hasher::new(Algorithm::Sha512.into()).set(),
            AlgorithmSet::SHA512
        );
        assert_eq!(Hasher::new(AlgorithmSet::BOTH).set(), AlgorithmSet::BOTH);
    }

    #[test]
    fn damaged_states_are_refused() {
        let state = Hasher::new(AlgorithmSet::BOTH).state();
        assert!(Hasher::resume(&state).is_ok());
        for bad in [
            &[][..],
            &[1],
            &[1, 0],
            &[1, 4],
            &[2, 1],
            &state[..state.len() - 1],
        ] {
            assert_eq!(Hasher::resume(bad).err(), Some(StateError));
        }
        let mut longer = state.clone();
        longer.push(0);
        assert!(Hasher::resume(&longer).is_err());
    }

    #[test]
    fn a_state_that_has_seen_more_than_there_is_is_refused() {
        for (set, count) in [
            (AlgorithmSet::SHA256, 2 + 32..2 + 40),
            (AlgorithmSet::SHA512, 2 + 64..2 + 80),
        ] {
            let mut hasher = Hasher::new(set);
            hasher.update(&[7; 300]);
            let mut state = hasher.state();
            let seen = state[count.clone()].to_vec();
            assert_eq!(
                usize::from(seen[0]),
                300 / if count.len() == 8 { 64 } else { 128 },
                "{seen:?}"
            );
            state[count.end - 1] = 0x40;
            assert_eq!(Hasher::resume(&state).err(), Some(StateError));
        }
    }

    /// A session row written by this release must be readable by the next: the layout is pinned.
    #[test]
    fn the_layout_is_frozen() {
        let mut hasher = Hasher::new(AlgorithmSet::SHA256);
        hasher.update(b"abc");
        let state = hasher.state();
        assert_eq!(state.len(), 2 + 32 + 8 + 64);
        let digest = Digest::of(Algorithm::Sha256, &state);
        assert_eq!(
            digest.hex(),
            "361c733e4875d76bb7a5416f5b99bf35e61070616fd8e53a0d26f9f4e5f1d091"
        );
    }

    proptest! {
        #[test]
        fn a_resumed_hash_is_the_hash_of_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            cut in 0usize..600,
            set in 1u8..4,
        ) {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let mut first = Hasher::new(AlgorithmSet(set));
            first.update(head);
            let mut second = Hasher::resume(&first.state()).unwrap();
            second.update(tail);
            for algorithm in Algorithm::ALL {
                let computed = AlgorithmSet(set).contains(algorithm);
                let expected = computed.then(|| Digest::of(algorithm, &bytes));
                prop_assert_eq!(second.finish(algorithm), expected);
            }
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Hasher::resume(&bytes);
        }
    }
}
