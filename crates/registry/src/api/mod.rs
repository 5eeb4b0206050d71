//! The protocol over HTTP, one file per resource: parse, call the rules, answer. No SQL, no policy.

mod answer;
mod base;
mod blobs;
mod catalog;
mod listing;
mod manifests;
mod multipart;
mod pushed;
mod referrers;
mod tags;
#[cfg(test)]
mod tests;
mod turns;
mod uploads;

use std::sync::Arc;

use seawall_kernel::http::{Call, Route};

use crate::Content;
pub(crate) use turns::Turns;

/// Every route of the protocol. Where two patterns match, the earlier route counts, so what is more
/// literal stands first.
pub(crate) fn routes(content: &Arc<Content>) -> Vec<Route> {
    [
        base::routes(content),
        catalog::routes(content),
        uploads::routes(content),
        blobs::routes(content),
        tags::routes(content),
        referrers::routes(content),
        manifests::routes(content),
    ]
    .concat()
}

/// A handler with its own hold on the registry.
fn bind<F, R>(content: &Arc<Content>, handle: F) -> impl Fn(Call) -> R + Send + Sync + 'static
where
    F: Fn(Arc<Content>, Call) -> R + Send + Sync + 'static,
{
    let content = Arc::clone(content);
    move |call| handle(Arc::clone(&content), call)
}
