//! A certificate for one run, and clients that believe in it and in no other.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

use crate::connection::{Dialer, Transport};

/// The names of the files for Seawall's configuration.
pub(crate) const CERTIFICATE: &str = "certificate.pem";
/// The key's.
pub(crate) const KEY: &str = "key.pem";

/// An address where TLS is spoken, with a certificate that was made here.
#[derive(Clone, Debug)]
pub(crate) struct TlsEndpoint {
    address: String,
    certificate: CertificateDer<'static>,
}

impl TlsEndpoint {
    /// Makes a certificate for 127.0.0.1 and writes it and its key into `folder`.
    pub(crate) fn prepare(folder: &Path, address: &str) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        fs::write(folder.join(CERTIFICATE), made.cert.pem())?;
        fs::write(folder.join(KEY), made.signing_key.serialize_pem())?;
        Ok(Self {
            address: address.to_owned(),
            certificate: made.cert.der().clone(),
        })
    }

    /// The way in for HTTP/1.1 over TLS.
    pub(crate) fn one(&self) -> Result<Dialer> {
        Ok(self.door(Transport::Tls(self.config(b"http/1.1")?)))
    }

    /// The way in for HTTP/2 over TLS.
    pub(crate) fn two(&self) -> Result<Dialer> {
        Ok(self.door(Transport::Two(self.config(b"h2")?)))
    }

    fn door(&self, transport: Transport) -> Dialer {
        Dialer {
            address: self.address.clone(),
            transport,
            source: None,
        }
    }

    fn config(&self, protocol: &[u8]) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Arc::new(config))
    }
}
