//! Checks of the parsers that stand in the crates which need them: targets of requests, forms,
//! headers of proxies, tokens, what a row keeps of an upload, the configuration.

pub(crate) mod kept;
pub(crate) mod proxy;
pub(crate) mod target;
pub(crate) mod token;
