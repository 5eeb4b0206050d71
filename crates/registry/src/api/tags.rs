//! `GET /v2/<name>/tags/list` (protocol §11.1–11.6).

use std::sync::Arc;

use http::{StatusCode, header};
use seawall_kernel::auth::ActKind;
use seawall_kernel::http::{Call, Response, Route};
use seawall_types::{Error, Lane, Result, link};
use serde::Serialize;

use super::answer::Answer;
use super::listing;
use crate::acts::Describe;
use crate::{Content, tag};

const TAGS: &str = "/v2/{name...}/tags/list";

pub(super) fn routes(content: &Arc<Content>) -> Vec<Route> {
    vec![
        Route::get("tags.list", TAGS)
            .lane(Lane::Listing)
            .act(ActKind::Describe)
            .summary("Lists the tags of a repository.")
            .query_param("n", "The most tags to list.", "100")
            .query_param("last", "The tag after which the list begins.", "v1")
            .to(content, list),
    ]
}

#[derive(Serialize)]
struct TagsBody<'a> {
    name: &'a str,
    tags: Vec<String>,
}

/// Tags in bytewise order. The cap is never below 1000, since old clients do not follow links.
async fn list(content: Arc<Content>, call: Call) -> Result<Response> {
    let name = call.name()?;
    let repo = call.op.repo::<Describe>(&name).await?;
    let page = listing::page(&call)?;
    let cap = content.config().listings.page_cap();
    let limit = page.limit(cap, cap);
    let last = page.last.as_deref().unwrap_or_default();
    let listed = tag::page(&call.op, &repo, last, limit).await?;
    let next = listed.names.last().filter(|_| listed.more).map(|last| {
        let path = format!("/v2/{}/tags/list", name.as_written());
        link::next(&path, &[("n", &limit.to_string()), ("last", last)])
    });
    let answer = Answer::new(StatusCode::OK)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-store");
    let body = TagsBody {
        name: name.as_written(),
        tags: listed.names,
    };
    let body = serde_json::to_vec(&body).map_err(Error::internal)?;
    answer.next_page(next).whole(call.method(), body)
}
