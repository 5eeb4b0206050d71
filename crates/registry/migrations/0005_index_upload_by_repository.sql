CREATE INDEX upload_by_repository ON upload (repository_id)
