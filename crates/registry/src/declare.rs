//! What the registry declares to the kernel: its kinds of changes and of blob owners, and its caches.

use seawall_kernel::Declarations;

use crate::{blob, changes, manifest};

/// Everything that this crate declares.
pub fn declarations() -> Declarations {
    Declarations::new("registry")
        .changes(&[changes::TAG.declared(), changes::MANIFEST.declared()])
        .owners(&[manifest::OWNER])
        .caches(&[
            manifest::TAGS,
            manifest::MANIFESTS,
            blob::LINKS,
            blob::BYTES,
        ])
}
