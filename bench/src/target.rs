//! A registry under measurement: where it is and how one is let in.
//!
//! How to authorize is asked of the registry itself (`GET /v2/`), as clients do, so Seawall and any
//! other registry are spoken to in the same way.

use std::fmt;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Method, StatusCode, Uri};
use serde_json::Value;

use crate::client::PreparedRequest;
use crate::connection::{Connection, Dialer};
use crate::rows::Protocol;
use crate::tls::TlsEndpoint;

/// The repositories of the benchmark lie below this name, if a peer's address says no other.
const PREFIX: &str = "bench";

/// Which registry it is: the goals differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RegistryProduct {
    /// Ours.
    Seawall,
    /// Debian's docker-registry.
    Two,
    /// Distribution 3.
    Three,
    /// One that is given by its address.
    Other,
}

/// A name and a password.
#[derive(Clone)]
pub(crate) struct Login {
    /// The name.
    pub(crate) user: String,
    /// The password.
    pub(crate) password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.user)
    }
}

impl Login {
    fn header(&self) -> Result<HeaderValue> {
        let pair = STANDARD.encode(format!("{}:{}", self.user, self.password));
        Ok(HeaderValue::from_str(&format!("Basic {pair}"))?)
    }
}

/// Where tokens come from.
#[derive(Clone, Debug)]
struct Realm {
    host: String,
    path: String,
    service: String,
}

/// A registry that answers.
#[derive(Clone, Debug)]
pub(crate) struct BenchTarget {
    /// What it is called in the table.
    pub(crate) name: String,
    /// Which it is.
    pub(crate) kind: RegistryProduct,
    /// The version that it says it has.
    pub(crate) version: String,
    /// `address:port`.
    pub(crate) host: String,
    /// Its process, if it was started here.
    pub(crate) pid: Option<u32>,
    /// Where it speaks TLS, if it was started here with a certificate.
    pub(crate) secure: Option<TlsEndpoint>,
    prefix: String,
    login: Option<Login>,
    realm: Option<Realm>,
}

impl BenchTarget {
    /// A registry at this address; [`BenchTarget::discover`] finds out the rest.
    pub(crate) fn new(name: &str, kind: RegistryProduct, host: &str, login: Option<Login>) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            version: "?".to_owned(),
            host: host.to_owned(),
            pid: None,
            secure: None,
            prefix: PREFIX.to_owned(),
            login,
            realm: None,
        }
    }

    /// Reads `name=http://user:password@host:port/prefix`; user, port and prefix may be missing.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (name, url) = text.split_once('=').context("a peer is name=url")?;
        let rest = url
            .strip_prefix("http://")
            .context("a peer's address begins with http:// (TLS is not supported)")?;
        let (place, prefix) = rest.split_once('/').unwrap_or((rest, PREFIX));
        let (login, host) = match place.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, place),
        };
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            Login {
                user: user.to_owned(),
                password: password.to_owned(),
            }
        });
        ensure!(!name.is_empty() && !host.is_empty(), "a peer is name=url");
        let mut target = Self::new(name, RegistryProduct::Other, host, login);
        if !host.contains(':') {
            target.host.push_str(":80");
        }
        let prefix = prefix.trim_matches('/');
        if !prefix.is_empty() {
            prefix.clone_into(&mut target.prefix);
        }
        Ok(target)
    }

    /// Asks how one is let in.
    pub(crate) async fn discover(&mut self) -> Result<()> {
        let ask = PreparedRequest::new(Method::GET, &self.host, "/v2/")?;
        let answer = Connection::open(&self.host).await?.send(&ask, true).await?;
        if answer.status == StatusCode::OK {
            return Ok(());
        }
        let mut challenges = answer.headers.all(&WWW_AUTHENTICATE);
        let bearer = challenges.find(|value| value.starts_with("Bearer "));
        if let Some(challenge) = bearer {
            self.realm = Some(realm(challenge)?);
        } else {
            ensure!(
                answer.status == StatusCode::UNAUTHORIZED && self.login.is_some(),
                "GET /v2/ answered {}",
                answer.status
            );
        }
        Ok(())
    }

    /// The same registry for another user.
    pub(crate) fn seen_by(&self, login: Login) -> Self {
        let mut other = self.clone();
        other.login = Some(login);
        other
    }

    /// The way in over this transport; `None` if it is not spoken there.
    pub(crate) fn door(&self, way: Protocol) -> Result<Option<Dialer>> {
        match (way, &self.secure) {
            (Protocol::Plain, _) => Ok(Some(Dialer::plain(&self.host))),
            (_, None) => Ok(None),
            (Protocol::Tls, Some(secure)) => secure.one().map(Some),
            (Protocol::Two, Some(secure)) => secure.two().map(Some),
        }
    }

    /// The full name of a repository of the benchmark.
    pub(crate) fn repository(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    /// A request to it.
    pub(crate) fn ask(&self, method: Method, path: impl Into<String>) -> Result<PreparedRequest> {
        PreparedRequest::new(method, &self.host, path)
    }

    /// The host and the request for a token with these scopes, if it gives tokens.
    pub(crate) fn token_request(
        &self,
        scopes: &[String],
    ) -> Result<Option<(String, PreparedRequest)>> {
        let Some(realm) = &self.realm else {
            return Ok(None);
        };
        let mut path = format!("{}?service={}", realm.path, realm.service);
        for scope in scopes {
            path.push_str("&scope=");
            path.push_str(scope);
        }
        let login = self.login.as_ref().map(Login::header).transpose()?;
        let ask = PreparedRequest::new(Method::GET, &realm.host, path)?.authorized(login.as_ref());
        Ok(Some((realm.host.clone(), ask)))
    }

    /// The `Authorization` that allows these scopes, such as `repository:a/b:pull`; none where
    /// none is needed.
    pub(crate) async fn ticket(&self, scopes: &[String]) -> Result<Option<HeaderValue>> {
        let Some((host, ask)) = self.token_request(scopes)? else {
            return self.login.as_ref().map(Login::header).transpose();
        };
        let answer = Connection::open(&host).await?.send(&ask, true).await?;
        let answer = answer.expect_status(StatusCode::OK)?;
        let document: Value = serde_json::from_slice(&answer.body)?;
        let token = ["token", "access_token"]
            .iter()
            .find_map(|key| document.get(key)?.as_str());
        let Some(token) = token else {
            bail!("the token service gave no token");
        };
        Ok(Some(HeaderValue::from_str(&format!("Bearer {token}"))?))
    }

    /// A token for these actions in one repository, given by its full name.
    pub(crate) async fn ticket_for(
        &self,
        repository: &str,
        actions: &str,
    ) -> Result<Option<HeaderValue>> {
        self.ticket(&[scope(repository, actions)]).await
    }
}

