//! What came back, read whole, with the questions that tests ask of it.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use seawall_types::digest::Digest;
use serde_json::Value;

/// An answer, its body read to the end.
#[derive(Debug, Clone)]
pub struct Answer {
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

impl Answer {
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
        self
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
