//! Blobs: their rows, the places of their bytes, and the references that keep them alive.
//!
//! What is seen and what is kept are two things: a `blob_ref` row keeps a blob, whether or not a
//! repository shows it. Everyone who keeps a blob writes that row by [`keep`], in the transaction
//! that needs it, so that garbage collection needs to know no feature.
//!
//! A blob's row says where its bytes are: nothing is derived from its digest, and one row is one
//! statement less for every push than a table of places would cost.

mod keeper;
pub mod store;

use std::time::Duration;

use seawall_blob::{BlobPlace, StoredBlob};
use seawall_meta::{Row, Session, Tx, args, list};
use seawall_types::digest::Digest;
use seawall_types::ids::{NamespaceId, RepositoryId};
use seawall_types::{Error, Reason, Result};

pub use keeper::{BlobKeeper, KeptBlob, KeptBlobPage, PageCursor};

use crate::changes::{self, ByIdAndName, ChangeKind};
use crate::declare::member::Member;

/// A repository serves a blob no more: (repository, 0, digest); or its bytes are elsewhere for all
/// repositories: (0, 0, digest).
pub const BLOB: ChangeKind<ByIdAndName> = ChangeKind::new(10, "blob");

/// A promise to a pusher, until its time has passed.
pub const LEASE: OwnerKind = OwnerKind::new(1, "lease");

/// What kind of thing keeps a blob alive, as the crate that owns such things declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerKind {
    number: i64,
    name: &'static str,
}

impl OwnerKind {
    /// The kind stored as `number`, which is never reused, and called `name`.
    pub const fn new(number: i64, name: &'static str) -> Self {
        Self { number, name }
    }

    /// The number under which it is stored.
    pub const fn number(self) -> i64 {
        self.number
    }
}

impl Member for OwnerKind {
    const SET: &'static str = "blob owner";

    fn number(&self) -> Option<i64> {
        Some(self.number)
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

/// Who keeps a blob alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The namespace whose account it is on.
    pub namespace: NamespaceId,
    /// The repository.
    pub repository: RepositoryId,
    /// What kind of thing.
    pub kind: OwnerKind,
    /// Which one.
    pub key: Vec<u8>,
}

impl Owner {
    /// The promise to a pusher that a blob stays until its manifest comes.
    pub fn lease(namespace: NamespaceId, repository: RepositoryId) -> Self {
        Self {
            namespace,
            repository,
            kind: LEASE,
            key: Vec::new(),
        }
    }
}

/// A blob as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobFacts {
    /// Its length in bytes.
    pub size: u64,
    /// Where its bytes are.
    pub place: BlobPlace,
}

/// What [`record`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedBlob {
    /// Where the bytes of the digest are.
    pub place: BlobPlace,
    /// Whether the blob was unknown before: then its age is promise enough, see [`lease`].
    pub fresh: bool,
}

/// Records freshly stored bytes under `digest`, inside `tx`. One write if they are new here.
///
/// Says where the bytes of that digest are: in `stored.place`, or where they were already, in which
/// case the caller deletes its own copy once the transaction is committed.
pub async fn record(tx: &mut Tx, digest: &Digest, stored: &StoredBlob) -> Result<RecordedBlob> {
    let size = i64::try_from(stored.size).map_err(|_| {
        Error::new(
            Reason::TooLarge,
            "a blob larger than the database can count",
        )
    })?;
    let place = &stored.place;
    let arguments = args![digest, size, place.location.as_str(), place.key.as_str()];
    if tx.execute(&store::BLOB_INSERT, arguments).await? > 0 {
        let place = place.clone();
        return Ok(RecordedBlob { place, fresh: true });
    }
    let row = tx.optional(&store::BLOB_FIND, args![digest]).await?;
    let went = || {
        Error::new(
            Reason::BlobUnknown,
            "a blob was removed while it was pushed again",
        )
    };
    let place = read(&row.ok_or_else(went)?, 0)?.place;
    let fresh = false;
    Ok(RecordedBlob { place, fresh })
}

/// Says that the bytes of `digest` are at `to` and no more at `from`; whether the row still said
/// `from`. For bytes that were lost and came again.
pub async fn replace(
    tx: &mut Tx,
    digest: &Digest,
    from: &BlobPlace,
    to: &BlobPlace,
) -> Result<bool> {
    let arguments = args![
        digest,
        from.location.as_str(),
        from.key.as_str(),
        to.location.as_str(),
        to.key.as_str(),
    ];
    let moved = tx.execute(&store::PLACE_MOVE, arguments).await? > 0;
    if moved {
        let change = changes::named(BLOB, 0, 0, &digest.to_string());
        tx.change(change).await?;
    }
    Ok(moved)
}

