CREATE INDEX {online} usage_pull_count_by_repository ON usage_pull_count (repository_id)
