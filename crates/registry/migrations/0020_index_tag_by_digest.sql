CREATE INDEX tag_by_digest ON tag (repository_id, digest)
