CREATE INDEX tag_history_by_name ON tag_history (repository_id, name, id)
