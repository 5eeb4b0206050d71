//! Certificates from files, read again when they change.
//!
//! A new pair holds for new connections; those that are open go on with the old one. A pair that
//! cannot be used, as when a tool has replaced one file and not yet the other, is logged once and
//! the old one kept.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsFiles;
use crate::lifecycle::{Lifecycle, Phase};

/// How often the files are checked.
const INTERVAL: Duration = Duration::from_secs(5);

/// What can be wrong with a pair of files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file has not what it should have.
    #[error("{path} has no usable {what} in PEM form: {error}", path = path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// A certificate or a private key.
        what: &'static str,
        /// Why.
        error: rustls_pki_types::pem::Error,
    },
    /// The two do not belong together, or the key is of an unknown kind.
    #[error("{certificate} and {key} cannot be used together: {error}", certificate = files.certificate_file.display(), key = files.key_file.display())]
    Pair {
        /// The files.
        files: Box<TlsFiles>,
        /// Why.
        error: rustls::Error,
    },
    /// The protocol versions could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// What reading the files again came to.
#[derive(Debug)]
pub enum ReloadOutcome {
    /// They are as they were, or as they were when they were found broken.
    Unchanged,
    /// A new pair is in use.
    Renewed,
    /// They changed and cannot be used.
    Broken(TlsError),
}

/// The bytes of both files.
#[derive(PartialEq, Eq)]
struct FileContents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate with its key, as the files had them when they could last be used.
pub struct Certificate {
    files: TlsFiles,
    current: ArcSwap<CertifiedKey>,
    /// What was read last, used or not.
    seen: Mutex<Option<FileContents>>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificate")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads the files for the first time.
    pub fn load(files: &TlsFiles) -> Result<Arc<Self>, TlsError> {
        let content = read(files)?;
        let pair = pair(files, &content)?;
        Ok(Arc::new(Self {
            files: files.clone(),
            current: ArcSwap::from_pointee(pair),
            seen: Mutex::new(Some(content)),
        }))
    }

    /// Reads the files again. They are small and local; this blocks.
    pub fn refresh(&self) -> ReloadOutcome {
        let mut seen = self.seen.lock();
        let content = match read(&self.files) {
            Ok(content) => content,
            Err(error) => {
                // A file that is missing for a moment while it is replaced is logged once as well.
                return if seen.take().is_some() {
                    ReloadOutcome::Broken(error)
                } else {
                    ReloadOutcome::Unchanged
                };
            }
        };
        if seen.as_ref() == Some(&content) {
            return ReloadOutcome::Unchanged;
        }
        let result = pair(&self.files, &content);
        *seen = Some(content);
        match result {
            Ok(pair) => {
                self.current.store(Arc::new(pair));
                ReloadOutcome::Renewed
            }
            Err(error) => ReloadOutcome::Broken(error),
        }
    }

    /// The TLS settings of a listener with this certificate: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// The one implementation of cryptography that is built in.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn read(files: &TlsFiles) -> Result<FileContents, TlsError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| TlsError::Read {
            path: path.to_owned(),
            error,
        })
    };
    Ok(FileContents {
        certificate: read(&files.certificate_file)?,
        key: read(&files.key_file)?,
    })
}

fn pair(files: &TlsFiles, content: &FileContents) -> Result<CertifiedKey, TlsError> {
    let pem = |path: &Path, what, error| TlsError::Pem {
        path: path.to_owned(),
        what,
        error,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&content.certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| pem(&files.certificate_file, "certificate", error))?;
    if chain.is_empty() {
        let error = rustls_pki_types::pem::Error::NoItemsFound;
        return Err(pem(&files.certificate_file, "certificate", error));
    }
    let key = PrivateKeyDer::from_pem_slice(&content.key)
        .map_err(|error| pem(&files.key_file, "private key", error))?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| TlsError::Pair {
        files: Box::new(files.clone()),
        error,
    })
}

/// Reads all certificates again every few seconds, and at once when asked, until the process ends.
pub async fn watch(certificates: Vec<Arc<Certificate>>, lifecycle: Lifecycle) {
    if certificates.is_empty() {
        return;
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = lifecycle.reload_wanted() => {}
            () = lifecycle.reached(Phase::Closed) => return,
        }
        for certificate in &certificates {
            let certificate = Arc::clone(certificate);
            let refreshed = tokio::task::spawn_blocking(move || {
                (certificate.refresh(), certificate.files.clone())
            });
            match refreshed.await {
                Ok((ReloadOutcome::Renewed, files)) => {
                    tracing::info!(certificate = %files.certificate_file.display(), "a new certificate is in use");
                }
                Ok((ReloadOutcome::Broken(error), _)) => {
                    tracing::error!(%error, "the new certificate cannot be used; the old one stays in use");
                }
                Ok((ReloadOutcome::Unchanged, _)) | Err(_) => {}
            }
        }
    }
}
