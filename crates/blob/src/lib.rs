//! Bytes by digest: upload sessions, downloads, places.
