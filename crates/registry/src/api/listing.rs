//! What the listings have in common: page parameters, the link to the next page, bodies that a HEAD
//! does not get.

use axum::body::Body;
use bytes::Bytes;
use http::{Method, header};
use seawall_kernel::http::{Call, Response};
use seawall_types::Result;
use seawall_types::page::Page;

use super::answer::Answer;

/// The page that a request asks for (distribution §11.2, §11.3).
pub(super) fn page(call: &Call) -> Result<Page> {
    Ok(Page::parse(
        call.query().get("n"),
        call.query().get("last"),
    )?)
}

/// The answer with this body, which a HEAD hears only the length of (distribution §4.4).
pub(super) fn body(call: &Call, answer: Answer, body: Bytes) -> Result<Response> {
    let answer = answer.number(header::CONTENT_LENGTH, body.len() as u64);
    if call.method() == Method::HEAD {
        answer.body(Body::empty())
    } else {
        answer.body(body)
    }
}

/// The answer with the link to the page after `last`, if there is one.
pub(super) fn linked(answer: Answer, next: Option<String>) -> Answer {
    match next {
        Some(link) => answer.header(header::LINK, link),
        None => answer,
    }
}
