//! Dialects: how errors are said below a prefix of paths.
//!
//! A handler returns a neutral error, and the dialect of the mount in which the route lies says it:
//! a status, a word and a body. What all dialects have in common is written here: the length,
//! advice when to come again, the challenge, the methods that are left. A dialect is brought by the
//! feature that mounts its prefix; the kernel knows plain text only.

use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::body::Body;
use seawall_types::{Error, Reason};

use super::Response;
use super::answer::Answer;

/// An error as a dialect says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedError {
    /// The status.
    pub status: StatusCode,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// A way to say errors. Implementations are one `match` over all reasons, so that a new reason does
/// not compile before every dialect has its word for it.
pub trait ErrorDialect: Send + Sync + 'static {
    /// Says `error`. The cause stays out of it: it is for the log.
    fn render(&self, error: &Error) -> RenderedError;

    /// Adds what every answer below the prefix has, errors or not.
    fn add_headers(&self, _headers: &mut HeaderMap) {}

    /// The challenge of a 401, given the one that the verifier of credentials offers for the route.
    fn challenge(&self, offered: Option<String>) -> Option<String> {
        offered
    }
}

/// A prefix of paths whose errors are said in one dialect.
#[derive(Clone, Copy)]
pub struct DialectMount {
    /// The prefix, without a slash at its end. It covers the path of that name and all below it.
    pub prefix: &'static str,
    /// The feature that brings it.
    pub feature: &'static str,
    /// The dialect.
    pub dialect: &'static dyn ErrorDialect,
}

impl DialectMount {
    /// Whether the path, or pattern, lies in it.
    pub(super) fn covers(&self, path: &str) -> bool {
        path.strip_prefix(self.prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// What an error's answer needs to know of the request.
pub(super) struct ErrorContext<'a> {
    pub(super) method: &'a Method,
    /// The methods that the path has, for a wrong one.
    pub(super) allow: Option<String>,
}

/// The answer that says `error` in `dialect`. `challenge` is asked for only where one is needed.
pub(super) fn error_answer(
    dialect: &dyn ErrorDialect,
    error: &Error,
    context: ErrorContext<'_>,
    challenge: impl FnOnce() -> Option<String>,
) -> Response {
    let said = dialect.render(error);
    let length = said.body.len();
    let body = if *context.method == Method::HEAD {
        Body::empty()
    } else {
        Body::from(said.body)
    };
    let mut answer = Answer::new(said.status)
        .number(header::CONTENT_LENGTH, length as u64)
        .value(
            header::CONTENT_TYPE,
            HeaderValue::from_static(said.content_type),
        )
        .value(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = retry_after(error) {
        answer = answer.number(header::RETRY_AFTER, u64::from(seconds));
    }
    if said.status == StatusCode::UNAUTHORIZED {
        let value = dialect.challenge(challenge());
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            answer = answer.value(header::WWW_AUTHENTICATE, value);
        }
    }
    if let Some(Ok(allow)) = context.allow.map(HeaderValue::try_from) {
        answer = answer.value(header::ALLOW, allow);
    }
    answer.fixed(body)
}

/// What an error advises, or what its kind usually needs.
fn retry_after(error: &Error) -> Option<u32> {
    error.retry_after.or(match error.reason {
        Reason::TooMany | Reason::Unavailable | Reason::DeadlinePassed => Some(5),
        Reason::StorageFull => Some(60),
        _ => None,
    })
}
