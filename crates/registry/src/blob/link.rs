//! Blobs as they are served, remembered: which repository links which, and the bytes of small ones.
//!
//! That a repository does not link a blob is never remembered, since a push may bring it by a way
//! that is not told. Bytes are remembered by their digest alone, since they never change; who may
//! have them is asked first, each time.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use seawall_kernel::blobs::{self, BLOB, BlobFacts};
use seawall_kernel::changes::REPOSITORY;
use seawall_kernel::{CacheShare, Kernel, LoadedValue, MemorySize, Op, ReadCache, Repo};
use seawall_meta::args;
use seawall_types::{Digest, Result};

use super::{store, unknown};
use crate::acts::Pull;
use crate::content_headers::ContentHeaders;
use crate::manifest::DigestKey;

/// Blobs up to this many bytes (configs, small layers) are kept in memory.
pub(crate) const SMALL: u64 = 64 * 1024;

/// The cache of which repository links which blob.
pub(crate) const LINKS: CacheShare = CacheShare::new("links", 12);
/// The cache of the bytes of small blobs.
pub(crate) const BYTES: CacheShare = CacheShare::new("bytes", 20);

/// A link as it was read.
#[derive(Debug)]
pub(crate) struct BlobLink {
    facts: BlobFacts,
    names: ContentHeaders,
}

impl MemorySize for BlobLink {
    fn weight(&self) -> usize {
        let place = &self.facts.place;
        self.names.weight() + place.location.len() + place.key.len()
    }
}

impl BlobLink {
    /// The blob's size, and where its bytes are.
    pub(crate) fn facts(&self) -> &BlobFacts {
        &self.facts
    }

    /// Its digest as headers say it.
    pub(crate) fn names(&self) -> &ContentHeaders {
        &self.names
    }

    /// The blob's length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.facts.size
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Content(Digest);

impl MemorySize for Content {
    fn weight(&self) -> usize {
        0
    }
}

/// What was read of blobs before.
pub(crate) struct LinkCache {
    links: ReadCache<DigestKey, Option<Arc<BlobLink>>>,
    bytes: ReadCache<Content, Bytes>,
}

impl LinkCache {
    pub(crate) fn new(kernel: &Kernel) -> Result<Self> {
        Ok(Self {
            links: kernel.cache(LINKS)?,
            bytes: kernel.cache(BYTES)?,
        })
    }
}

/// The size of a blob that this repository serves, and where its bytes are. One read, or none if it
/// was read before.
///
/// Errors: `BlobUnknown`, whether the blob exists elsewhere or nowhere (protocol §5.3).
pub(crate) async fn find(
    op: &Op,
    links: &LinkCache,
    repo: &Repo<Pull>,
    digest: &Digest,
) -> Result<Arc<BlobLink>> {
    let repository = repo.id();
    let read = || async {
        let arguments = args![repository, digest];
        let Some(row) = op.sql().optional(&store::VISIBLE, arguments).await? else {
            return Ok(LoadedValue::passing(None));
        };
        let text = digest.to_string();
        let on = [
            BLOB.subject(repository.get(), &text),
            BLOB.subject(0, &text),
            REPOSITORY.subject(repository.get()),
        ];
        let link = Arc::new(BlobLink {
            facts: blobs::read(&row, 0)?,
            names: ContentHeaders::of(digest)?,
        });
        Ok(LoadedValue::new(
            Some(link),
            on.map(|subject| op.mark(&subject)),
        ))
    };
    let key = DigestKey(repository, *digest);
    op.recall(&links.links, key, read)
        .await?
        .ok_or_else(unknown)
}

/// The bytes of a blob of at most [`SMALL`] bytes.
pub(crate) async fn whole(
    op: &Op,
    links: &LinkCache,
    digest: &Digest,
    link: &BlobLink,
) -> Result<Bytes> {
    let key = Content(*digest);
    if let Some(bytes) = links.bytes.get_constant(&key) {
        op.cost().charge_bytes_out(bytes.len() as u64);
        return Ok(bytes);
    }
    let read = || async {
        let BlobFacts { size, place } = link.facts();
        let download = op.transfers().open(place, *size, None).await?;
        let pieces = download
            .stream
            .try_fold(BytesMut::new(), |mut all, piece| async move {
                all.extend_from_slice(&piece);
                Ok(all)
            });
        Ok(LoadedValue::new(pieces.await?.freeze(), []))
    };
    op.recall(&links.bytes, key, read).await
}
