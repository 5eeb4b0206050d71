DROP INDEX tag_by_digest {of tag}
