//! The events that the registry emits: what happened to manifests, tags and blobs of a repository.

use seawall_kernel::events::{EventKind, EventType};
use seawall_types::Digest;
use serde::{Deserialize, Serialize};

/// A manifest was pushed, new or with tags that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestPushed {
    /// Which one.
    pub digest: Digest,
    /// The media type with which it was pushed.
    pub media_type: String,
    /// The tags that it was pushed with.
    pub tags: Vec<String>,
    /// How many of the sizes that it gives are wrong, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong_sizes: Option<usize>,
}

impl EventType for ManifestPushed {
    const KIND: EventKind = EventKind::new(30, "manifest_pushed");
}

/// A manifest was deleted with its tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestDeleted {
    /// Which one.
    pub digest: Digest,
    /// Its tags, of which only some are named if there were many.
    pub tags: Vec<String>,
    /// Whether it had more tags.
    pub more: bool,
}

impl EventType for ManifestDeleted {
    const KIND: EventKind = EventKind::new(31, "manifest_deleted");
}

/// A tag was set or moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagMoved {
    /// Which one.
    pub tag: String,
    /// The manifest that it points to now.
    pub digest: Digest,
    /// The manifest that it pointed to before, if it was there.
    pub before: Option<Digest>,
}

impl EventType for TagMoved {
    const KIND: EventKind = EventKind::new(32, "tag_moved");
}

/// A tag was deleted by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagDeleted {
    /// Which one.
    pub tag: String,
    /// The manifest that it pointed to.
    pub digest: Digest,
}

impl EventType for TagDeleted {
    const KIND: EventKind = EventKind::new(33, "tag_deleted");
}

/// A blob was taken out of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobDeleted {
    /// Which one.
    pub digest: Digest,
}

impl EventType for BlobDeleted {
    const KIND: EventKind = EventKind::new(34, "blob_deleted");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn payloads_of_the_release_before_are_read_and_written_as_they_were() {
        let pushed = json!({"digest": DIGEST, "media_type": "m/t", "tags": ["a", "b"]});
        let read = ManifestPushed::read(1, &pushed).unwrap();
        assert_eq!((read.tags.len(), read.wrong_sizes), (2, None));
        assert_eq!(serde_json::to_value(&read).unwrap(), pushed);
        let pushed = json!({"digest": DIGEST, "media_type": "m/t", "tags": [], "wrong_sizes": 2});
        let read = ManifestPushed::read(1, &pushed).unwrap();
        assert_eq!(read.wrong_sizes, Some(2));
        let moved = json!({"tag": "a", "digest": DIGEST, "before": null});
        let read = TagMoved::read(1, &moved).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), moved);
        let deleted = json!({"digest": DIGEST, "tags": ["a"], "more": true});
        let read = ManifestDeleted::read(1, &deleted).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), deleted);
    }
}
