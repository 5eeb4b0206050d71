//! What the listings have in common: page parameters.

use seawall_kernel::http::Call;
use seawall_types::Result;
use seawall_types::page::Page;

/// The page that a request asks for (protocol §11.2, §11.3).
pub(super) fn page(call: &Call) -> Result<Page> {
    Ok(Page::parse(
        call.query().get("n"),
        call.query().get("last"),
    )?)
}
