//! The distribution protocol: manifests, tags, blobs, uploads, referrers.
