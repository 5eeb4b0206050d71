-- A page of a repository's history, newest first.
CREATE INDEX {online} tag_history_by_id ON tag_history (repository_id, id)
