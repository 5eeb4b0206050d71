CREATE INDEX {online} namespace_by_public ON namespace (shows_public, name)
