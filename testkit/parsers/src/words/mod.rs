//! Checks of the parsers in `types`: what arrives in paths, headers and manifests.

pub(crate) mod header;
pub(crate) mod manifest;
pub(crate) mod name;
pub(crate) mod scope;
mod tree;
