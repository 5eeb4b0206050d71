//! What happens to rows behind a server's back, as SQL.

/// Another has appended to every upload, in a generation of its own.
pub(crate) const NEXT_GENERATION: &str = "UPDATE upload SET generation = generation + 1";

/// Every upload has a byte more than it had.
pub(crate) const ONE_MORE: &str = "UPDATE upload SET upload_offset = upload_offset + 1";

/// Every upload is cancelled.
pub(crate) const CANCELLED: &str = "DELETE FROM upload";

/// Holds every upload as it is, while its transaction stands.
pub(crate) const LOCK_UPLOADS: &str = "UPDATE upload SET generation = generation";

/// Holds every repository as it is, while its transaction stands.
pub(crate) const LOCK_REPOSITORIES: &str = "UPDATE repository SET generation = generation";

/// Somebody makes a repository called `app` beside the one called `first`.
pub(crate) const APP_IS_MADE: &str = "INSERT INTO repository (namespace_id, name, kind, visibility, state, generation, \
     created_at) SELECT namespace_id, 'app', kind, visibility, state, generation, created_at FROM repository \
     WHERE name = 'first'";

/// Every repository takes no more changes.
pub(crate) const CLOSED: &str = "UPDATE repository SET state = 2, generation = generation + 1";
