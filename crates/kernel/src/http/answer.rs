//! Building answers: a status, headers that are checked, and a body that may be shared.
//!
//! Every crate that answers requests builds its answers here. An answer says nothing of any
//! protocol: what a protocol adds to HTTP's headers stands in the crate that speaks it.

use ::http::header::InvalidHeaderValue;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::body::Body;
use bytes::Bytes;
use seawall_types::{Error, Result};
use serde::Serialize;

use super::Response;

/// How many headers most answers have, the dispatcher's among them.
const TYPICAL: usize = 12;

/// An answer in the making. A value that is no header makes the answer an internal error when it is
/// finished, so that nothing unchecked ever leaves as a header (protocol §14.14).
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    failure: Option<InvalidHeaderValue>,
}

impl Answer {
    /// An answer with this status and no headers yet.
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::with_capacity(TYPICAL),
            failure: None,
        }
    }

    /// Sets a header.
    pub fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        match HeaderValue::try_from(value.as_ref()) {
            Ok(value) => drop(self.headers.insert(name, value)),
            Err(failure) => self.failure = Some(failure),
        }
        self
    }

    /// Sets a header to a value that was checked when it was made.
    pub fn value(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets a header to a number.
    pub fn number(mut self, name: HeaderName, value: u64) -> Self {
        self.headers.insert(name, HeaderValue::from(value));
        self
    }

    /// Sets the `Link` to the next page, if there is one.
    pub fn next_page(self, link: Option<String>) -> Self {
        match link {
            Some(link) => self.header(header::LINK, link),
            None => self,
        }
    }

    /// The headers alone, for an error that is rendered elsewhere.
    pub fn into_headers(self) -> Result<HeaderMap> {
        match self.failure {
            None => Ok(self.headers),
            Some(failure) => Err(Error::internal(failure)),
        }
    }

    /// The answer with this body. `Bytes` are shared between answers, never copied.
    pub fn body(self, body: impl Into<Body>) -> Result<Response> {
        match self.failure {
            None => Ok(self.fixed(body)),
            Some(failure) => Err(Error::internal(failure)),
        }
    }

    /// The answer with this body, where no header came from elsewhere: a value that is no header is
    /// left out.
    pub fn fixed(self, body: impl Into<Body>) -> Response {
        let mut response = Response::new(body.into());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    /// The answer to a request of `method` with this body and its length; a HEAD gets the length
    /// alone (protocol §4.4).
    pub fn whole(self, method: &Method, body: impl Into<Bytes>) -> Result<Response> {
        let body = body.into();
        let answer = self.number(header::CONTENT_LENGTH, body.len() as u64);
        if method == Method::HEAD {
            answer.body(Body::empty())
        } else {
            answer.body(body)
        }
    }

    /// The answer with `value` as JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Response> {
        let body = serde_json::to_vec(value).map_err(Error::internal)?;
        let kind = HeaderValue::from_static("application/json");
        self.value(header::CONTENT_TYPE, kind).body(body)
    }

    /// The answer without a body. Where HTTP lets it, it says so: `Content-Length: 0`.
    pub fn empty(self) -> Result<Response> {
        let bodiless = matches!(
            self.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
        let answer = if bodiless {
            self
        } else {
            self.number(header::CONTENT_LENGTH, 0)
        };
        answer.body(Body::empty())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn an_odd_header_value_never_leaves() {
        let odd = Answer::new(StatusCode::OK)
            .header(header::LOCATION, "/v2/\r\nx: y")
            .empty();
        assert!(odd.is_err());
    }

    #[tokio::test]
    async fn a_body_is_shared_and_a_head_gets_its_length_alone() {
        let content = Bytes::from_static(b"content");
        for method in [Method::GET, Method::HEAD] {
            let answer = Answer::new(StatusCode::OK).whole(&method, content.clone());
            let (head, body) = answer.unwrap().into_parts();
            assert_eq!(head.headers[header::CONTENT_LENGTH], "7");
            let body = body.collect().await.unwrap().to_bytes();
            if method == Method::HEAD {
                assert!(body.is_empty());
            } else {
                assert_eq!(body.as_ptr(), content.as_ptr(), "it was copied");
            }
        }
    }

    #[test]
    fn a_page_links_to_the_next_if_there_is_one() {
        let link = |link: Option<&str>| {
            let answer = Answer::new(StatusCode::OK).next_page(link.map(str::to_owned));
            let headers = answer.into_headers();
            headers.map(|headers| headers.get(header::LINK).cloned())
        };
        assert_eq!(link(None).unwrap(), None);
        assert_eq!(link(Some("</a>")).unwrap().unwrap(), "</a>");
        assert!(link(Some("</a>\r\nx: y")).is_err());
    }

    #[test]
    fn empty_answers_say_so_unless_they_have_no_body_by_nature() {
        let length = |status| {
            let answer = Answer::new(status).empty().unwrap();
            answer.headers().get(header::CONTENT_LENGTH).cloned()
        };
        assert_eq!(length(StatusCode::CREATED).unwrap(), "0");
        assert_eq!(length(StatusCode::NO_CONTENT), None);
        assert_eq!(length(StatusCode::NOT_MODIFIED), None);
    }
}
