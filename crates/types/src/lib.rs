//! The registry's words: names, digests, manifests, permissions, errors.
