//! What happens to the rows of uploads behind a server's back, as SQL.

/// Another has appended to every upload, in a generation of its own.
pub(crate) const NEXT_GENERATION: &str = "UPDATE upload SET generation = generation + 1";

/// Every upload has a byte more than it had.
pub(crate) const ONE_MORE: &str = "UPDATE upload SET upload_offset = upload_offset + 1";

/// Every upload is cancelled.
pub(crate) const CANCELLED: &str = "DELETE FROM upload";
