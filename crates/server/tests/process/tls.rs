//! TLS: both protocols, and certificates that change under a running server.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use seawall_testkit::{ServerProcess, Site};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::site;

/// More than the files are looked at.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who signs certificates, and is believed by this client.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    roots: RootCertStore,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        Self { issuer, roots }
    }

    /// Puts a new pair where the server looks for it; says the certificate.
    fn issue(&self, site: &Site) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        site.write("key.pem", &key.serialize_pem());
        site.write("certificate.pem", &certificate.pem());
        certificate.der().to_vec()
    }

    async fn connect(&self, server: &ServerProcess, protocol: &[u8]) -> TlsStream<TcpStream> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = server.wire().connect().await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = timeout(PATIENCE, connecting).await.unwrap().unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
        stream
    }

    /// The certificate that a new connection is shown.
    async fn shown(&self, server: &ServerProcess) -> Vec<u8> {
        let stream = self.connect(server, b"http/1.1").await;
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }
}

async fn secure_site() -> (Site, Authority, Vec<u8>, ServerProcess) {
    let mut site = site().await;
    let authority = Authority::new();
    let certificate = authority.issue(&site);
    site.configure(
        "listeners:\n- address: \"127.0.0.1:0\"\n  tls: {certificate_file: certificate.pem, key_file: key.pem}\n\
         management: {address: \"127.0.0.1:0\"}\n",
    );
    let server = site.serve_with(&[]).await;
    (site, authority, certificate, server)
}

fn request() -> http::Request<Body> {
    http::Request::get("https://localhost/v2/")
        .header("host", "localhost")
        .body(Body::empty())
        .unwrap()
}

async fn is_the_challenge(response: http::Response<hyper::body::Incoming>) {
    assert_eq!(response.status(), 401);
    let challenge = response.headers()["www-authenticate"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        challenge.starts_with("Bearer realm=\"https://localhost/v2/auth\""),
        "{challenge}"
    );
    response.into_body().collect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_are_spoken_over_tls() {
    let (_site, authority, _, server) = secure_site().await;
    assert!(
        server
            .banner()
            .contains(&format!("listening on https://{}", server.address()))
    );
    let stream = TokioIo::new(authority.connect(&server, b"http/1.1").await);
    let (mut one, connection) = http1::handshake(stream).await.unwrap();
    let talk = async move { is_the_challenge(one.send_request(request()).await.unwrap()).await };
    drop(futures::future::join(talk, connection).await);

    let stream = TokioIo::new(authority.connect(&server, b"h2").await);
    let (two, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    let talk = async move {
        // Several requests at once over the one connection.
        let asked = (0..8).map(|_| {
            let mut two = two.clone();
            async move { is_the_challenge(two.send_request(request()).await.unwrap()).await }
        });
        futures::future::join_all(asked).await;
    };
    drop(futures::future::join(talk, connection).await);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_to_new_connections_only() {
    let (site, authority, first, server) = secure_site().await;
    let mut open = authority.connect(&server, b"http/1.1").await;
    assert_eq!(authority.shown(&server).await, first);
    let second = authority.issue(&site);
    // Nobody tells the server; it looks every few seconds.
    let seen = timeout(PATIENCE, async {
        while authority.shown(&server).await != second {
            sleep(Duration::from_millis(100)).await;
        }
    });
    seen.await.unwrap();
    open.write_all(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, open.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_pair_leaves_the_old_one_in_use_and_is_said() {
    let (site, authority, first, server) = secure_site().await;
    let other = KeyPair::generate().unwrap().serialize_pem();
    for broken in ["not a key", &other] {
        site.write("key.pem", broken);
        let before = server.log().matches("the old one stays in use").count();
        server.signal(Signal::HUP);
        let said = timeout(PATIENCE, async {
            while server.log().matches("the old one stays in use").count() == before {
                sleep(Duration::from_millis(20)).await;
            }
        });
        said.await.unwrap();
        assert_eq!(authority.shown(&server).await, first);
    }
    let line = server
        .log()
        .lines()
        .rfind(|line| line.contains("stays in use"))
        .unwrap()
        .to_owned();
    assert!(
        line.contains("\"level\":\"ERROR\"") && line.contains("key.pem"),
        "{line}"
    );
    assert!(!server.log().contains("PRIVATE KEY"));

    let second = authority.issue(&site);
    server.signal(Signal::HUP);
    server.logged("a new certificate is in use").await;
    assert_eq!(authority.shown(&server).await, second);
    server.stop().await;

    // At the start there is no old one to keep.
    site.write("key.pem", "not a key");
    let refused = site.run(&["serve"]).await.expect(1);
    assert!(
        refused.err.contains("key.pem has no usable private key"),
        "{refused:?}"
    );
}
