//! `BlobKeeper`: how a feature says which blobs its own tables name.
//!
//! What keeps a blob alive is its `blob_ref` row and nothing else. A keeper is the proof of that: a
//! collector that is about to remove bytes, and a check of a store, can ask each feature which
//! blobs it would miss, without knowing the feature's tables. A keeper only reads.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use seawall_types::{Digest, Result};
use serde::{Deserialize, Serialize};

use super::Owner;
use crate::op::Op;

/// A blob that a table names, and the owner under which it should be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBlob {
    /// Which blob.
    pub digest: Digest,
    /// The owner of its `blob_ref` row.
    pub owner: Owner,
}

/// Where a page ends, in the words of the keeper that gave it out; it may be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageCursor(String);

impl PageCursor {
    /// The end of a page, by which its keeper finds the next one.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What [`Self::new`] was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A page of the blobs that the tables of a feature name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptBlobPage {
    /// The blobs; a page may have none and not be the last.
    pub blobs: Vec<KeptBlob>,
    /// What the next page begins after; `None` if this is the last one.
    pub end: Option<PageCursor>,
}

type KeeperPage = Arc<
    dyn Fn(Op, Option<PageCursor>, u32) -> BoxFuture<'static, Result<KeptBlobPage>> + Send + Sync,
>;

/// Says, page by page, which blobs the tables of one feature name.
#[derive(Clone)]
pub struct BlobKeeper(KeeperPage);

impl std::fmt::Debug for BlobKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl BlobKeeper {
    /// A keeper that reads by `page`: about so many names after the end of the page before. What
    /// takes more than a bounded number of rows for a page is a mistake.
    pub fn new<F, R>(page: F) -> Self
    where
        F: Fn(Op, Option<PageCursor>, u32) -> R + Send + Sync + 'static,
        R: Future<Output = Result<KeptBlobPage>> + Send + 'static,
    {
        Self(Arc::new(move |op, after, limit| {
            page(op, after, limit).boxed()
        }))
    }

    /// The page after `after`, or the first; `limit` bounds the rows that it reads.
    ///
    /// Errors: those of reading; `Internal` for an end that this keeper did not give out.
    pub async fn page(
        &self,
        op: &Op,
        after: Option<PageCursor>,
        limit: u32,
    ) -> Result<KeptBlobPage> {
        (self.0)(op.clone(), after, limit).await
    }
}
