//! The cache of what was read from the database, as every feature uses it.

/// What was read before of the database, by key.
pub type Cache<K, V> = seawall_cache::Cache<K, V, seawall_types::Error>;
