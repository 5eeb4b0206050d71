//! Tags and their whole history (protocol §9.15, §11, §15.1; decision 20).
//!
//! A tag points to a live manifest, always: it is set in the transaction that stores or shares the
//! manifest, and deleted in the one that hides it. Every interval in which a tag pointed to a
//! digest is a row of history; the tag knows its open one. A deletion is a row, too, one without
//! duration, so that history says who deleted and when.

mod delete;
mod list;
mod set;
pub(crate) mod store;

use seawall_kernel::Op;
use seawall_meta::{Args, Tx, args};
use seawall_types::ids::RepositoryId;
use seawall_types::{Digest, Error, Reason, Result};

#[cfg(test)]
pub(crate) use delete::MOST_TAKEN;
pub(crate) use delete::{
    DeletedTags, UntagManifest, delete, delete_of, is_going, untag, untag_job,
};
pub(crate) use list::page;
pub(crate) use set::{TagUpdate, UpdatedTag, set};

seawall_types::codes! {
    /// Why a row of a tag's history is there.
    HistoryCause {
        /// A push set or moved the tag.
        Pushed = 1, "pushed";
        /// The tag was deleted; the row has no duration.
        Deleted = 2, "deleted";
        /// The manifest was deleted, and the tag with it; the row has no duration.
        ManifestDeleted = 3, "manifest_deleted";
    }
}

/// The tag of a repository and the digest it points to.
#[derive(Debug, Clone, Copy)]
struct TagPointer<'a> {
    repository: RepositoryId,
    tag: &'a str,
    digest: &'a Digest,
}

/// The answer to what would move or delete an immutable tag.
fn immutable() -> Error {
    Error::new(Reason::TagImmutable, "the tag is immutable")
}

/// The arguments of [`store::HISTORY_OPEN`] and [`store::HISTORY_MARK`].
fn history(op: &Op, spot: TagPointer<'_>, cause: HistoryCause) -> Args {
    let actor = op.actor();
    args![
        spot.repository,
        spot.tag,
        spot.digest,
        cause.code(),
        actor.principal(),
        actor.name(),
    ]
}

/// Takes at most `limit` tags or rows of history from a repository that is going; says how many
/// there were to take.
pub(crate) async fn clear(tx: &mut Tx, repository: RepositoryId, limit: u32) -> Result<u64> {
    let tags = tx.execute(&store::CLEAR, args![repository, limit]).await?;
    if tags > 0 {
        return Ok(tags);
    }
    Ok(tx
        .execute(&store::CLEAR_HISTORY, args![repository, limit])
        .await?)
}
