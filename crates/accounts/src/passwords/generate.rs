//! Generated passwords: long enough not to be guessed, easy enough to be read aloud.

use seawall_types::{Random, Secret};
use zeroize::Zeroizing;

/// Letters and digits that are not taken for one another: no I, O, 0, 1. There are 32 of them, so
/// that five bits choose each evenly.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const LENGTH: usize = 24;

/// A password of 24 characters, which hold 120 bits.
fn generate(random: &dyn Random) -> Secret {
    let mut bytes = Zeroizing::new([0u8; LENGTH]);
    random.fill(&mut *bytes);
    let letter = |byte: &u8| char::from(ALPHABET[usize::from(byte % 32)]);
    Secret::new(bytes.iter().map(letter).collect::<String>())
}

/// The password to set, and once more if it was not given but made here.
pub(crate) fn provided_or_generated(
    given: Option<Secret>,
    random: &dyn Random,
) -> (Secret, Option<Secret>) {
    if let Some(password) = given {
        return (password, None);
    }
    let password = generate(random);
    (password.clone(), Some(password))
}

#[cfg(test)]
mod tests {
    use seawall_kernel::clock::SystemRandom;

    use super::*;

    #[test]
    fn it_is_long_unambiguous_and_new_each_time() {
        let (one, two) = (generate(&SystemRandom), generate(&SystemRandom));
        assert_eq!(one.expose().len(), LENGTH);
        assert!(one.expose().bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_ne!(one.expose(), two.expose());
    }
}
