//! Manifests as owners of blobs: what a manifest refers to stays as long as the manifest does.

use seawall_kernel::blobs::{Owner, OwnerKind};
use seawall_types::Digest;
use seawall_types::ids::{NamespaceId, RepositoryId};

/// A manifest of a repository; its key is the manifest's digest.
pub(crate) const OWNER: OwnerKind = OwnerKind::new(2, "manifest");

/// The manifest `digest` of a repository, as the owner of blobs.
pub(crate) fn owner(namespace: NamespaceId, repository: RepositoryId, digest: &Digest) -> Owner {
    Owner {
        namespace,
        repository,
        kind: OWNER,
        key: digest.to_bytes(),
    }
}
