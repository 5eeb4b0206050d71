//! Image repositories: their kind, and what can be done to their content.
//!
//! A `Repo<Pull>` of this crate is one of images. A repository of another kind answers as a missing
//! one does to all that opens it by these acts.

use seawall_kernel::auth::{self, StaticKind};
use seawall_types::permission::RepositoryKind;

/// Repositories of manifests and blobs of the distribution protocol.
pub const IMAGE: RepositoryKind = RepositoryKind::new(1, "image");

/// [`IMAGE`] as a type.
#[derive(Debug, Clone, Copy)]
pub struct ImageKind;

impl StaticKind for ImageKind {
    const KIND: RepositoryKind = IMAGE;
}

/// Reading manifests and blobs of an image repository.
pub type Pull = auth::Pull<ImageKind>;
/// Uploading blobs, writing manifests and setting tags in an image repository.
pub type Push = auth::Push<ImageKind>;
/// Deleting tags, manifests and blobs of an image repository.
pub type Delete = auth::Delete<ImageKind>;
/// Listing tags and referrers of an image repository.
pub type Describe = auth::Describe<ImageKind>;
