-- Whether a manifest has a tag that must stay is one look, however many tags it has.
CREATE INDEX {online} tag_by_immutable ON tag (repository_id, digest, immutable) {given immutable}
