CREATE INDEX {online} namespace_by_owner ON namespace (owner_id)
