//! Manifests of a repository: reading, storing, deleting, forgetting (protocol §4, §9, §15).
//!
//! A manifest's bytes are stored as pushed and served as stored, never converted. What it refers to
//! is known from its edges, which have no foreign key: foreign layers, subjects and, where that is
//! set, entries of an index may name what is not here.
//!
//! The hard part is who waits for whom, on databases at READ COMMITTED. Every transaction locks in
//! this order, so that waiting never goes round in a circle (and where it does, the transaction is
//! run again):
//!
//! 0. the repository's row, shared, by a deletion; a push locks it with the next.
//! 1. `repository_blob` rows, shared by a push of a manifest that refers to them, exclusive by
//!    a deletion of one, which then asks [`refers_to`]. So a manifest and the deletion of its blob
//!    never both succeed, while pushes that share layers do not wait for each other.
//! 2. the `manifest` row: inserted or shared by its push, exclusive by its deletion.
//!    So a tag never points to a hidden manifest.
//! 3. `tag` rows in the order of their names, exclusive. So a tag moves from one digest to the next
//!    without a gap, and its history has one open row.
//!
//! A child is not locked: deleting one that an index refers to is allowed (§15.6), so it makes no
//! difference which of the two comes first.

mod cache;
mod check;
mod conditions;
mod delete;
mod forget;
mod hints;
mod new_manifest;
mod owner;
mod put;
pub(crate) mod store;
mod walk;

use seawall_meta::{Tx, args};
use seawall_types::ids::RepositoryId;
use seawall_types::media_type::MediaType;
use seawall_types::{Digest, Error, Reason, Result};

pub(crate) use cache::{CachedManifest, DigestKey, MANIFESTS, ManifestCache, TAGS, find};
pub(crate) use check::SizeMismatch;
pub(crate) use conditions::Conditions;
pub(crate) use delete::delete;
pub(crate) use forget::{FORGET_FIRST, ForgetManifests, forget};
pub(crate) use hints::Likely;
pub(crate) use new_manifest::NewManifest;
pub(crate) use owner::{OWNER, owner};
pub(crate) use put::{PutManifest, store_manifest};
pub use walk::{ManifestRow, walk_manifests};

seawall_types::codes! {
    /// How a manifest refers to something.
    EdgeKind {
        /// The config of an image.
        Config = 1, "config";
        /// A layer of an image.
        Layer = 2, "layer";
        /// An entry of an index: a manifest, or a blob (protocol §9.8).
        Child = 3, "child";
        /// What the manifest is about, which need not be here (protocol §9.7).
        Subject = 4, "subject";
    }
}

seawall_types::codes! {
    /// Whether a manifest can be pulled.
    ManifestState {
        /// It can be pulled.
        Live = 1, "live";
        /// It was deleted, and is kept for the time machine's window.
        Hidden = 2, "hidden";
    }
}

/// Whether a manifest that can be pulled from the repository refers to the blob.
///
/// The answer holds until the transaction ends if the caller has locked the repository's link to
/// the blob exclusively before.
pub(crate) async fn refers_to(
    tx: &mut Tx,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<bool> {
    Ok(tx
        .optional(&store::REFERS, args![repository, digest])
        .await?
        .is_some())
}

/// Takes at most `limit` rows of a kind from a repository that is going; says how many there were
/// to take. Its tags must be gone before.
pub(crate) async fn clear(tx: &mut Tx, repository: RepositoryId, limit: u32) -> Result<u64> {
    let edges = tx
        .execute(&store::CLEAR_EDGES, args![repository, limit])
        .await?;
    if edges > 0 {
        return Ok(edges);
    }
    Ok(tx.execute(&store::CLEAR, args![repository, limit]).await?)
}

pub(crate) fn unknown() -> Error {
    Error::new(Reason::ManifestUnknown, "no such manifest")
}

/// A media type as it is stored was checked when it was pushed.
pub(crate) fn stored_type(text: &str) -> Result<MediaType> {
    MediaType::parse(text).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_edge_has_a_number_of_its_own() {
        for kind in EdgeKind::ALL {
            assert_eq!(EdgeKind::from_code(kind.code()), Some(*kind));
        }
        assert!(EdgeKind::from_code(0).is_none());
    }
}
