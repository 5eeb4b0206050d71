//! The installation secret and everything derived from it: keys that wrap signing keys, that
//! authenticate upload state and page cursors, the same on every replica.
//!
//! The secret itself never leaves this module, not even into a log's `Debug`.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use seawall_types::time::Random;
use zeroize::Zeroizing;

const SECRET_LEN: usize = 32;

/// What can go wrong with the installation secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file cannot be read or written.
    #[error("installation secret {path}: {source}")]
    File {
        /// The file that was tried.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("installation secret {0}: expected 64 hexadecimal digits")]
    Malformed(PathBuf),
    /// Others than the owner may read the file.
    #[error("installation secret {0}: readable by others than its owner; run `chmod 600` on it")]
    Exposed(PathBuf),
    /// A sealed value was made with another secret, for another purpose, or was altered.
    #[error("a sealed value does not open with this installation's secret")]
    Sealed,
}

/// Keys of this installation, each derived from one secret for one purpose.
#[derive(Clone)]
pub struct Secrets {
    root: hmac::Key,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Reads the secret from `path`, or makes one there, readable by its owner only.
    ///
    /// Two processes that start at once end with the same secret: the file is made whole under
    /// another name and linked into place, and the one that comes second reads the first's.
    pub fn load_or_create(path: &Path, random: &dyn Random) -> Result<Self, SecretsError> {
        match Self::load(path) {
            Err(SecretsError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let mut secret = Zeroizing::new([0u8; SECRET_LEN]);
        random.fill(&mut *secret);
        create(path, &hex::encode(*secret), random).map_err(|source| file_error(path, source))?;
        Self::load(path)
    }

    /// Reads the secret from `path`.
    pub fn load(path: &Path) -> Result<Self, SecretsError> {
        let mut text = Zeroizing::new(String::new());
        let mut file = fs::File::open(path).map_err(|source| file_error(path, source))?;
        let mode = file
            .metadata()
            .map_err(|source| file_error(path, source))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(SecretsError::Exposed(path.to_owned()));
        }
        file.read_to_string(&mut text)
            .map_err(|source| file_error(path, source))?;
        let bytes = Zeroizing::new(
            hex::decode(text.trim()).map_err(|_| SecretsError::Malformed(path.to_owned()))?,
        );
        if bytes.len() != SECRET_LEN {
            return Err(SecretsError::Malformed(path.to_owned()));
        }
        Ok(Self::from_bytes(&bytes))
    }

    /// Takes the secret as it is; for tests and for callers that hold it already.
    pub fn from_bytes(secret: &[u8]) -> Self {
        Self {
            root: hmac::Key::new(hmac::HMAC_SHA256, secret),
        }
    }

    /// The tag that proves `message` was written by this installation for `purpose`.
    pub fn tag(&self, purpose: &str, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.key(purpose), message).as_ref().to_vec()
    }

    /// Compares a tag in constant time.
    pub fn is_tagged(&self, purpose: &str, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.key(purpose), message, tag).is_ok()
    }

    /// Encrypts and authenticates `plain` for `purpose` (AES-256-GCM, random nonce in front).
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, SecretsError> {
        let key = self.sealing_key(purpose)?;
        let mut sealed = plain.to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut sealed)
            .map_err(|_| SecretsError::Sealed)?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut sealed);
        Ok(whole)
    }

    /// Opens what [`Secrets::seal`] closed for the same purpose.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecretsError> {
        let key = self.sealing_key(purpose)?;
        let (nonce, rest) = sealed
            .split_at_checked(NONCE_LEN)
            .ok_or(SecretsError::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SecretsError::Sealed)?;
        let mut rest = Zeroizing::new(rest.to_vec());
        let plain = key
            .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut rest)
            .map_err(|_| SecretsError::Sealed)?;
        Ok(Zeroizing::new(plain.to_vec()))
    }

    fn key(&self, purpose: &str) -> hmac::Key {
        hmac::Key::new(
            hmac::HMAC_SHA256,
            hmac::sign(&self.root, purpose.as_bytes()).as_ref(),
        )
    }

    fn sealing_key(&self, purpose: &str) -> Result<RandomizedNonceKey, SecretsError> {
        let derived = hmac::sign(&self.root, format!("seal:{purpose}").as_bytes());
        RandomizedNonceKey::new(&AES_256_GCM, derived.as_ref()).map_err(|_| SecretsError::Sealed)
    }
}

fn file_error(path: &Path, source: io::Error) -> SecretsError {
    SecretsError::File {
        path: path.to_owned(),
        source,
    }
}

/// Writes `text` durably to `path`, unless a file is there already.
fn create(path: &Path, text: &str, random: &dyn Random) -> io::Result<()> {
    let mut suffix = [0u8; 8];
    random.fill(&mut suffix);
    let draft = path.with_extension(format!("draft-{}", hex::encode(suffix)));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    })();
    // The draft is of no use to anyone, whether the link was made or not.
    let _ = fs::remove_file(&draft);
    written?;
    match path.parent() {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;

    #[test]
    fn the_secret_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let first = Secrets::load_or_create(&path, &SystemRandom).unwrap();
        let second = Secrets::load_or_create(&path, &SystemRandom).unwrap();
        assert_eq!(first.tag("a", b"x"), second.tag("a", b"x"));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            Secrets::load(&path),
            Err(SecretsError::Exposed(_))
        ));
    }

    #[test]
    fn what_is_sealed_opens_only_whole_and_for_its_purpose() {
        let secrets = Secrets::from_bytes(&[7; SECRET_LEN]);
        let mut sealed = secrets.seal("key", b"words").unwrap();
        assert_eq!(&*secrets.open("key", &sealed).unwrap(), b"words");
        assert!(secrets.open("other", &sealed).is_err());
        assert!(
            Secrets::from_bytes(&[8; SECRET_LEN])
                .open("key", &sealed)
                .is_err()
        );
        sealed[20] ^= 1;
        assert!(secrets.open("key", &sealed).is_err());
        assert!(secrets.open("key", b"short").is_err());
    }

    #[test]
    fn tags_hold_for_one_purpose_only() {
        let secrets = Secrets::from_bytes(&[7; SECRET_LEN]);
        let tag = secrets.tag("cursor", b"m");
        assert!(secrets.is_tagged("cursor", b"m", &tag));
        assert!(!secrets.is_tagged("upload", b"m", &tag));
        assert!(!secrets.is_tagged("cursor", b"n", &tag));
    }
}
