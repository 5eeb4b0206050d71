CREATE INDEX {online} repository_by_visibility ON repository (namespace_id, visibility, kind, name)
