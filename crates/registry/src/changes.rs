//! The kinds of changes that the registry writes; their numbers are stored.

use seawall_kernel::changes::{ByIdAndName, ChangeKind};

/// A tag of a repository was set or deleted: (repository, 0, tag).
pub const TAG: ChangeKind<ByIdAndName> = ChangeKind::new(8, "tag");
/// A manifest of a repository was put or deleted: (repository, 0, digest).
pub const MANIFEST: ChangeKind<ByIdAndName> = ChangeKind::new(9, "manifest");
