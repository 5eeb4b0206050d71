//! Names, tags, references and digests: what is accepted is exactly what the grammar of the
//! specification says, and there is one text for each value.

use std::sync::LazyLock;

use regex::Regex;
use seawall_types::digest::{Algorithm, AlgorithmSet, Hasher};
use seawall_types::name::MAX_NAME_BYTES;
use seawall_types::{Digest, NamespaceName, Reference, RepositoryName, Tag};

use crate::{survives_json, text};

/// Compiles a grammar once.
macro_rules! grammar {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($text).expect("a grammar of ours"));
    };
}

grammar!(
    NAME,
    r"\A[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\z"
);
grammar!(TAG, r"\A[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\z");
grammar!(DIGEST, r"\A(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})\z");

/// Names of repositories and namespaces, tags, and what follows `/manifests/`.
pub(crate) fn names(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    repository(text);
    let namespace = NAME.is_match(text) && !text.contains('/') && text.len() <= MAX_NAME_BYTES;
    match NamespaceName::parse(text) {
        Ok(name) => {
            assert!(namespace && name.as_str() == text);
            survives_json(&name);
        }
        Err(_) => assert!(!namespace),
    }
    let tag = TAG.is_match(text);
    assert_eq!(Tag::parse(text).is_ok(), tag);
    match Reference::parse(text) {
        Ok(reference) => {
            assert!(tag != DIGEST.is_match(text), "one of the two, never both");
            assert_eq!(reference.to_string(), text);
            survives_json(&reference);
        }
        Err(_) => assert!(!tag && !DIGEST.is_match(text)),
    }
}

fn repository(text: &str) {
    let short = !text.contains('/');
    let longest = if short {
        MAX_NAME_BYTES - "library/".len()
    } else {
        MAX_NAME_BYTES
    };
    let expected = NAME.is_match(text) && text.len() <= longest;
    let Ok(name) = RepositoryName::parse(text) else {
        assert!(!expected);
        return;
    };
    assert!(expected && name.as_written() == text);
    let canonical = RepositoryName::parse(name.as_canonical()).expect("a canonical name is a name");
    assert_eq!(canonical, name);
    assert_eq!(canonical.as_written(), name.as_canonical());
    let joined = RepositoryName::from_parts(name.namespace(), name.path());
    assert_eq!(joined.expect("the parts of a name make a name"), name);
    assert_eq!(short, name.namespace() == "library" && name.path() == text);
    survives_json(&name);
}

/// Digests as text and as a database keeps them, and saved states of hashes.
pub(crate) fn digest(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        match Digest::parse(text) {
            Ok(digest) => {
                assert!(DIGEST.is_match(text) && digest.to_string() == text);
                assert_eq!(Digest::from_bytes(&digest.to_bytes()), Ok(digest));
                let again = Digest::from_hash(digest.algorithm(), digest.hash());
                assert_eq!(again, Ok(digest));
                survives_json(&digest);
            }
            Err(_) => assert!(!DIGEST.is_match(text)),
        }
    }
    if let Ok(digest) = Digest::from_bytes(bytes) {
        assert_eq!(digest.to_bytes(), bytes);
        assert_eq!(Digest::parse(&digest.to_string()), Ok(digest));
    }
    if let Ok(mut hasher) = Hasher::resume(bytes) {
        assert_eq!(hasher.state(), bytes);
        hasher.update(&[0x5a; 200]);
        for algorithm in Algorithm::ALL {
            let computed = hasher.finish(algorithm).is_some();
            assert_eq!(computed, hasher.set().contains(algorithm));
        }
    }
    streamed(bytes);
}

/// Hashing in two parts, with a state saved in between, is hashing.
fn streamed(bytes: &[u8]) {
    let (first, second) = bytes.split_at(bytes.len() / 3);
    let mut hasher = Hasher::new(AlgorithmSet::BOTH);
    hasher.update(first);
    let mut hasher = Hasher::resume(&hasher.state()).expect("a state of ours");
    hasher.update(second);
    for algorithm in Algorithm::ALL {
        assert_eq!(hasher.finish(algorithm), Some(Digest::of(algorithm, bytes)));
    }
}
