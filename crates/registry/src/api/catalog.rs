//! `GET /v2/_catalog`: the repositories that the caller may read (protocol §11.7).
//!
//! Not part of the OCI specification, but of what clients know. An `n` above the cap is clamped and
//! the rest linked, as with tags: the other registries' 400 helps no client. A caller without any
//! token is challenged first, since docker's kin then fetch an anonymous one, which lists what is
//! public where the public may be pulled by all.
//!
//! Few pages are read at once ([`READS`]): whatever the listing of everything costs, it
//! takes no more connections from pulls than that.

use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, header};
use seawall_kernel::catalog::listing as catalog;
use seawall_kernel::http::{Call, Response, Route, RouteAccess};
use seawall_limit::{Limit, LimitError};
use seawall_types::{Error, Lane, Reason, Result, link};
use serde::Serialize;

use super::answer::Answer;
use super::{base, listing};
use crate::Content;
use crate::acts::IMAGE;

const CATALOG: &str = "/v2/_catalog";

/// Few pages at once, some callers in line, and the rest gets 429: reads that are long
/// and seldom wanted may be slow beside each other.
pub(crate) const READS: Limit = Limit::of(2).with_line(62, Duration::from_secs(5));
const RETRY_SECONDS: u32 = 5;

pub(super) fn routes(content: &Arc<Content>) -> Vec<Route> {
    vec![
        Route::get("catalog", CATALOG)
            .lane(Lane::Listing)
            .access(RouteAccess::Catalog)
            .summary("Lists the repositories that the caller may read.")
            .query_param("n", "The most names to list.", "100")
            .query_param(
                "last",
                "The name after which the list begins.",
                "library/hello",
            )
            .to(content, list),
    ]
}

#[derive(Serialize)]
struct CatalogBody {
    repositories: Vec<String>,
}

async fn list(content: Arc<Content>, call: Call) -> Result<Response> {
    admit(&call)?;
    let page = listing::page(&call)?;
    let cap = content.config().listings.page_cap();
    let limit = page.limit(cap, cap);
    let mut names = if limit == 0 {
        Vec::new()
    } else {
        let _permit = content.catalog_reads().acquire().await.map_err(busy)?;
        catalog::page(&call.op, IMAGE, page.last.as_deref(), limit + 1).await?
    };
    let more = names.len() > limit as usize;
    names.truncate(limit as usize);
    let repositories: Vec<String> = names
        .iter()
        .map(|name| name.as_canonical().to_owned())
        .collect();
    let last = repositories.last().filter(|_| more);
    let next = last.map(|last| link::next(CATALOG, &[("n", &limit.to_string()), ("last", last)]));
    let answer = Answer::new(StatusCode::OK)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CACHE_CONTROL, "no-store");
    let body = serde_json::to_vec(&CatalogBody { repositories }).map_err(Error::internal)?;
    answer.next_page(next).whole(call.method(), body)
}

fn busy(_: LimitError) -> Error {
    Error::new(Reason::TooMany, "too many listings at the moment").retry_after(RETRY_SECONDS)
}

fn admit(call: &Call) -> Result<()> {
    let actor = call.op.actor();
    if !base::is_welcome(actor) || !call.op.reads_public() {
        return Err(Error::new(
            Reason::Unauthenticated,
            "authentication required",
        ));
    }
    if !actor.ceiling.admits_catalog() {
        let words =
            "the token does not cover the catalog; ask for one with the scope that is named";
        return Err(Error::new(Reason::InsufficientScope, words));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use seawall_limit::Limiter;

    use super::*;

    #[tokio::test]
    async fn few_pages_are_read_some_callers_wait_and_the_rest_is_put_off() {
        let reads = Limiter::new("test", READS);
        let running = [reads.acquire().await, reads.acquire().await];
        let mut waiting: Vec<_> = (0..READS.line).map(|_| Box::pin(reads.acquire())).collect();
        for one in &mut waiting {
            assert!(futures::poll!(one).is_pending());
        }
        let refused = reads.acquire().await.map_err(busy).err().unwrap();
        assert_eq!(refused.reason, Reason::TooMany);
        drop(waiting);
        drop(running);
        assert!(reads.acquire().await.is_ok());
    }
}
