//! What the registry declares to the kernel: its kinds of changes, its events, its kind of blob
//! owner, and its caches.

use seawall_kernel::Declarations;
use seawall_kernel::clearing::Clearing;
use seawall_kernel::events::EventDeclaration;

use crate::{acts, blob, changes, clear, events, manifest};

/// Everything that this crate declares.
pub fn declarations() -> Declarations {
    Declarations::new("registry")
        .clears(Clearing::Repository(clear::clear))
        .changes(&[changes::TAG.declared(), changes::MANIFEST.declared()])
        .events(&[
            EventDeclaration::of::<events::ManifestPushed>(),
            EventDeclaration::of::<events::ManifestDeleted>(),
            EventDeclaration::of::<events::TagMoved>(),
            EventDeclaration::of::<events::TagDeleted>(),
            EventDeclaration::of::<events::BlobDeleted>(),
        ])
        .owners(&[manifest::OWNER])
        .repositories(&[acts::IMAGE])
        .caches(&[
            manifest::TAGS,
            manifest::MANIFESTS,
            blob::LINKS,
            blob::BYTES,
        ])
}
