//! Image repositories: their kind, and what can be done to their content.
//!
//! A `Repo<Pull>` of this crate is one of images. A repository of another kind answers as a missing
//! one does to all that opens it by these acts.

use seawall_kernel::auth::{self, Kind};
use seawall_types::permission::RepositoryKind;

/// Repositories of manifests and blobs of the distribution protocol.
pub const IMAGE: RepositoryKind = RepositoryKind::new(1, "image");

/// [`IMAGE`] as a type.
#[derive(Debug, Clone, Copy)]
pub struct Image;

impl Kind for Image {
    const KIND: RepositoryKind = IMAGE;
}

/// Reading manifests and blobs of an image repository.
pub type Pull = auth::Pull<Image>;
/// Uploading blobs, writing manifests and setting tags in an image repository.
pub type Push = auth::Push<Image>;
/// Deleting tags, manifests and blobs of an image repository.
pub type Delete = auth::Delete<Image>;
/// Listing tags and referrers of an image repository.
pub type Describe = auth::Describe<Image>;
