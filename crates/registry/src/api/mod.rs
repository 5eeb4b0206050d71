//! The protocol over HTTP, one file per resource: parse, call the rules, answer. No SQL, no policy.

mod answer;
mod base;
mod blobs;
mod catalog;
mod dialect;
mod listing;
mod manifests;
mod multipart;
mod pushed;
mod referrers;
mod tags;
#[cfg(test)]
mod tests;
mod uploads;

use std::sync::Arc;

use seawall_kernel::http::Route;

use crate::Content;
pub(crate) use catalog::READS as CATALOG_READS;
pub use dialect::OCI;

/// The digest of no bytes, as an example in documents.
const EXAMPLE_DIGEST: &str =
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Every route of the protocol.
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
