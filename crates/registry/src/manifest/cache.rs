//! Manifests as they are served, remembered by tag and by digest.
//!
//! A digest never means anything else, so what is remembered of it is only whether the repository
//! shows it. A tag may mean something else the next moment: what is remembered of it ends with the
//! change that moves it. What is not there is remembered, too, until it comes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::HeaderValue;
use seawall_kernel::changes::REPOSITORY;
use seawall_kernel::{CacheShare, Kernel, LoadedValue, MemorySize, Op, ReadCache, Repo};
use seawall_meta::{Row, args};
use seawall_types::reference::Reference;
use seawall_types::tag::Tag;
use seawall_types::time::Millis;
use seawall_types::{Digest, Error, RepositoryId, Result};

use super::{store, unknown};
use crate::acts::Pull;
use crate::changes;
use crate::content_headers::ContentHeaders;

/// The cache of what tags point to.
pub(crate) const TAGS: CacheShare = CacheShare::new("tags", 10);
/// The cache of manifests by digest.
pub(crate) const MANIFESTS: CacheShare = CacheShare::new("manifests", 40);

/// A manifest as it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CachedManifest {
    /// The digest under which it was pushed.
    pub(crate) digest: Digest,
    /// The digest as headers say it.
    pub(crate) names: ContentHeaders,
    /// The media type with which it was pushed.
    pub(crate) media_type: HeaderValue,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// Its bytes.
    pub(crate) body: Bytes,
}

impl CachedManifest {
    fn read(row: &mut Row) -> Result<Self> {
        let digest = row.digest(0)?;
        Ok(Self {
            digest,
            names: ContentHeaders::of(&digest)?,
            media_type: HeaderValue::try_from(row.text(1)?).map_err(Error::internal)?,
            size: row.size(2)?,
            body: row.take_bytes(3)?.into(),
        })
    }
}

impl MemorySize for CachedManifest {
    fn weight(&self) -> usize {
        self.names.weight() + self.media_type.len() + self.body.len()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct TagKey(RepositoryId, Tag);

impl MemorySize for TagKey {
    fn weight(&self) -> usize {
        self.1.as_str().len()
    }
}

/// What a tag points to, and until when.
#[derive(Debug, Clone, Copy)]
struct TagTarget {
    to: Digest,
    until: Option<Millis>,
}

impl MemorySize for TagTarget {
    fn weight(&self) -> usize {
        0
    }
}

/// A digest in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DigestKey(pub(crate) RepositoryId, pub(crate) Digest);

impl MemorySize for DigestKey {
    fn weight(&self) -> usize {
        0
    }
}

/// What was read of manifests before.
pub(crate) struct ManifestCache {
    tags: ReadCache<TagKey, Option<TagTarget>>,
    manifests: ReadCache<DigestKey, Option<Arc<CachedManifest>>>,
}

impl ManifestCache {
    pub(crate) fn new(kernel: &Kernel) -> Result<Self> {
        Ok(Self {
            tags: kernel.cache(TAGS)?,
            manifests: kernel.cache(MANIFESTS)?,
        })
    }
}

/// Finds what `reference` names. One read, or none if it was read before.
///
/// Errors: `ManifestUnknown`.
pub(crate) async fn find(
    op: &Op,
    shelf: &ManifestCache,
    repo: &Repo<Pull>,
    reference: &Reference,
) -> Result<Arc<CachedManifest>> {
    let found = match reference {
        Reference::Digest(digest) => by_digest(op, shelf, repo.id(), digest).await?,
        Reference::Tag(tag) => by_tag(op, shelf, repo.id(), tag).await?,
    };
    found.ok_or_else(unknown)
}

async fn by_digest(
    op: &Op,
    shelf: &ManifestCache,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<Arc<CachedManifest>>> {
    let key = DigestKey(repository, *digest);
    let read = || async {
        let arguments = args![repository, digest];
        let row = op.sql().optional(&store::BY_DIGEST, arguments).await?;
        let served = row
            .map(|mut row| CachedManifest::read(&mut row))
            .transpose()?;
        Ok(shown(op, repository, digest, served.map(Arc::new)))
    };
    op.recall(&shelf.manifests, key, read).await
}

async fn by_tag(
    op: &Op,
    shelf: &ManifestCache,
    repository: RepositoryId,
    tag: &Tag,
) -> Result<Option<Arc<CachedManifest>>> {
    let just_read = OnceLock::new();
    let read = || async {
        let since = op.position();
        let found = read_by_tag(op, repository, tag).await?;
        let pointed = found.map(|(served, until)| {
            let to = served.digest;
            let loaded = shown(op, repository, &to, Some(Arc::clone(&served)));
            let key = DigestKey(repository, to);
            shelf.manifests.put(&key, since, loaded);
            let _ = just_read.set(served);
            TagTarget { to, until }
        });
        let on = [
            changes::TAG.subject(repository.get(), tag.as_str()),
            REPOSITORY.subject(repository.get()),
        ];
        Ok(LoadedValue::new(
            pointed,
            on.map(|subject| op.mark(&subject)),
        ))
    };
    let key = TagKey(repository, tag.clone());
    let pointed = op.recall(&shelf.tags, key, read).await?;
    let Some(TagTarget { to, until }) = pointed else {
        return Ok(None);
    };
    if until.is_some_and(|until| until <= op.now()) {
        return Ok(None);
    }
    if let Some(served) = just_read.into_inner() {
        return Ok(Some(served));
    }
    if let Some(served) = by_digest(op, shelf, repository, &to).await? {
        return Ok(Some(served));
    }
    // The tag moved, and its former target was deleted, between the two reads.
    let found = Box::pin(read_by_tag(op, repository, tag)).await?;
    Ok(found.map(|(served, _)| served))
}

/// What a tag points to now, and until when. One read.
async fn read_by_tag(
    op: &Op,
    repository: RepositoryId,
    tag: &Tag,
) -> Result<Option<(Arc<CachedManifest>, Option<Millis>)>> {
    let arguments = args![repository, tag];
    let Some(mut row) = op.sql().optional(&store::BY_TAG, arguments).await? else {
        return Ok(None);
    };
    let until = row.opt_millis(4)?;
    Ok(Some((Arc::new(CachedManifest::read(&mut row)?), until)))
}

fn shown(
    op: &Op,
    repository: RepositoryId,
    digest: &Digest,
    served: Option<Arc<CachedManifest>>,
) -> LoadedValue<Option<Arc<CachedManifest>>> {
    let name = digest.to_string();
    let on = [
        changes::MANIFEST.subject(repository.get(), &name),
        REPOSITORY.subject(repository.get()),
    ];
    LoadedValue::new(served, on.map(|subject| op.mark(&subject)))
}