/// Where a blob is, if its bytes are here. One read.
pub async fn find(sql: &Session, digest: &Digest) -> Result<Option<BlobFacts>> {
    sql.optional(&store::BLOB_FIND, args![digest])
        .await?
        .map(|row| read(&row, 0))
        .transpose()
}

/// Reads the columns (size, location, key) that statements of other crates join in.
pub fn read(row: &Row, at: usize) -> Result<BlobFacts> {
    let place = BlobPlace {
        location: row.string(at + 1)?,
        key: row.string(at + 2)?,
    };
    Ok(BlobFacts {
        size: row.size(at)?,
        place,
    })
}

/// Keeps `digests` alive for `owner` until it lets go. The one writer of `blob_ref`, with
/// [`lease`].
///
/// Errors: `BlobUnknown` when one of them is no blob here (the foreign key says so, however a
/// collection races with this).
pub async fn keep(tx: &mut Tx, owner: &Owner, digests: &[Digest]) -> Result<()> {
    if digests.is_empty() {
        return Ok(());
    }
    let arguments = args![
        owner.namespace,
        owner.repository,
        owner.kind.number(),
        owner.key.as_slice(),
        None::<i64>,
        list(digests),
    ];
    // Not deferred: its failure has a meaning of its own here.
    tx.execute(&store::KEEP, arguments).await.map_err(went)?;
    Ok(())
}

/// Promises a blob to pushes into `owner`'s repository, for `lease` from now.
///
/// A blob that was recorded less than a lease ago is promised to all by its age, without a
/// row: most blobs are new when they come, and their manifest follows at once. A collector
/// must spare what is so young.
///
/// Errors: as [`keep`].
pub async fn lease(tx: &mut Tx, owner: &Owner, digest: &Digest, lease: Duration) -> Result<()> {
    let lease = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX / 4);
    let (kind, key) = (owner.kind.number(), owner.key.as_slice());
    let arguments = args![owner.namespace, owner.repository, kind, key, lease, digest];
    tx.execute(&store::LEASE, arguments).await.map_err(went)?;
    Ok(())
}

fn went(error: seawall_meta::Error) -> Error {
    if error.is_foreign_key() {
        return Error::new(
            Reason::BlobUnknown,
            "a blob was removed while a reference to it was added",
        );
    }
    error.into()
}

/// Lets go of everything that `owner` keeps.
pub async fn release(tx: &mut Tx, owner: &Owner) -> Result<()> {
    let arguments = args![owner.repository, owner.kind.number(), owner.key.as_slice()];
    tx.execute(&store::RELEASE, arguments).await?;
    Ok(())
}

/// Lets go of one blob that `owner` keeps, if it does.
pub async fn release_one(tx: &mut Tx, owner: &Owner, digest: &Digest) -> Result<()> {
    let (kind, key) = (owner.kind.number(), owner.key.as_slice());
    let arguments = args![owner.repository, kind, key, digest];
    tx.execute(&store::RELEASE_ONE, arguments).await?;
    Ok(())
}

/// Lets everything that `owner` keeps end so long from now, or never with `None`.
pub async fn keep_for(tx: &mut Tx, owner: &Owner, window: Option<Duration>) -> Result<()> {
    let millis = |window: Duration| i64::try_from(window.as_millis()).unwrap_or(i64::MAX / 4);
    let arguments = args![
        owner.repository,
        owner.kind.number(),
        owner.key.as_slice(),
        window.map(millis)
    ];
    tx.execute(&store::KEEP_FOR, arguments).await?;
    Ok(())
}

/// Lets go of up to `limit` of the things that a repository keeps; says how many those were.
pub async fn release_some(tx: &mut Tx, repository: RepositoryId, limit: u32) -> Result<u64> {
    let arguments = args![repository, limit];
    Ok(tx.execute(&store::RELEASE_SOME, arguments).await?)
}

/// Every blob with its places, in digest order after `after`, for `verify`.
pub async fn walk(
    sql: &Session,
    after: Option<&Digest>,
    limit: u32,
) -> Result<Vec<(Digest, BlobFacts)>> {
    let after = after.map(Digest::to_bytes).unwrap_or_default();
    let rows = sql
        .all(&store::WALK, args![after, i64::from(limit)])
        .await?;
    rows.iter()
        .map(|row| Ok((row.digest(3)?, read(row, 0)?)))
        .collect()
}
