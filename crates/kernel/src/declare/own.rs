//! What the kernel itself declares, as every other crate does.

use super::Declarations;
use crate::blobs;
use crate::catalog::{FACTS, events};
use crate::changes;

/// The kernel's own declarations; `Kernel::open` adds them to those of the other crates.
pub(crate) fn declarations() -> Declarations {
    Declarations::new("kernel")
        .changes(&[
            changes::NAMESPACE_MADE.declared(),
            changes::NAMESPACE.declared(),
            changes::REPOSITORY_MADE.declared(),
            changes::REPOSITORY.declared(),
            changes::GRANT.declared(),
            changes::PRINCIPAL.declared(),
            blobs::BLOB.declared(),
        ])
        .events(events::ALL)
        .owners(&[blobs::LEASE])
        .caches(&[FACTS])
}
