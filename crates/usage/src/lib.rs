//! The activity log and pull counts.