/// The scope of these actions in a repository, given by its full name.
pub(crate) fn scope(repository: &str, actions: &str) -> String {
    format!("repository:{repository}:{actions}")
}

/// Reads `Bearer realm="…",service="…"`.
fn realm(challenge: &str) -> Result<Realm> {
    let field = |name: &str| {
        let at = challenge.find(&format!("{name}=\""))? + name.len() + 2;
        challenge.get(at..)?.split('"').next()
    };
    let address: Uri = field("realm")
        .context("a challenge without realm")?
        .parse()?;
    ensure!(
        address.scheme_str() == Some("http"),
        "tokens over TLS are not supported"
    );
    let host = address.authority().context("a realm without host")?;
    Ok(Realm {
        host: match host.port() {
            Some(_) => host.to_string(),
            None => format!("{host}:80"),
        },
        path: address.path().to_owned(),
        service: field("service").unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_name_and_an_address() {
        let peer = BenchTarget::parse("quay=http://ann:s3:cret@10.0.0.1:8080/team/x").unwrap();
        assert_eq!(
            (peer.name.as_str(), peer.kind),
            ("quay", RegistryProduct::Other)
        );
        assert_eq!(peer.host, "10.0.0.1:8080");
        assert_eq!(peer.repository("a"), "team/x/a");
        let login = peer.login.unwrap();
        assert_eq!(
            (login.user.as_str(), login.password.as_str()),
            ("ann", "s3:cret")
        );
        let bare = BenchTarget::parse("zot=http://zot").unwrap();
        assert_eq!(
            (bare.host.as_str(), bare.repository("a").as_str()),
            ("zot:80", "bench/a")
        );
        assert!(bare.login.is_none());
        for wrong in ["zot", "zot=https://zot", "=http://zot", "zot=http://"] {
            assert!(BenchTarget::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_challenge_names_realm_and_service() {
        let text = "Bearer realm=\"http://127.0.0.1:5000/v2/auth\",service=\"127.0.0.1:5000\"";
        let found = realm(text).unwrap();
        assert_eq!(found.host, "127.0.0.1:5000");
        assert_eq!(
            (found.path.as_str(), found.service.as_str()),
            ("/v2/auth", "127.0.0.1:5000")
        );
        assert!(realm("Bearer service=\"x\"").is_err());
        assert!(realm("Bearer realm=\"https://x/token\"").is_err());
    }
}
