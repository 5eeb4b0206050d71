//! What came back, read whole, with the questions that tests ask of it.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use seawall_types::digest::Digest;
use serde_json::Value;

/// An answer, its body read to the end.
#[derive(Debug, Clone)]
pub struct TestResponse {
    /// What was asked, for messages.
    pub asked: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; what came before it broke, if it broke.
    pub body: Bytes,
    /// Whether the body came to its end.
    pub whole: bool,
}

impl TestResponse {
    /// Fails the test unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        let body = String::from_utf8_lossy(&self.body);
        let body: String = body.chars().take(600).collect();
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}: {body}\n{:?}",
            self.asked,
            self.headers
        );
        assert!(self.whole, "{}: the body broke", self.asked);
        self.sound();
        self
    }

    /// Fails the test unless the answer is one that HTTP and the protocol allow at all, whatever
    /// was asked for.
    #[track_caller]
    fn sound(&self) {
        let (method, path) = self.asked.split_once(' ').unwrap_or_default();
        let status = self.status.as_u16();
        let bodiless = method == "HEAD" || matches!(status, 204 | 304);
        assert!(!bodiless || self.body.is_empty(), "{self:?}");
        if let (Some(length), false) = (self.headers.get("content-length"), bodiless) {
            assert_eq!(*length, self.body.len().to_string(), "{self:?}");
        }
        assert!(!self.has("content-encoding"), "{self:?}");
        if !path.starts_with("/v2") {
            return;
        }
        let versions = self.headers.get_all("docker-distribution-api-version");
        assert_eq!(versions.iter().collect::<Vec<_>>(), ["registry/2.0"]);
        let challenges = self.headers.get_all("www-authenticate").iter().count();
        assert_eq!(challenges, usize::from(status == 401), "{self:?}");
        if status == 401 {
            self.sound_challenge();
        }
        if self.status.is_client_error() || self.status.is_server_error() {
            assert_eq!(self.has("allow"), status == 405, "{self:?}");
            assert!(self.has("retry-after") || !matches!(status, 429 | 503));
            assert_eq!(self.header("content-type"), "application/json", "{self:?}");
            assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
            if method != "HEAD" {
                self.sound_errors();
            }
        }
    }

    /// protocol §13.1: the words in this order, all quoted, none empty.
    #[track_caller]
    fn sound_challenge(&self) {
        let challenge = self.header("www-authenticate");
        let words = challenge.strip_prefix("Bearer ").expect("Bearer");
        assert!(!challenge.to_lowercase().contains("basic"), "{challenge}");
        let mut names = Vec::new();
        let mut rest = words;
        while let Some((name, after)) = rest.split_once("=\"") {
            let (value, after) = after.split_once('"').expect("a closing quote");
            assert!(!value.is_empty(), "{challenge}");
            assert!(name != "realm" || !value.contains('?'), "{challenge}");
            names.push(name);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        assert_eq!(rest, "", "{challenge}");
        let known = ["realm", "service", "scope", "error"];
        let expected: Vec<_> = known.into_iter().filter(|n| names.contains(n)).collect();
        assert_eq!(names, expected, "{challenge}");
        assert!(names.starts_with(&["realm", "service"]), "{challenge}");
    }

    /// protocol §3.1: a list of errors, each with a code of capitals.
    #[track_caller]
    fn sound_errors(&self) {
        let body = self.json();
        let errors = body["errors"].as_array().expect("a list of errors");
        assert!(!errors.is_empty(), "{body}");
        for error in errors {
            let code = error["code"].as_str().expect("a code");
            let capital = |c: char| c.is_ascii_uppercase() || c == '_';
            assert!(!code.is_empty() && code.chars().all(capital), "{body}");
            assert!(error["message"].is_string(), "{body}");
        }
    }

    /// Fails the test unless it is this status with the distribution specification's error body.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        if !answer.asked.starts_with("HEAD") {
            assert_eq!(
                answer.header("content-type"),
                "application/json",
                "{}",
                answer.asked
            );
            assert_eq!(answer.code(), code, "{}: {:?}", answer.asked, answer.body);
        }
        answer
    }

    /// A header's text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Whether a header is there.
    pub fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{}: {error}: {:?}", self.asked, self.body),
        }
    }

    /// The first error's code.
    #[track_caller]
    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The digest in `Docker-Content-Digest`.
    #[track_caller]
    pub fn digest(&self) -> Digest {
        self.header("docker-content-digest")
            .parse()
            .expect("a digest in the answer")
    }

    /// The target of the `Link` to the next page, if there is one.
    pub fn next(&self) -> Option<String> {
        let link = self.header("link");
        let target = link.strip_prefix('<')?.split('>').next()?;
        assert!(link.ends_with("rel=\"next\""), "{link}");
        Some(target.to_owned())
    }
}
